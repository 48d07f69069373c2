"""Decode images as small as will do and detect their faces: all of them, or the largest alone after a quick look."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import Protocol

from mien.arrays import RGB
from mien.faces.choice import chosen_first
from mien.faces.crop import face_region
from mien.faces.detector import only_tiny
from mien.inference.caution import join_reasons
from mien.io.images.decoding import Isolation, open_image
from mien.io.images.loading import Decoded
from mien.io.images.pixels import MAX_READ_PIXELS
from mien.io.images.source import EncodedImage
from mien.results import Box, Detection

#: A large JPEG is decoded at 1/2, 1/4 or 1/8 of its size for detection, never below this many pixels on a side.
MIN_DETECTION_SIDE = 960

#: The same for a quick look for the largest face alone: photos of 1024 pixels, 3:2 or squarer, are decoded at 1/2.
MIN_QUICK_SIDE = 340
#: A crop is taken from an image decoded for a quick look if it has this many times the pixels it needs, on a side.
MIN_CROP_GAIN = 1.5

#: Most faces of an image that are classified. A row says if there are more.
MAX_FACES = 500


class FaceDetector(Protocol):
    """Detects the faces of an image, largest first, as `mien.faces.detector.Detector` does."""

    def __call__(self, rgb: RGB, /, *, tiles: bool = True) -> Sequence[Detection]:
        """Detect faces in uint8 (H, W, 3), RGB; `tiles`: also search a large image in parts if only tiny ones show."""

    def find_largest(self, rgb: RGB, /, full: tuple[int, int] | None = None) -> Detection | None:
        """Return the largest face if a quick look shows it for certain; None: detect all.

        `full` is the width and height of an image that was decoded smaller.
        """


@dataclass(frozen=True, eq=False)
class DecodedImage:
    """A decoded image and its faces, largest first.

    `rgb` is uint8 (H, W, 3), perhaps smaller than the image in full, and the `faces` are in its pixels. `width` and
    `height` are pixels of the upright image in full. `note` says what is unusual about a file that was read.
    """

    rgb: RGB
    faces: Sequence[Detection]
    width: int
    height: int
    note: str | None = None

    def full_size_faces(self) -> list[Detection]:
        """Return the faces in pixels of the image in full."""
        return [face.rescaled(self.rgb.shape, (self.height, self.width)) for face in self.faces]


@contextmanager
def open_and_detect(
    source: EncodedImage, name: str, detector: FaceDetector, min_side: int = 0, max_faces: int | None = None,
    *, isolated: Isolation = "unbounded", chosen: Box | None = None,
) -> Iterator[DecodedImage]:  # fmt: skip
    """Decode an image as small as will do and detect its faces.

    A large JPEG is decoded small first. If that shows no face or only tiny ones, it is decoded again, at up to
    `MAX_READ_PIXELS`, and searched as any other image is. If it shows a face in too few pixels, it is decoded
    again for that face's pixels, and not searched. Memory is reserved while the block runs, as in `open_image`.

    If one face is asked for, a quick look comes before, at a still smaller JPEG.

    Args:
        source: the path or the bytes of an image file.
        name: what errors call it.
        detector: detects the faces.
        min_side: pixels that the side of each face's crop should have, if the file has them.
        max_faces: take at most so many faces, the largest; None takes `MAX_FACES`, and a note says if there are more.
        isolated: as in `open_image`.
        chosen: the face that comes first, in pixels of the upright image in full; None puts the largest first.

    Raises:
        ImageError: the image cannot be decoded.
    """
    decoder = partial(open_image, source, name, max_pixels=MAX_READ_PIXELS, isolated=isolated)
    quick = max_faces == 1 and chosen is None
    face, side = None, MIN_DETECTION_SIDE
    if quick:
        with decoder(shrink_to=MIN_QUICK_SIDE) as decoded:
            small = _is_small(decoded)
            face = detector.find_largest(decoded.rgb, (decoded.width, decoded.height))
            pixels = face_region(face).side if face else 0.0
            if not small or (face is not None and pixels >= MIN_CROP_GAIN * min_side):
                faces = [face] if face is not None else detector(decoded.rgb)[:1]
                yield DecodedImage(decoded.rgb, faces, decoded.width, decoded.height, decoded.note)
                return
            shape = decoded.rgb.shape
            if face is not None:
                side = ceil(min(shape[:2]) * MIN_CROP_GAIN * min_side / pixels)
            del decoded
    with decoder(shrink_to=side) as decoded:
        rgb, width, height, note, _ = decoded
        if face is not None:
            yield DecodedImage(rgb, [face.rescaled(shape, rgb.shape)], width, height, note)
            return
        small, full, shape = _is_small(decoded), (height, width), rgb.shape
        faces, more = _ordered(detector(rgb, tiles=not small), max_faces, chosen, full, shape)
        search = only_tiny(faces, shape)
        if not small or not (search or any(face_region(face).side < min_side for face in faces)):
            yield DecodedImage(rgb, faces, width, height, join_reasons(note, more))
            return
        del rgb, decoded
    with decoder() as (rgb, width, height, note, _):
        if search:
            faces, more = _ordered(detector(rgb), max_faces, chosen, full, rgb.shape)
        else:
            faces = [face.rescaled(shape, rgb.shape) for face in faces]
        yield DecodedImage(rgb, faces, width, height, join_reasons(note, more))


def detect_faces(
    detector: FaceDetector, rgb: RGB, max_faces: int | None = None
) -> tuple[Sequence[Detection], str | None]:  # fmt: skip
    """Detect the faces of a decoded image, the largest first; also return a note if there are too many.

    If one face is asked for, a quick look comes first.

    Args:
        detector: detects the faces.
        rgb: uint8 (H, W, 3), RGB, [0, 255].
        max_faces: as in `open_and_detect`.
    """
    face = detector.find_largest(rgb) if max_faces == 1 else None
    return ([face], None) if face is not None else _largest(detector(rgb), max_faces)


def _is_small(decoded: Decoded) -> bool:
    """Return whether the file has more pixels than were decoded."""
    return decoded.format in ("JPEG", "MPO") and decoded.rgb.shape[1] < decoded.width


def _ordered(
    found: Sequence[Detection], max_faces: int | None, chosen: Box | None, full: tuple[int, int], shape: tuple[int, ...]
) -> tuple[Sequence[Detection], str | None]:
    """Return faces as `_largest`, but the chosen one first, whose box is in pixels of the size `full`."""
    if chosen is not None:
        found = chosen_first(found, Detection(chosen, (), 1.0).rescaled(full, shape).box)
    return _largest(found, max_faces)


def _largest(found: Sequence[Detection], max_faces: int | None) -> tuple[Sequence[Detection], str | None]:
    """Return the largest faces, and a note if not all of them were asked for but there are too many."""
    if max_faces is not None or len(found) <= MAX_FACES:
        return found[:max_faces], None
    return found[:MAX_FACES], f"only the largest {MAX_FACES} of {len(found):,} faces were read"
