"""From a wrong answer to the training rows that taught it."""
