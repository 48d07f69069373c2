"""What mien says of bundles that it refuses, and how a test spoils one."""

import json
from pathlib import Path
from typing import Any

import pytest

import mien
from mien.errors import BundleError
from mien.inference.bundle import CONFIG_FILE


def refusal(path: Path) -> str:
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
