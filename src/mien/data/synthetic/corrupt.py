"""Corrupt a folder of labelled images the way scraped folders are corrupted, and say exactly how.

For demos, and for tests of everything that looks for data issues: the truth is known because it was planted here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from mien.errors import DataError, InputError
from mien.io.images.formats import open_listed

KINDS = (
    "zero-bytes",
    "html",
    "text",
    "truncated",
    "lfs-pointer",
    "wrong-extension",
    "cmyk",
    "palette",
    "sixteen-bit",
    "alpha",
    "exif-rotated",
    "too-small",
    "exact-duplicate",
    "near-duplicate",
    "label-conflict",
    "stray",
)
_IMAGES_NEEDED = 12  # per class: no two corruptions use the same image
_ORIENTATION = 0x0112  # EXIF tag 274
_HTML = b"<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head><body>No image.</body></html>\n"
_TEXT = b"This image is no longer available.\n"
_LICENCE = "These images are drawings made by mien. Do with them as you like.\n"


@dataclass(frozen=True)
class Corruption:
    """One planted issue.

    Attributes:
        kind: one of `KINDS`.
        files: POSIX paths relative to the folder. One file, except for "exact-duplicate" and "near-duplicate"
            (the original, then its copy) and "label-conflict" (the same image under two labels).
    """

    kind: str
    files: tuple[str, ...]


class _Corrupter:
    """Hand out unchanged images one by one, so that no two corruptions share a file."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.rng = np.random.default_rng(seed)
        self.classes = sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
        self.fresh = {name: self._shuffled(folder / name) for name in self.classes}
        self.turn = 0
        self.number = 0
        self.done: list[Corruption] = []

    def _shuffled(self, folder: Path) -> list[Path]:
        files = sorted(p for p in folder.iterdir() if p.suffix in (".jpg", ".png") and p.stat().st_size)
        return [files[i] for i in self.rng.permutation(len(files))]

    def next_class(self) -> str:
        self.turn += 1
        return self.classes[self.turn % len(self.classes)]

    def take(self, name: str | None = None, suffix: str = ".jpg") -> Path:
        """Return an unchanged image of one class (default: of the next class in turn)."""
        name = name or self.next_class()
        for path in self.fresh[name]:
            if path.suffix == suffix:
                self.fresh[name].remove(path)
                return path
        raise DataError(f"{self.folder / name}: not enough unchanged {suffix} images; write a larger dataset")

    def new(self, name: str, suffix: str) -> Path:
        """Return a free file name like those that browsers and scrapers give."""
        while True:
            self.number += 1
            path = self.folder / name / f"images ({self.number}){suffix}"
            if not path.exists():
                return path

    def note(self, kind: str, *paths: Path) -> None:
        self.done.append(Corruption(kind, tuple(p.relative_to(self.folder).as_posix() for p in paths)))


def corrupt_dataset(folder: Path, seed: int = 0) -> list[Corruption]:
    """Corrupt class folders of images in place: broken files, odd formats, copies, wrong labels, stray files.

    Args:
        folder: has two or more class folders of at least 12 intact `.jpg` images each; 20 drawings per class from
            `mien.data.synthetic.faces.write_dataset` are enough.
        seed: 0 or more; chooses the images.

    Returns:
        The planted issues, every kind of `KINDS` at least once. No file is in two of them.

    Raises:
        DataError: the folder has too few class folders or images.
        InputError: the seed is negative.
    """
    if seed < 0:
        raise InputError(f"seed is {seed}: use 0 or more")
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    corrupter = _Corrupter(folder, seed)
    if len(corrupter.classes) < 2:
        raise DataError(f"{folder}: has {len(corrupter.classes)} class folders; two or more are needed")
    for name, files in corrupter.fresh.items():
        count = sum(p.suffix == ".jpg" for p in files)
        if count < _IMAGES_NEEDED:
            raise DataError(f"{folder / name}: has {count} .jpg images; at least {_IMAGES_NEEDED} are needed")
    _plant_broken(corrupter)
    _plant_formats(corrupter)
    _plant_copies(corrupter)
    _plant_strays(corrupter)
    return corrupter.done


def _plant_broken(corrupter: _Corrupter) -> None:
    """Plant files that are not images, or only the start of one."""
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4d" * 32 + b"\nsize 12345\n"
    for kind, suffix, content in (
        ("zero-bytes", ".jpg", b""),
        ("html", ".jpg", _HTML),
        ("text", ".png", _TEXT),
        ("lfs-pointer", ".jpg", pointer),
    ):
        path = corrupter.new(corrupter.next_class(), suffix)
        path.write_bytes(content)
        corrupter.note(kind, path)
    path = corrupter.take()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    corrupter.note("truncated", path)


def _plant_formats(corrupter: _Corrupter) -> None:
    """Plant images in unusual formats, and images whose name or EXIF data mislead."""
    for _ in range(3):
        path = corrupter.take()
        _resave(path, path, "PNG", lambda image: image)
        corrupter.note("wrong-extension", path)
    for kind, suffix, kind_of_file, change in (
        ("cmyk", ".jpg", "JPEG", lambda image: image.convert("CMYK")),
        ("palette", ".gif", "GIF", lambda image: image.quantize(64)),
        ("palette", ".png", "PNG", lambda image: image.quantize(64)),
        ("sixteen-bit", ".png", "PNG", _sixteen_bit),
        ("alpha", ".png", "PNG", _with_alpha),
        ("too-small", ".jpg", "JPEG", lambda image: image.resize((8, 8))),
    ):
        old = corrupter.take()
        path = old.with_suffix(suffix)
        _resave(old, path, kind_of_file, change)
        corrupter.note(kind, path)
    for orientation, turn in ((6, Image.Transpose.ROTATE_90), (3, Image.Transpose.ROTATE_180)):
        path = corrupter.take()
        exif = Image.Exif()
        exif[_ORIENTATION] = orientation
        with open_listed(path) as image:
            stored = image.transpose(turn)
        stored.save(path, "JPEG", quality=92, exif=exif)
        corrupter.note("exif-rotated", path)


def _resave(old: Path, new: Path, kind_of_file: str, change: Callable[[Image.Image], Image.Image]) -> None:
    with open_listed(old) as image:
        changed = change(image.convert("RGB"))
    old.unlink()
    changed.save(new, kind_of_file)


def _sixteen_bit(image: Image.Image) -> Image.Image:
    """Return a 16-bit grey image; 255 becomes 65535."""
    return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)


def _with_alpha(image: Image.Image) -> Image.Image:
    """Return RGBA with transparent corners; the hidden pixels are black, as cut-out tools leave them."""
    height, width = image.height, image.width
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    seen = (x**2 + y**2 <= 1.4)[..., None]
    pixels = np.asarray(image) * seen
    return Image.fromarray(np.concatenate([pixels, seen * 255], axis=2).astype(np.uint8))


def _plant_copies(corrupter: _Corrupter) -> None:
    """Plant copies of images: exact, near, and under another label."""
    for _ in range(2):
        path = corrupter.take()
        copy = corrupter.new(path.parent.name, path.suffix)
        copy.write_bytes(path.read_bytes())
        corrupter.note("exact-duplicate", path, copy)
    for change in (lambda image: image, _resized, _cropped, _brightened):
        path = corrupter.take()
        copy = corrupter.new(path.parent.name, ".jpg")
        with open_listed(path) as image:
            change(image.convert("RGB")).save(copy, "JPEG", quality=70)
        corrupter.note("near-duplicate", path, copy)
    for name, other in (corrupter.classes[:2], corrupter.classes[1::-1]):
        path = corrupter.take(name)
        copy = corrupter.new(other, path.suffix)
        copy.write_bytes(path.read_bytes())
        corrupter.note("label-conflict", path, copy)


def _resized(image: Image.Image) -> Image.Image:
    return image.resize((round(image.width * 0.75), round(image.height * 0.75)))


def _cropped(image: Image.Image) -> Image.Image:
    dx, dy = max(1, round(image.width * 0.03)), max(1, round(image.height * 0.03))
    return image.crop((dx, dy, image.width - dx, image.height - dy))


def _brightened(image: Image.Image) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(1.15)


def _plant_strays(corrupter: _Corrupter) -> None:
    """Plant files that belong to no class, or to the machine that zipped the folder."""
    licence = corrupter.folder / "LICENSE.txt"
    licence.write_text(_LICENCE, encoding="utf-8")
    corrupter.note("stray", licence)
    store = corrupter.folder / corrupter.classes[0] / ".DS_Store"
    store.write_bytes(b"\x00\x00\x00\x01Bud1" + bytes(24))
    corrupter.note("stray", store)
