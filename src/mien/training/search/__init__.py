"""Search settings: studies, sweeps, experiments."""
