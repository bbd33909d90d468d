"""Rows that were taken out: read, released, and spared."""
