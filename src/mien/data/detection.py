"""Decide whether to find faces in the images of a dataset first, by looking at a sample of them.

Photographs are cropped to their largest face: squashed whole into the network's input, a face is a few pixels. Crops of
faces are used whole, because finding the face again only loses the images in which it is not found. Images of other
things are used whole, too.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from heapq import nsmallest
from typing import Any, get_args

from mien.data.dataset import Manifest, Sample, rows_by_name
from mien.errors import DataError, ImageError
from mien.faces.detector import Detector
from mien.inference.bundle_config import Content
from mien.inference.detection import FaceDetector, open_and_detect
from mien.runtime.cores import available_cores
from mien.runtime.threads import map_in_order

#: How many images are looked at: a share of 0.5 is then known to 0.1, in some seconds.
SAMPLE = 96
#: An image is a crop of a face if its face's box is at least this fraction of the image (geometric means of the sides)
#: and the image has at most so many pixels on its shorter side. Of drawn faces 98 % reach this fraction, of FER2013
#: all; larger images with such faces are photographs, which lose next to nothing if they are cropped (lab log).
CROP_SHARE, CROP_SIDE = 0.6, 256
#: A dataset consists of crops if at least this fraction of the images with a face are crops.
MIN_CROPS = 0.8
#: A dataset shows people if a face is found in at least this fraction of its images. Half of what a search engine
#: finds may be unusable; cats, dogs and textures stay below 0.1.
MIN_FOUND = 0.25
#: Faces are not what the classes are about if a class has hardly any: this fraction, in at least so many images.
MIN_FOUND_IN_CLASS, ENOUGH_OF_CLASS = 0.1, 8


@dataclass(frozen=True)
class DetectionChoice:
    """Whether faces are found in the images of a dataset first, and why.

    Attributes:
        detect: crop each image to its largest face (True), or use it whole (False).
        kind: what the sample shows: `photos`, `crops` or `other`; None if nothing was sampled because the caller chose.
        sampled: number of images looked at.
        found: number of these with a face.
        cropped: number of these that are crops of faces already.

    Examples:
        >>> DetectionChoice(False, "other", sampled=64).sentence
        'images: each is used whole; `detect=True` searches it for a person first'
    """

    detect: bool
    kind: Content | None = None
    sampled: int = 0
    found: int = 0
    cropped: int = 0

    @property
    def sentence(self) -> str:
        """What was decided, why, and the option that changes it; names no face if the images show other things."""
        if self.kind == "photos":
            return (
                f"faces: found in {self.found} of {self.sampled} sampled images, so each image is cropped to its "
                "largest face; `detect=False` uses it whole"
            )
        if self.kind == "crops":
            return (
                f"faces: {self.cropped} of {self.sampled} sampled images are crops of faces already, so each image is "
                "used whole; `detect=True` crops it to its largest face"
            )
        if self.kind == "other":
            blind = "" if self.sampled else "none of the sample could be read, so "
            return f"images: {blind}each is used whole; `detect=True` searches it for a person first"
        if self.detect:
            return "faces: each image is cropped to its largest face, as `detect=True` says"
        return "images: each is used whole, as `detect=False` says"

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict, as `run.json` holds it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, row: Any) -> "DetectionChoice":
        """Return the choice that `to_dict` described; DataError if the value describes none."""
        try:
            found = cls(**row)
        except TypeError:
            found = cls(False, sampled=-1)
        counts = (found.sampled, found.found, found.cropped)
        if type(found.detect) is not bool or not all(type(one) is int and one >= 0 for one in counts):
            raise DataError("does not say whether faces are found first")
        if found.kind not in (None, *get_args(Content)):
            raise DataError(f"does not say what its images show ({found.kind!r:.20})")
        return found


def choose_detection(
    manifest: Manifest,
    detect: bool | None = None,
    detector: FaceDetector | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> DetectionChoice:
    """Decide whether to find faces first, from a sample of the images, as many of each class.

    The sample depends on the file names alone: the same dataset gives the same choice. Unreadable files do not count.

    Args:
        manifest: the labelled images.
        detect: the caller's choice, which is returned without looking at any image; None decides.
        detector: finds the faces; None makes one.
        on_progress: called with the fraction done, in [0, 1].

    Examples:
        >>> from pathlib import Path
        >>> from mien.data.dataset import read_manifest
        >>> choose_detection(read_manifest(Path("data"))).kind
        'crops'
    """
    if detect is not None:
        return DetectionChoice(detect)
    report = on_progress or (lambda fraction: None)
    samples, find = choose_sample(manifest), detector or Detector(threads=1)
    seen: dict[str, list[bool | None]] = defaultdict(list)

    def look(sample: Sample) -> tuple[bool, bool | None]:
        return _look(manifest, sample, find)

    with closing(map_in_order(look, samples, available_cores())) as looks:
        for number, (sample, (readable, is_crop)) in enumerate(zip(samples, looks, strict=True)):
            if readable:
                seen[sample.label].append(is_crop)
            report((number + 1) / len(samples))
    return _conclude(seen)


def choose_sample(manifest: Manifest, count: int = SAMPLE) -> list[Sample]:
    """Return up to `count` samples, as many of each class as there are, in an order that only their names decide.

    Examples:
        >>> from pathlib import Path
        >>> from mien.data.dataset import read_manifest
        >>> len(choose_sample(read_manifest(Path("data")), 4))
        4
    """
    # More than `count` of one class are never chosen, so that of a million names few are kept.
    labels = {sample.label for sample in manifest.samples}
    classes = {
        label: nsmallest(
            count, (rows[-1] for _, rows in rows_by_name(manifest.samples) if rows[-1].label == label), key=_order
        )
        for label in labels
    }
    rounds = sorted(
        ((number, _order(one), one) for found in classes.values() for number, one in enumerate(found)),
        key=lambda row: row[:2],
    )
    return [one for _, _, one in rounds[:count]]


def _order(sample: Sample) -> bytes:
    return hashlib.sha256(sample.name.encode("utf-8", "surrogatepass")).digest()


def _look(manifest: Manifest, sample: Sample, detector: FaceDetector) -> tuple[bool, bool | None]:
    """Return whether an image can be read, and whether it is a crop of a face; None if no face is found."""
    try:
        with open_and_detect(manifest.read(sample.name), sample.name, detector, max_faces=1) as seen:
            if not seen.faces:
                return True, None
            box, (height, width) = seen.faces[0].box, seen.rgb.shape[:2]
            share = (box.width * box.height / (width * height)) ** 0.5
            return True, share >= CROP_SHARE and min(seen.width, seen.height) <= CROP_SIDE
    except ImageError:
        return False, None


def _conclude(seen: Mapping[str, list[bool | None]]) -> DetectionChoice:
    """Return the choice for what was seen of each class: True for a crop, False for a photo, None without a face."""
    every = [one for found in seen.values() for one in found]
    found, cropped = sum(one is not None for one in every), sum(one is True for one in every)
    without = any(
        len(of_class) >= ENOUGH_OF_CLASS and _found_share(of_class) < MIN_FOUND_IN_CLASS for of_class in seen.values()
    )
    kind: Content = "photos"
    if without or _found_share(every) < MIN_FOUND:
        kind = "other"
    elif cropped >= MIN_CROPS * found:
        kind = "crops"
    return DetectionChoice(kind == "photos", kind, len(every), found, cropped)


def _found_share(seen: list[bool | None]) -> float:
    return sum(one is not None for one in seen) / len(seen) if seen else 0.0
