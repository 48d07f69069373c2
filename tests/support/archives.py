"""Zip archives, and what a source refuses of them."""

import zipfile
from pathlib import Path

from mien.io.archives import ZipSource
from mien.io.sources import FolderSource


def make_zip(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def refused(source: ZipSource | FolderSource) -> dict[str, str]:
    return {item.name: item.reason for item in source.refused}
