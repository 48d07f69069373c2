"""Inspect one file of a dataset: type, size, colour mode and issues, from its bytes alone."""

import hashlib
from dataclasses import dataclass
from pathlib import PurePosixPath

from mien.arrays import UInt8
from mien.data.issues import kind_of
from mien.errors import ImageError
from mien.io.images.examination import MAX_FRAMES, Examined, examine_isolated
from mien.io.images.formats import FORMAT_SUFFIXES
from mien.io.sniffing import HEAD, begins_like_image, not_an_image

#: Images with a shorter side than this, in pixels, show no readable expression.
MIN_SIDE = 16

#: Images longer than this many times their short side are banners or strips, not photos of a face.
MAX_ASPECT = 6

#: The extensions that the classic tutorial keeps (`--strict-extensions`).
STRICT_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp"})

_TIFF_HEADS = (b"II*\0", b"MM\0*")
_FINGERPRINT_SIDE = 128


@dataclass(frozen=True, slots=True)  # there may be a million
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
        grey, found = examine_isolated(data, name, MIN_SIDE, MAX_ASPECT, _FINGERPRINT_SIDE)
    except ImageError as error:
        return FileFacts(name, (_unopened_kind(data, error),), error.reason, digest, len(data))
    broken = _why_unusable(found)
    if broken:
        return FileFacts(name, (broken[0],), broken[1], digest, len(data), found.width, found.height, found.format)
    suffix = PurePosixPath(name).suffix.lower()
    kinds = _notes(found, suffix)
    reason = None
    if strict_extensions and suffix not in STRICT_SUFFIXES:
        kinds, reason = ("strict-extension", *kinds), f"ends in '{suffix}', not in jpg, jpeg, png or bmp"
    return FileFacts(name, kinds, reason, digest, len(data), found.width, found.height, found.format, grey)


def _unopened_kind(data: bytes, error: ImageError) -> str:
    damaged = begins_like_image(data[:HEAD]) or data.startswith(_TIFF_HEADS)
    return kind_of(error.code, "truncated" if damaged else "not-an-image")


def _why_unusable(found: Examined) -> tuple[str, str] | None:
    """Return the kind of issue for which an image cannot be used, and the reason."""
    if found.frames > 1:
        count = f"more than {MAX_FRAMES - 1}" if found.frames == MAX_FRAMES else found.frames
        return "unsupported-type", f"is an animation of {count} frames"
    short, long = sorted((found.width, found.height))
    if short < MIN_SIDE:
        return "too-small", f"is {found.width}x{found.height} pixels; at least {MIN_SIDE} on a side are needed"
    if long > MAX_ASPECT * short:
        return "absurd-size", f"is {found.width}x{found.height} pixels, a strip rather than a photo"
    return None if found.error is None else (kind_of(found.error_code, "truncated"), found.error)


def _notes(found: Examined, suffix: str) -> tuple[str, ...]:
    """Return the minor issues of a usable file, all of which are converted when read."""
    noted = {
        "wrong-extension": suffix not in FORMAT_SUFFIXES[found.format],
        "cmyk": found.mode == "CMYK",
        "palette": found.mode == "P",
        "sixteen-bit": found.mode.startswith("I") or found.mode == "F",
        "alpha": found.transparent,
        "exif-rotated": found.turned,
        "cut-short": found.note is not None,
    }
    return tuple(kind for kind, is_so in noted.items() if is_so)
