"""What shows that something goes on, if there is no terminal."""

import pytest

from mien.cli.output import progress


@pytest.mark.parametrize(("seconds", "said"), [(0.0, "reading: 20%\nreading: 100%\n"), (1e9, "")])
def test_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], seconds: float, said: str
) -> None:
    monkeypatch.setattr(progress, "SELDOM", seconds)
    with progress.progress_bar("reading", lines=True) as report:
        report(0.2)
        report(1.0)
    assert capsys.readouterr().err == said


def test_nothing_is_printed_unless_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "SELDOM", 0.0)
    with progress.progress_bar("reading") as report:
        report(0.5)
    assert capsys.readouterr().err == ""
