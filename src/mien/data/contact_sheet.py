"""Draw a contact sheet: thumbnails of the files that have issues, worst first."""

from pathlib import PurePosixPath

import numpy as np
from PIL import Image

from mien.arrays import UInt8
from mien.data.audit import Audit
from mien.data.issues import Issue
from mien.errors import ImageError
from mien.io.image import decode
from mien.viz.mosaic import mosaic

#: Longer side of a thumbnail, in pixels.
TILE = 112
#: Most thumbnails per kind of issue and class.
MOST = 40
_NAME = 20  # characters of a file name that fit below a thumbnail


def contact_sheet(found: Audit) -> Image.Image:
    """Draw the files of an audit that have issues: one row per kind and class, worst first, at most MOST in each.

    Files that cannot be shown, such as damaged ones, are skipped.
    """
    rows: dict[str, list[UInt8]] = {}
    captions: dict[str, list[str]] = {}
    labels = {sample.name: sample.label for sample in found.manifest.samples}
    for issue in found.issues:
        for label in found.manifest.classes:
            names = [name for name in issue.files if labels.get(name) == label]
            shown = _thumbnails(found, names)
            if shown:
                heading = f"{issue.title}, in {label}: {len(names)}" + _rest(issue, len(names), len(shown))
                rows[heading] = list(shown.values())
                captions[heading] = [_short(name) for name in shown]
    title = f"{found.manifest.path.name}: what mien check found, worst first"
    return mosaic(rows, title, TILE, captions=captions)


def _thumbnails(found: Audit, names: list[str]) -> dict[str, UInt8]:
    shown: dict[str, UInt8] = {}
    for name in names:
        if len(shown) == MOST:
            break
        try:
            image = Image.fromarray(decode(found.manifest.read(name), name, shrink_to=TILE))
        except ImageError:
            continue
        image.thumbnail((TILE, TILE))
        shown[name] = np.asarray(image)
    return shown


def _rest(issue: Issue, count: int, shown: int) -> str:
    return f" (the {'worst' if issue.notes else 'first'} {shown})" if shown < count else ""


def _short(name: str) -> str:
    """Return the end of a file name: scraped files differ there."""
    text = PurePosixPath(name).name
    return text if len(text) <= _NAME else f"…{text[1 - _NAME :]}"
