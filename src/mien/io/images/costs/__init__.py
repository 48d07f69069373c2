"""Bound what decoding an image takes, by its header."""
