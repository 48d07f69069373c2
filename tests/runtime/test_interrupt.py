"""Ctrl-C during the imports of the command is one line; other programs keep their own hook."""

import subprocess
import sys
from pathlib import Path

INTERRUPTED = """
import runpy, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "numpy":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Finder())
sys.argv = {argv!r}
import mien
"""


def run(argv: list[str]) -> subprocess.CompletedProcess[str]:
    code = INTERRUPTED.format(argv=argv)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_an_interrupt_while_numpy_is_imported_is_one_line(tmp_path: Path) -> None:
    found = run([str(tmp_path / "bin" / "mien"), "train"])
    assert found.returncode != 0
    assert found.stderr == "mien: interrupted\n"


def test_another_program_keeps_its_traceback() -> None:
    found = run(["analyse.py"])
    assert "Traceback" in found.stderr
    assert "interrupted" not in found.stderr
