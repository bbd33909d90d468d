"""Order, names, retries and pools: wiring only, no data work and no classes."""
