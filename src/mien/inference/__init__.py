"""Run a bundle: decode, detect, crop, classify, calibrate, decide."""
