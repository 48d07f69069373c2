"""Every benchmark and recipe starts by itself, as its own page says to start it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def is_started(path: Path) -> bool:
    """Return whether a script parses arguments, and so has a --help."""
    names = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
    return "ArgumentParser" in names


SCRIPTS = [
    path for folder in ("benchmarks", "recipes") for path in sorted((ROOT / folder).glob("*.py")) if is_started(path)
]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
@pytest.mark.slow
def test_a_script_starts_alone(path: Path) -> None:
    done = subprocess.run([sys.executable, str(path), "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout


def test_the_scripts_are_found() -> None:
    assert len(SCRIPTS) > 8
