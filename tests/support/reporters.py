"""Reporters for tests of training."""

from mien.training.source import QuietReporter


class Heard(QuietReporter):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        """Keep a line of news."""
        self.said.append(text)
