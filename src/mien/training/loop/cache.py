"""Decode and crop every image once, into an array on disk that may be larger than memory."""

import hashlib
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from mien.arrays import UInt8
from mien.data.dataset import Manifest
from mien.errors import OutputError
from mien.faces.crop import Region, crop
from mien.io.atomic import LOCK, locked, new_file
from mien.io.images.decoding import open_image
from mien.io.images.pixels import MAX_READ_PIXELS
from mien.runtime.cores import available_cores

_BLOCK = 256


def cached_crops(
    manifest: Manifest, size: int, channels: int, folder: Path, on_progress: Callable[[float], None] | None = None,
    regions: Mapping[str, Region] | None = None,
) -> UInt8:  # fmt: skip
    """Return the crops of all samples, memory-mapped from a file in `folder`.

    The file is named by a hash of the samples' names, sizes and times and of the crop settings, so that a changed
    image is decoded again and an unchanged source is not.

    Args:
        manifest: N samples.
        size: side of the crops in pixels.
        channels: 1 (grey) or 3 (RGB).
        folder: where cache files are kept.
        on_progress: called with the fraction done, in [0, 1].
        regions: by file name, the square to crop; other images are used whole.

    Returns:
        uint8 (N, size, size, channels), [0, 255], in the order of the manifest; read-only.
    """
    regions = regions or {}
    path = folder / f"{_key(manifest, size, channels, regions)}.npy"
    shape = (len(manifest.samples), size, size, channels)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(path.with_suffix(LOCK), path, wait=0.2):  # another run may be writing the same crops
        found = _stored(path, shape)
        if found is None:
            _write(manifest, size, channels, regions, path, on_progress or (lambda fraction: None))
            found = _stored(path, shape)
    if found is None:
        raise OutputError(f"{path}: cannot be read back; is the disk damaged?")
    os.utime(path)  # the oldest file is then the least recently used
    return found


def _stored(path: Path, shape: tuple[int, ...]) -> UInt8 | None:
    """Return the crops in a cache file; None if it is missing or damaged, so that they are written again."""
    try:
        if not path.is_file():
            return None
        found: UInt8 = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return found if found.shape == shape and found.dtype == np.uint8 else None


def _key(manifest: Manifest, size: int, channels: int, regions: Mapping[str, Region]) -> str:
    digest = hashlib.sha256(f"{manifest.path.resolve()} {size} {channels}".encode("utf-8", "surrogatepass"))
    for sample in manifest.samples:
        digest.update(f"{sample.name}\0{manifest.stamp(sample.name)}\n".encode("utf-8", "surrogatepass"))
        if sample.name in regions:
            digest.update(repr(regions[sample.name]).encode())
    return digest.hexdigest()[:24]


def _write(
    manifest: Manifest, size: int, channels: int, regions: Mapping[str, Region], path: Path,
    report: Callable[[float], None],
) -> None:  # fmt: skip
    def one(name: str) -> UInt8:
        # The crop is made while the image's memory is reserved: every thread would hold an image besides.
        with open_image(manifest.read(name), name, max_pixels=MAX_READ_PIXELS, isolated="costly") as image:
            region = regions.get(name)
            if region is not None:
                region = region.scaled(image.rgb.shape[1] / image.width)
            return crop(image.rgb, size, channels, region)

    names = [sample.name for sample in manifest.samples]
    with new_file(path) as part, ThreadPoolExecutor(available_cores()) as pool, part.open("wb") as stream:
        shape = (len(names), size, size, channels)
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)
        for start in range(0, len(names), _BLOCK):
            for block in pool.map(one, names[start : start + _BLOCK]):
                stream.write(block.tobytes())
            report(min(1.0, (start + _BLOCK) / len(names)))
