"""What rows have in common: duplicates, leaks, repeated passages, earlier nights."""
