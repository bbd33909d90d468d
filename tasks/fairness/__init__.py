"""Who is in the data and how they are labelled: audit and correct."""
