"""Suites as files: proposed, listed, checked."""
