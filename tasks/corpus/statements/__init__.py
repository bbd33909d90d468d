"""What texts say of whom, and where they contradict each other."""
