"""Rows made up from training rows, marked and traceable to their parent."""
