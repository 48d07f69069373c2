"""Score a model on labelled data, compare models, groups, slices and perturbations."""
