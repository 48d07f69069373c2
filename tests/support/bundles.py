"""What mien says of bundles that it refuses, and how a test spoils one."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

import mien
from mien.errors import BundleError
from mien.inference.bundle import CONFIG_FILE
from mien.training.model_file import KERAS_CONFIG, KERAS_WEIGHTS


def refusal(path: str | Path) -> str:
    """What mien says of a folder that it must refuse; always one line."""
    with pytest.raises(BundleError) as caught:
        mien.load(path, threads=1)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 600
    return text


def rewrite(folder: Path, **changes: Any) -> None:
    """Change fields of config.json; None removes one, and `input` is changed within."""
    path = folder / CONFIG_FILE
    raw = json.loads(path.read_text())
    for name, value in changes.items():
        place = raw["input"] if name in raw["input"] else raw
        if value is None:
            del place[name]
        else:
            place[name] = value
    path.write_text(json.dumps(raw))


def write_empty_model(path: Path) -> None:
    """Write a `.keras` file that has the right members and nothing in them."""
    with zipfile.ZipFile(path, "w") as archive:
        for member in (KERAS_CONFIG, KERAS_WEIGHTS):
            archive.writestr(member, "")
