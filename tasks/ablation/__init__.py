"""What each stage buys: the night with one stage off at a time, and with growing damage."""
