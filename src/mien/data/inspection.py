"""Inspect one file of a dataset: type, size, colour mode and issues, from its bytes alone."""

import hashlib
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from PIL import Image

from mien.arrays import UInt8
from mien.errors import ImageError
from mien.io.images.decoding import load_upright, open_header
from mien.io.images.formats import FORMAT_SUFFIXES
from mien.io.images.pixels import orientation, to_grey
from mien.io.sniffing import HEAD, begins_like_image, not_an_image

#: Images with a shorter side than this, in pixels, show no readable expression.
MIN_SIDE = 16

#: Images longer than this many times their short side are banners or strips, not photos of a face.
MAX_ASPECT = 6

#: The extensions that the classic tutorial keeps (`--strict-extensions`).
STRICT_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp"})

_KINDS_BY_CODE = {"too-many-pixels": "absurd-size", "unsupported": "unsupported-type"}
_TIFF_HEADS = (b"II*\0", b"MM\0*")
_FINGERPRINT_SIDE = 128


@dataclass(frozen=True)
class FileFacts:
    """What was found about one file.

    Attributes:
        name: its name in the dataset.
        kinds: the kinds of issue that it has (keys of `mien.data.issues.ISSUE_KINDS`).
        reason: why it cannot be used, None if it can.
        digest: sha256 of its bytes, in hexadecimal.
        size: in bytes.
        width: in pixels as stored, like `height`; 0 if unknown.
        format: Pillow's name of its format.
        grey: a small upright grey version for fingerprinting, uint8 (h, w); None if the file cannot be used.
    """

    name: str
    kinds: tuple[str, ...]
    reason: str | None = None
    digest: str = ""
    size: int = 0
    width: int = 0
    height: int = 0
    format: str = ""
    grey: UInt8 | None = None

    @property
    def usable(self) -> bool:
        """Whether the file can be trained on."""
        return self.reason is None


def inspect_file(name: str, data: bytes, strict_extensions: bool = False) -> FileFacts:
    """Inspect one file; bad content never raises.

    Args:
        name: its name, for the extension and for messages.
        data: its bytes.
        strict_extensions: report other extensions than STRICT_SUFFIXES as an issue that makes it unusable.
    """
    digest = hashlib.sha256(data).hexdigest()
    kind = not_an_image(data)
    if kind is not None:
        return FileFacts(name, (kind.kind,), kind.reason, digest, len(data))
    try:
        header = open_header(data, name)
    except ImageError as error:
        return FileFacts(name, (_unopened_kind(data, error),), error.reason, digest, len(data))
    width, height, file_format = header.width, header.height, header.format or ""
    try:
        broken = _unusable_header(header)
        # Read before and after decoding: a PNG may store it behind its pixels, a TIFF loses it there.
        turned = not broken and header.format != "PNG" and orientation(header) != 1
        grey, note = (None, None) if broken else _small_grey(header, data, name)
        turned = turned or (not broken and orientation(header) != 1)
    except ImageError as error:
        broken = ("truncated", error.reason)
    except Exception as error:  # counting frames reads the whole file, and each decoder raises its own
        broken = ("truncated", f"is damaged ({type(error).__name__})")
    if broken:
        return FileFacts(name, (broken[0],), broken[1], digest, len(data), width, height, file_format)
    suffix = PurePosixPath(name).suffix.lower()
    kinds = (*_notes(header, suffix), *(("exif-rotated",) if turned else ()), *(("cut-short",) if note else ()))
    reason = None
    if strict_extensions and suffix not in STRICT_SUFFIXES:
        kinds, reason = ("strict-extension", *kinds), f"ends in '{suffix}', not in jpg, jpeg, png or bmp"
    return FileFacts(name, kinds, reason, digest, len(data), width, height, file_format, grey)


def _unopened_kind(data: bytes, error: ImageError) -> str:
    if error.code in _KINDS_BY_CODE:
        return _KINDS_BY_CODE[error.code]
    return "truncated" if begins_like_image(data[:HEAD]) or data.startswith(_TIFF_HEADS) else "not-an-image"


def _unusable_header(image: Image.Image) -> tuple[str, str] | None:
    if image.format not in {"MPO", "TIFF", "HEIF"} and getattr(image, "is_animated", False):
        return "unsupported-type", f"is an animation of {getattr(image, 'n_frames', 2)} frames"
    short, long = sorted(image.size)
    if short < MIN_SIDE:
        return "too-small", f"is {image.width}x{image.height} pixels; at least {MIN_SIDE} on a side are needed"
    if long > MAX_ASPECT * short:
        return "absurd-size", f"is {image.width}x{image.height} pixels, a strip rather than a photo"
    return None


def _small_grey(header: Image.Image, data: bytes, name: str) -> tuple[UInt8, str | None]:
    upright, note = load_upright(header, data, name, shrink_to=_FINGERPRINT_SIDE)
    image = to_grey(upright)
    if min(image.size) > 2 * _FINGERPRINT_SIDE:
        image = image.reduce(min(image.size) // _FINGERPRINT_SIDE)
    return np.asarray(image), note


def _notes(image: Image.Image, suffix: str) -> tuple[str, ...]:
    """Return the minor issues of a usable file, all of which are converted when read."""
    found = []
    if suffix not in FORMAT_SUFFIXES[image.format or ""]:
        found.append("wrong-extension")
    if image.mode == "CMYK":
        found.append("cmyk")
    if image.mode == "P":
        found.append("palette")
    if image.mode.startswith("I") or image.mode == "F":
        found.append("sixteen-bit")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        found.append("alpha")
    return tuple(found)
