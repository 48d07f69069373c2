"""What verbs print: tables, progress bars, lines that a terminal can show."""
