"""Text in, judged, cleaned: ingest, profile, validate, clean."""
