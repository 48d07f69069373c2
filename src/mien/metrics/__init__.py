"""Compute metrics, confidence intervals and significance tests with numpy alone. `registry` lists the metrics."""
