"""mien reads the expression on a face."""
