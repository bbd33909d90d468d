"""Per-example gradients of the masked-language-model loss, small enough to search among."""
