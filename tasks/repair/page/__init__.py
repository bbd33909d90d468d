"""The two pages of a repair: the proposal that a person reads, and what became of it."""
