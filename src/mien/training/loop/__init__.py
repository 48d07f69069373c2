"""Fit a network: batches, schedules, checkpoints, weight averages."""
