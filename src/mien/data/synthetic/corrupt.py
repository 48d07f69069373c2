"""Spoils a folder of labelled pictures the way scraped folders are spoiled, and says exactly how.

For demos and for tests of whatever looks for such faults: the truth is known, because it was planted here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from mien.errors import DataError, InputError

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
_PICTURES_NEEDED = 12  # of each class: each fault takes a picture of its own
_ORIENTATION = 0x0112  # EXIF tag 274
_HTML = b"<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head><body>No picture.</body></html>\n"
_TEXT = b"This picture is no longer available.\n"
_LICENCE = "These pictures are drawings made by mien. Do with them as you like.\n"


@dataclass(frozen=True)
class Spoiled:
    """One planted fault.

    Attributes:
        kind: one of `KINDS`.
        files: POSIX paths relative to the folder. One file, except for "exact-duplicate" and "near-duplicate"
            (the original, then its copy) and "label-conflict" (the same picture under two labels).
    """

    kind: str
    files: tuple[str, ...]


class _Spoiler:
    """Takes untouched pictures one by one, so that no two faults share a file."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.rng = np.random.default_rng(seed)
        self.classes = sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
        self.fresh = {name: self._shuffled(folder / name) for name in self.classes}
        self.turn = 0
        self.number = 0
        self.done: list[Spoiled] = []

    def _shuffled(self, folder: Path) -> list[Path]:
        files = sorted(p for p in folder.iterdir() if p.suffix in (".jpg", ".png") and p.stat().st_size)
        return [files[i] for i in self.rng.permutation(len(files))]

    def next_class(self) -> str:
        self.turn += 1
        return self.classes[self.turn % len(self.classes)]

    def take(self, name: str | None = None, suffix: str = ".jpg") -> Path:
        """An untouched picture of one class (of the next class in turn if `name` is None)."""
        name = name or self.next_class()
        for path in self.fresh[name]:
            if path.suffix == suffix:
                self.fresh[name].remove(path)
                return path
        raise DataError(f"{self.folder / name}: not enough untouched {suffix} pictures; write a larger one")

    def new(self, name: str, suffix: str) -> Path:
        """A free file name as a browser or a scraper gives it."""
        while True:
            self.number += 1
            path = self.folder / name / f"images ({self.number}){suffix}"
            if not path.exists():
                return path

    def note(self, kind: str, *paths: Path) -> None:
        self.done.append(Spoiled(kind, tuple(p.relative_to(self.folder).as_posix() for p in paths)))


def spoil_dataset(folder: Path, seed: int = 0) -> list[Spoiled]:
    """Spoil class folders of pictures in place: broken files, odd formats, copies, wrong labels, strays.

    Args:
        folder: holds two or more class folders of at least 12 sound `.jpg` pictures each; 20 drawings a class
            from `mien.data.synthetic.faces.write_dataset` are enough.
        seed: 0 or more; chooses which pictures suffer.

    Returns:
        What was planted, every kind of `KINDS` at least once. No file is in two entries.

    Raises:
        DataError: the folder holds too few class folders or pictures.
        InputError: the seed is negative.
    """
    if seed < 0:
        raise InputError(f"seed is {seed}: use 0 or more")
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    spoiler = _Spoiler(folder, seed)
    if len(spoiler.classes) < 2:
        raise DataError(f"{folder}: holds {len(spoiler.classes)} class folders, but two or more are needed")
    for name, files in spoiler.fresh.items():
        count = sum(p.suffix == ".jpg" for p in files)
        if count < _PICTURES_NEEDED:
            raise DataError(f"{folder / name}: holds {count} .jpg pictures, but needs {_PICTURES_NEEDED}")
    _plant_broken(spoiler)
    _plant_formats(spoiler)
    _plant_copies(spoiler)
    _plant_strays(spoiler)
    return spoiler.done


def _plant_broken(spoiler: _Spoiler) -> None:
    """Files that are no picture, or only the start of one."""
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4d" * 32 + b"\nsize 12345\n"
    for kind, suffix, content in (
        ("zero-bytes", ".jpg", b""),
        ("html", ".jpg", _HTML),
        ("text", ".png", _TEXT),
        ("lfs-pointer", ".jpg", pointer),
    ):
        path = spoiler.new(spoiler.next_class(), suffix)
        path.write_bytes(content)
        spoiler.note(kind, path)
    path = spoiler.take()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    spoiler.note("truncated", path)


def _plant_formats(spoiler: _Spoiler) -> None:
    """Pictures that can be read, but not by everyone, or not as they seem."""
    for _ in range(3):
        path = spoiler.take()
        _resave(path, path, "PNG", lambda picture: picture)
        spoiler.note("wrong-extension", path)
    for kind, suffix, kind_of_file, change in (
        ("cmyk", ".jpg", "JPEG", lambda picture: picture.convert("CMYK")),
        ("palette", ".gif", "GIF", lambda picture: picture.quantize(64)),
        ("palette", ".png", "PNG", lambda picture: picture.quantize(64)),
        ("sixteen-bit", ".png", "PNG", _sixteen_bit),
        ("alpha", ".png", "PNG", _with_alpha),
        ("too-small", ".jpg", "JPEG", lambda picture: picture.resize((8, 8))),
    ):
        old = spoiler.take()
        path = old.with_suffix(suffix)
        _resave(old, path, kind_of_file, change)
        spoiler.note(kind, path)
    for orientation, turn in ((6, Image.Transpose.ROTATE_90), (3, Image.Transpose.ROTATE_180)):
        path = spoiler.take()
        exif = Image.Exif()
        exif[_ORIENTATION] = orientation
        with Image.open(path) as picture:
            stored = picture.transpose(turn)
        stored.save(path, "JPEG", quality=92, exif=exif)
        spoiler.note("exif-rotated", path)


def _resave(old: Path, new: Path, kind_of_file: str, change: Callable[[Image.Image], Image.Image]) -> None:
    with Image.open(old) as picture:
        changed = change(picture.convert("RGB"))
    old.unlink()
    changed.save(new, kind_of_file)


def _sixteen_bit(picture: Image.Image) -> Image.Image:
    """Grey, 0-65535: 8-bit 255 becomes 65535."""
    return Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)


def _with_alpha(picture: Image.Image) -> Image.Image:
    """RGBA with see-through corners; the hidden pixels are black, as cut-out tools leave them."""
    height, width = picture.height, picture.width
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    seen = (x**2 + y**2 <= 1.4)[..., None]
    pixels = np.asarray(picture) * seen
    return Image.fromarray(np.concatenate([pixels, seen * 255], axis=2).astype(np.uint8))


def _plant_copies(spoiler: _Spoiler) -> None:
    """The same picture twice: to the byte, nearly, and under two labels."""
    for _ in range(2):
        path = spoiler.take()
        copy = spoiler.new(path.parent.name, path.suffix)
        copy.write_bytes(path.read_bytes())
        spoiler.note("exact-duplicate", path, copy)
    for change in (lambda p: p, _resized, _cropped, _brightened):
        path = spoiler.take()
        copy = spoiler.new(path.parent.name, ".jpg")
        with Image.open(path) as picture:
            change(picture.convert("RGB")).save(copy, "JPEG", quality=70)
        spoiler.note("near-duplicate", path, copy)
    for name, other in (spoiler.classes[:2], spoiler.classes[1::-1]):
        path = spoiler.take(name)
        copy = spoiler.new(other, path.suffix)
        copy.write_bytes(path.read_bytes())
        spoiler.note("label-conflict", path, copy)


def _resized(picture: Image.Image) -> Image.Image:
    return picture.resize((round(picture.width * 0.75), round(picture.height * 0.75)))


def _cropped(picture: Image.Image) -> Image.Image:
    dx, dy = max(1, round(picture.width * 0.03)), max(1, round(picture.height * 0.03))
    return picture.crop((dx, dy, picture.width - dx, picture.height - dy))


def _brightened(picture: Image.Image) -> Image.Image:
    return ImageEnhance.Brightness(picture).enhance(1.15)


def _plant_strays(spoiler: _Spoiler) -> None:
    """Files that belong to no class, or to the machine that zipped the folder."""
    licence = spoiler.folder / "LICENSE.txt"
    licence.write_text(_LICENCE, encoding="utf-8")
    spoiler.note("stray", licence)
    store = spoiler.folder / spoiler.classes[0] / ".DS_Store"
    store.write_bytes(b"\x00\x00\x00\x01Bud1" + bytes(24))
    spoiler.note("stray", store)
