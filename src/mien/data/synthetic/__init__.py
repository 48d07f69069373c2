"""Draw labelled faces and corrupt datasets in known ways, for demos and tests."""
