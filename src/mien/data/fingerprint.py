"""Fingerprint images for near-duplicate detection: a thumbnail and a perceptual hash.

The hash follows pHash (Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010).
"""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from mien.arrays import Float32, Float64, UInt8
from mien.errors import InputError
from mien.io.spooled import SpooledRows

SIDE = 32  # pixels of a thumbnail
BITS = 64
_DIGEST = 16  # bytes
FREQUENCIES = 12  # per axis: the 64 lowest in zigzag order are among these


@dataclass(frozen=True, eq=False, slots=True)  # eq=False: arrays have no single truth value, so compare by identity
class Fingerprint:
    """The fingerprint of one image.

    Attributes:
        hash: 64 bits, the signs of the lowest DCT frequencies of `thumb`.
        thumb: uint8 (32, 32), grey, [0, 255]: the whole upright image resized to a square.
    """

    hash: int
    thumb: UInt8


class Fingerprints:
    """The fingerprints of many images in 24 bytes of memory each; the thumbnails of many lie in a temporary file.

    Examples:
        >>> prints = Fingerprints([fingerprint(np.zeros((100, 80), np.uint8))])
        >>> len(prints), prints.thumbs.shape
        (1, (1, 32, 32))
    """

    def __init__(self, prints: Iterable[Fingerprint] = ()) -> None:
        self._hashes = array("Q")
        self._digests = bytearray()
        self._thumbs = SpooledRows((SIDE, SIDE), np.dtype(np.uint8))
        self._read: UInt8 | None = None
        for one in prints:
            self.append(one)

    def append(self, one: Fingerprint) -> None:
        """Append one; InputError if its thumbnail is not uint8 (32, 32). Not after `thumbs` was read."""
        if one.thumb.dtype != np.uint8 or one.thumb.shape != (SIDE, SIDE):
            raise InputError(f"print {len(self)}: its thumb must be uint8 (32, 32); make it with fingerprint()")
        self._hashes.append(one.hash)
        self._digests += blake2b(one.thumb.tobytes(), digest_size=_DIGEST).digest()
        self._thumbs.append(one.thumb[None])

    def __len__(self) -> int:
        return len(self._hashes)

    @property
    def hashes(self) -> npt.NDArray[np.uint64]:
        """The hash of each, uint64 (N,)."""
        return np.frombuffer(self._hashes, np.uint64)

    @property
    def digests(self) -> npt.NDArray[np.bytes_]:
        """Bytes that only equal thumbnails share, (N,)."""
        return np.frombuffer(self._digests, f"S{_DIGEST}")

    @property
    def thumbs(self) -> UInt8:
        """The thumbnails, uint8 (N, 32, 32)."""
        if self._read is None:
            self._read = self._thumbs.array()
        return self._read


def fingerprint(grey: UInt8) -> Fingerprint:
    """Return the fingerprint of an upright grey image, uint8 (H, W), [0, 255].

    Raises InputError if the array is not uint8, not two-dimensional or empty.

    Examples:
        >>> fingerprint(np.zeros((100, 80), np.uint8)).thumb.shape
        (32, 32)
    """
    return fingerprints([grey])[0]


def fingerprints(greys: Sequence[UInt8]) -> list[Fingerprint]:
    """Return what `fingerprint` does of each image, in less time if there are several."""
    thumbs = [_thumbnail(grey) for grey in greys]
    if not thumbs:
        return []
    signs = np.packbits(low_frequencies(np.stack(thumbs)) > 0, axis=1)
    hashes = signs.view(">u8")[:, 0].tolist()
    return [Fingerprint(one, thumb) for one, thumb in zip(hashes, thumbs, strict=True)]


def _thumbnail(grey: UInt8) -> UInt8:
    if grey.dtype != np.uint8 or grey.ndim != 2 or grey.size == 0:
        found = f"{grey.dtype} {grey.shape}"
        raise InputError(f"a fingerprint needs a grey uint8 image (H, W), got {found}; convert it first")
    small = Image.fromarray(grey).resize((SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=3.0)
    return np.array(small)  # a copy, which holds nothing of the image


def _cosines() -> Float64:
    """Return the lowest DCT-II basis vectors, float64 (12, 32)."""
    angle = np.pi * (2 * np.arange(SIDE) + 1) / (2 * SIDE)
    return np.asarray(np.cos(np.arange(FREQUENCIES)[:, None] * angle), dtype=np.float64)


def _zigzag() -> tuple[list[int], list[int]]:
    """Return rows and columns of the 64 lowest frequencies after the mean, lowest sum first."""
    order = sorted((u + v, u, v) for u in range(FREQUENCIES) for v in range(FREQUENCIES))[1 : BITS + 1]
    return [u for _, u, _ in order], [v for _, _, v in order]


COSINES = _cosines()
LOW_ROWS, LOW_COLUMNS = _zigzag()


def low_frequencies(thumbs: npt.NDArray[Any], rows: Float64 = COSINES, columns: Float64 = COSINES) -> Float32:
    """Return the 64 lowest DCT-II coefficients after the mean, float32 (N, 64), of thumbnails (N, 32, 32).

    `rows` and `columns`, float64 (12, 32), replace the basis vectors of one axis.
    """
    spectrum = rows @ thumbs.astype(np.float64) @ columns.T
    # Rounding gives coefficients that are zero up to arithmetic noise the same sign on every machine.
    return np.ascontiguousarray(spectrum[:, LOW_ROWS, LOW_COLUMNS].round(6), dtype=np.float32)
