"""Augment training images."""
