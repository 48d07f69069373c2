"""Build the wheels of this clone, and install them into new environments. Needs the network."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def run(*command: object, env: Mapping[str, str] | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command that finds no package of this process; `env` changes variables. What it prints is kept."""
    words = [str(word) for word in command]
    variables = {**os.environ, **(env or {})}
    clean = {name: value for name, value in variables.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    return subprocess.run(words, capture_output=True, text=True, check=False, env=clean, **options)


def build(source: Path, out: Path, *options: str) -> None:
    """Build the source archive and the wheel of a project, or what the options say, into a folder."""
    done = run(sys.executable, "-m", "build", "--outdir", out, *options, source)
    assert done.returncode == 0, done.stdout + done.stderr


def environment(place: Path, what: str, python: object = sys.executable, links: Path | None = None) -> Path:
    """Install `what` into a new environment, in the locked versions; return its scripts folder.

    `links` is a folder with wheels that are on no index.
    """
    done = run(python, "-m", "venv", place)
    assert done.returncode == 0, done.stdout + done.stderr
    scripts = place / ("Scripts" if os.name == "nt" else "bin")
    lock = ROOT / "requirements" / "lock.txt"
    found = [] if links is None else ["--find-links", links]
    done = run(scripts / "python", "-m", "pip", "install", "--quiet", "--constraint", lock, *found, what)
    assert done.returncode == 0, done.stdout + done.stderr
    return scripts
