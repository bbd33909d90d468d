"""What is trained: encoder, heads, their shapes and their weights on disk."""
