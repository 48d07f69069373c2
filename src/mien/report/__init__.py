"""Write an evaluation or a comparison as a self-contained HTML report."""
