"""Read a folder of images that nobody has sorted into classes yet."""

from collections.abc import Sequence
from pathlib import Path

from mien.data.dataset import Manifest, Sample
from mien.data.layouts.reading import read_layout, read_unsorted
from mien.errors import DataError


def is_unsorted(path: Path, classes: Sequence[str] | None) -> bool:
    """Return whether a source has none of the wanted classes, so that its images must be labelled first.

    Raises DataError if it holds no labels and no classes are wanted.
    """
    try:
        found = read_layout(path).classes
    except DataError as error:
        if not classes or not path.exists():
            raise DataError(f"{error}; to label the images by eye, name the `classes=`") from None
        return True
    return bool(classes) and not found.intersection(classes or ())


def read_unsorted_manifest(path: Path, classes: Sequence[str]) -> Manifest:
    """Return all images of a folder or an archive, without labels; DataError if it has none."""
    found = read_unsorted(path)
    samples = tuple(Sample(one.name, "") for one in sorted(found.samples, key=lambda one: one.name))
    note = f"labels the images of {path} from the beginning: it has no folders {', '.join(classes)}"
    return Manifest(path, tuple(classes), samples, found.source, notes=(note,))
