"""Keras only: the encoder, its heads and its training. Imports nothing of ours."""
