"""The stages, one room each, and the mechanism they share."""
