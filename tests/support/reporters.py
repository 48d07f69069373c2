"""Reporters for tests of training."""

from mien.training.reporter import QuietReporter


class RecordingReporter(QuietReporter):
    """Keeps all text."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        """Keep a line of text."""
        self.said.append(text)
