"""Draw a contact sheet: thumbnails of the files that have issues, worst first, and of copies beside their originals."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import PurePosixPath

import numpy as np
from PIL import Image

from mien.arrays import UInt8
from mien.data.audit import Audit
from mien.data.issues import Issue
from mien.errors import ImageError
from mien.io.images.decoding import decode
from mien.results import Box
from mien.viz.mosaic import mosaic

#: Longer side of a thumbnail, in pixels.
TILE = 112
#: Most thumbnails per kind of issue and class.
MOST = 40
#: Issues that only the face shows: in a photograph, a thumbnail of all of it would hide it.
_OF_THE_FACE = ("label-issue", "not-a-photograph", "face-too-small")
_CONTEXT = 2.0  # what is shown around a face, in sides of its box
_NAME = 20  # characters of a file name that fit below a thumbnail


def contact_sheet(found: Audit) -> Image.Image:
    """Draw the files of an audit that have issues: one row per kind and class, worst first, at most MOST in each.

    A copy stands beside its original, which has a star. Copies under several labels share one row. Of a doubtful label
    or a drawing, the face is shown, not all of the photograph. Files that cannot be shown, such as damaged ones, are
    skipped.
    """
    rows: dict[str, list[UInt8]] = {}
    captions: dict[str, list[str]] = {}
    labels: dict[str, set[str]] = defaultdict(set)
    for sample in found.manifest.samples:
        labels[sample.name].add(sample.label)
    for issue in found.issues:
        for label, groups in _groups_by_label(issue, labels).items():
            names = [name for group in groups for name in group]
            shown = _thumbnails(found, names, issue.kind in _OF_THE_FACE)
            if shown:
                heading = _heading(issue, label, names, shown)
                rows[heading] = list(shown.values())
                captions[heading] = [_caption(name, issue, "" if label else _listed(labels[name])) for name in shown]
    title = f"{found.manifest.path.name}: what mien check found, worst first"
    return mosaic(rows, title, TILE, captions=captions)


def _groups_by_label(issue: Issue, labels: Mapping[str, set[str]]) -> dict[str, list[list[str]]]:
    """Group an issue's files with their copies, originals first; the key "" has the groups with several labels."""
    files, grouped = set(issue.files), {name for group in issue.groups for name in group}
    groups = [sorted(group, key=files.__contains__) for group in issue.groups]
    groups += [[name] for name in issue.files if name not in grouped]
    by_label: dict[str, list[list[str]]] = defaultdict(list)
    for group in groups:
        given = set().union(*(labels.get(name, ()) for name in group))
        if given:
            by_label[_listed(given) if len(given) == 1 else ""].append(group)
    return dict(sorted(by_label.items()))


def _listed(labels: set[str]) -> str:
    return ", ".join(sorted(labels))


def _thumbnails(found: Audit, names: list[str], of_the_face: bool) -> dict[str, UInt8]:
    """Shrink images, or what is around their faces, by name; MOST at most."""
    shown: dict[str, UInt8] = {}
    for name in names:
        if len(shown) == MOST:
            break
        try:
            face = found.faces.get(name) if of_the_face else None
            image = Image.fromarray(decode(found.manifest.read(name), name, shrink_to=None if face else TILE))
        except ImageError:
            continue
        if face:
            image = image.crop(_around(face, image.size))
        image.thumbnail((TILE, TILE))
        shown[name] = np.asarray(image)
    return shown


def _around(face: Box, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the corners of what is shown around a face, inside an image of this width and height."""
    beside = round((_CONTEXT - 1) / 2 * max(face.width, face.height))
    left, top = max(face.x - beside, 0), max(face.y - beside, 0)
    return left, top, min(face.x + face.width + beside, size[0]), min(face.y + face.height + beside, size[1])


def _heading(issue: Issue, label: str, names: list[str], shown: Mapping[str, UInt8]) -> str:
    files = set(issue.files)
    count, drawn = len(files.intersection(names)), len(files & shown.keys())
    text = issue.title.rstrip("?") + (f", in {label}" if label else "") + f": {count}"
    if drawn < count:
        text += f" (the {'worst' if issue.notes else 'first'} {drawn})"
    return text + (", beside their originals (*)" if drawn < len(shown) else "")


def _caption(name: str, issue: Issue, labels: str) -> str:
    """Return the end of a file name: scraped files differ there. A star marks an original."""
    text = PurePosixPath(name).name
    before = ("" if name in issue.files else "* ") + (f"{labels}: " if labels else "")
    room = max(_NAME - len(before), _NAME // 2)
    return before + (text if len(text) <= room else f"…{text[1 - room :]}")
