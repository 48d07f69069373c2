"""Explain answers: heatmaps, attention by facial region, faithfulness."""
