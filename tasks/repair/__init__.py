"""From wrong answers back to rows: propose them, withdraw them, train again, and compare."""
