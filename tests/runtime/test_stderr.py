"""What C++ code writes to stderr is silenced, and comes back."""

import os

import pytest

from mien.runtime.stderr import quiet_stderr


def test_stderr_is_quiet_and_comes_back(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet_stderr():
        os.write(2, b"from C++\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


@pytest.mark.parametrize("show", [False, True])
def test_what_was_held_back_is_shown_after_an_error_only_if_asked(
    capfd: pytest.CaptureFixture[str], show: bool
) -> None:
    with pytest.raises(ValueError, match="broken"), quiet_stderr(show_on_error=show):
        os.write(2, b"from C++\n")
        raise ValueError("broken")
    assert capfd.readouterr().err == ("from C++\n" if show else "")
