"""Find faces, cut them out and track them between frames."""
