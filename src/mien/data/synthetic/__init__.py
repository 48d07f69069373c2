"""Draw labelled faces and corrupt datasets on purpose, for demos and tests."""
