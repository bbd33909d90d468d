"""What the model is worth: quality, calibration, hallucination, fairness, robustness."""
