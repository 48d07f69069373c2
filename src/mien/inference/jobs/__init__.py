"""Predict many images and videos into files: interrupted and resumed, or on many machines."""
