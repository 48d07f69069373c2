import sys

import pytest

from mien.evaluation.provenance import command_line


@pytest.mark.parametrize(
    ("started", "words"),
    [
        (["/usr/bin/mien", "train", "my data"], "mien train 'my data'"),
        (["/lib/mien/__main__.py", "train", "data"], "mien train data"),  # python -m mien
        (["study.py"], "study.py"),
    ],
)
def test_the_command_is_as_a_user_types_it(monkeypatch: pytest.MonkeyPatch, started: list[str], words: str) -> None:
    monkeypatch.setattr(sys, "argv", started)
    assert command_line() == words
