"""What is measured of each text: one row of numbers a document."""
