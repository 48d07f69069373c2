"""A small folder of drawn faces, and its files' digests."""

import hashlib
import shutil
from pathlib import Path

import pytest


@pytest.fixture
def data(faces: Path, tmp_path: Path) -> Path:
    """A copy of the drawn faces that may be changed."""
    return Path(shutil.copytree(faces, tmp_path / "data"))


def digest(path: Path) -> str:
    """Return the sha256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
