"""Candidate against champion, the registry, and the page that people read."""
