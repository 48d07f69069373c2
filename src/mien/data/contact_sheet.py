"""A contact sheet: the files that a check found faulty, as thumbnails, worst first, to look at before deciding."""

from pathlib import PurePosixPath

import numpy as np
from PIL import Image

from mien.arrays import UInt8
from mien.data.audit import Audit
from mien.data.issues import Issue
from mien.errors import ImageError
from mien.io.image import decode
from mien.viz.mosaic import mosaic

#: Longer side of a picture on the sheet, in pixels.
TILE = 112
#: Pictures of one kind and class; of more, the worst are shown.
MOST = 40
_NAME = 20  # letters of a file's name that fit below a picture


def contact_sheet(found: Audit) -> Image.Image:
    """Draw the faulty files of an audit: a row per kind of fault and class, worst first, at most MOST in each.

    Kinds of which nothing can be shown, such as damaged files, are left out.
    """
    rows: dict[str, list[UInt8]] = {}
    captions: dict[str, list[str]] = {}
    labels = {sample.name: sample.label for sample in found.manifest.samples}
    for fault in found.faults:
        for label in found.manifest.classes:
            names = [name for name in fault.files if labels.get(name) == label]
            shown = _thumbnails(found, names)
            if shown:
                heading = f"{fault.title}, in {label}: {len(names)}" + _rest(fault, len(names), len(shown))
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


def _rest(fault: Issue, count: int, shown: int) -> str:
    return f" (the {'worst' if fault.notes else 'first'} {shown})" if shown < count else ""


def _short(name: str) -> str:
    """Return the end of a file's name, which is what tells scraped files apart."""
    text = PurePosixPath(name).name
    return text if len(text) <= _NAME else f"…{text[1 - _NAME :]}"
