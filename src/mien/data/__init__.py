"""Read, check, split and clean labelled image data."""
