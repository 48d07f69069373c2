"""Every planted issue is what it says, and everything else is left as it was."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps, UnidentifiedImageError

from mien.data.synthetic.corrupt import KINDS, Corruption, corrupt_dataset
from mien.data.synthetic.faces import write_dataset
from mien.errors import DataError, InputError

PER_CLASS, SIZE = 24, 96


def contents(folder: Path) -> dict[str, str]:
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def upright(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB")).astype(float)


class Corrupted:
    """A clean dataset, its corrupted twin, and what was planted."""

    def __init__(self, root: Path) -> None:
        self.clean, self.folder = root / "clean", root / "corrupted"
        for folder in (self.clean, self.folder):
            write_dataset(folder, PER_CLASS, seed=4, size=SIZE)
        self.planted = corrupt_dataset(self.folder, seed=9)

    def of(self, kind: str) -> list[tuple[Path, ...]]:
        found = [tuple(self.folder / name for name in s.files) for s in self.planted if s.kind == kind]
        assert found, kind
        return found

    def one(self, kind: str) -> Path:
        ((path,),) = self.of(kind)
        return path

    def original(self, path: Path) -> np.ndarray:
        """The clean image that was at `path` before, under any suffix."""
        (found,) = (self.clean / path.parent.name).glob(path.stem + ".*")
        return upright(found)


@pytest.fixture(scope="module")
def corrupted(tmp_path_factory: pytest.TempPathFactory) -> Corrupted:
    return Corrupted(tmp_path_factory.mktemp("corrupted"))


def test_every_kind_is_planted_and_no_file_is_named_twice(corrupted: Corrupted) -> None:
    assert {s.kind for s in corrupted.planted} == set(KINDS)
    files = [name for s in corrupted.planted for name in s.files]
    assert len(files) == len(set(files))
    assert all((corrupted.folder / name).is_file() for name in files)


def test_what_is_not_named_is_as_it_was(corrupted: Corrupted) -> None:
    before, after = contents(corrupted.clean), contents(corrupted.folder)
    named = {name for s in corrupted.planted for name in s.files}
    assert {name: after[name] for name in after if name not in named}.items() <= before.items()
    gone = {Path(name).with_suffix("") for name in before.keys() - after.keys()}
    assert gone <= {Path(name).with_suffix("") for name in named}  # only under another suffix


def test_the_same_seed_corrupts_the_same_way(corrupted: Corrupted, tmp_path: Path) -> None:
    write_dataset(tmp_path, PER_CLASS, seed=4, size=SIZE)
    assert corrupt_dataset(tmp_path, seed=9) == corrupted.planted
    assert contents(tmp_path) == contents(corrupted.folder)


def test_another_seed_corrupts_other_images(corrupted: Corrupted, tmp_path: Path) -> None:
    write_dataset(tmp_path, PER_CLASS, seed=4, size=SIZE)
    assert corrupt_dataset(tmp_path, seed=10) != corrupted.planted


@pytest.mark.parametrize(
    ("kind", "suffix", "start"),
    [
        ("zero-bytes", ".jpg", b""),
        ("html", ".jpg", b"<!DOCTYPE html>"),
        ("text", ".png", b"This image"),
        ("lfs-pointer", ".jpg", b"version https://git-lfs.github.com/spec/v1\noid sha256:"),
    ],
)
def test_no_image_under_the_name_of_one(corrupted: Corrupted, kind: str, suffix: str, start: bytes) -> None:
    path = corrupted.one(kind)
    assert path.suffix == suffix
    assert path.read_bytes().startswith(start)
    assert bool(path.stat().st_size) == (kind != "zero-bytes")
    with pytest.raises(UnidentifiedImageError):
        Image.open(path)


def test_truncated_opens_but_does_not_load(corrupted: Corrupted) -> None:
    with Image.open(corrupted.one("truncated")) as image:
        assert image.size == (SIZE, SIZE)
        with pytest.raises(OSError, match="truncated"):
            image.load()


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("wrong-extension", {(".jpg", "PNG", "RGB")}),
        ("cmyk", {(".jpg", "JPEG", "CMYK")}),
        ("palette", {(".gif", "GIF", "P"), (".png", "PNG", "P")}),
        ("sixteen-bit", {(".png", "PNG", "I;16")}),
        ("alpha", {(".png", "PNG", "RGBA")}),
    ],
)
def test_formats_and_modes(corrupted: Corrupted, kind: str, found: set[tuple[str, str, str]]) -> None:
    seen = set()
    for (path,) in corrupted.of(kind):
        with Image.open(path) as image:
            seen.add((path.suffix, image.format, image.mode))
    assert seen == found


@pytest.mark.parametrize("kind", ["wrong-extension", "cmyk", "palette"])
def test_odd_formats_still_show_the_same_image(corrupted: Corrupted, kind: str) -> None:
    for (path,) in corrupted.of(kind):
        assert np.abs(upright(path) - corrupted.original(path)).mean() < 12


def test_sixteen_bits_use_the_whole_range(corrupted: Corrupted) -> None:
    path = corrupted.one("sixteen-bit")
    with Image.open(path) as image:
        levels = np.asarray(image).astype(float)
    assert levels.max() > 255
    assert np.abs(levels / 257 - corrupted.original(path).mean(axis=2)).mean() < 15


def test_alpha_hides_the_corners_and_keeps_the_face(corrupted: Corrupted) -> None:
    with Image.open(corrupted.one("alpha")) as image:
        alpha = np.asarray(image)[..., 3]
    assert alpha[0, 0] == 0
    assert alpha[SIZE // 2, SIZE // 2] == 255


def test_exif_rotated_is_upright_only_through_its_tag(corrupted: Corrupted) -> None:
    tags = set()
    for (path,) in corrupted.of("exif-rotated"):
        original = corrupted.original(path)
        with Image.open(path) as image:
            tags.add(image.getexif()[0x0112])
            stored = np.asarray(image.convert("RGB")).astype(float)
        assert np.abs(upright(path) - original).mean() < 5
        assert np.abs(stored - original).mean() > 10
    assert tags == {3, 6}


def test_too_small(corrupted: Corrupted) -> None:
    with Image.open(corrupted.one("too-small")) as image:
        assert image.size == (8, 8)


def test_exact_duplicates_have_equal_bytes_and_one_label(corrupted: Corrupted) -> None:
    for one, two in corrupted.of("exact-duplicate"):
        assert one.read_bytes() == two.read_bytes()
        assert one.parent == two.parent


def test_label_conflicts_have_equal_bytes_and_two_labels(corrupted: Corrupted) -> None:
    for one, two in corrupted.of("label-conflict"):
        assert one.read_bytes() == two.read_bytes()
        assert one.parent != two.parent


def test_near_duplicates_look_alike_and_differ_in_bytes(corrupted: Corrupted) -> None:
    sizes = set()
    for one, two in corrupted.of("near-duplicate"):
        assert one.read_bytes() != two.read_bytes()
        assert one.parent == two.parent
        small = []
        for path in (one, two):
            with Image.open(path) as image:
                small.append(np.asarray(image.convert("L").resize((16, 16))).astype(float).ravel())
        with Image.open(two) as image:
            sizes.add(image.size)
        assert np.corrcoef(small)[0, 1] > 0.9
    assert len(sizes) == 3  # as it was (twice), resized, cropped


def test_strays(corrupted: Corrupted) -> None:
    strays = [path.relative_to(corrupted.folder).as_posix() for (path,) in corrupted.of("stray")]
    assert strays == ["LICENSE.txt", "happy/.DS_Store"]


@pytest.mark.parametrize("seed", range(3))
def test_twenty_drawings_per_class_are_enough_for_every_kind(tmp_path: Path, seed: int) -> None:
    write_dataset(tmp_path, 20, seed=seed, size=32)
    assert {s.kind for s in corrupt_dataset(tmp_path, seed=seed)} == set(KINDS)


def test_too_little_to_corrupt_is_said_before_anything_changes(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        corrupt_dataset(tmp_path / "nowhere")
    write_dataset(tmp_path, 5, size=32)
    before = contents(tmp_path)
    with pytest.raises(DataError, match="at least 12 are needed"):
        corrupt_dataset(tmp_path)
    with pytest.raises(InputError, match="seed"):
        corrupt_dataset(tmp_path, seed=-1)
    assert contents(tmp_path) == before


def test_one_class_is_not_enough(tmp_path: Path) -> None:
    write_dataset(tmp_path, 16, size=32, classes=("happy",))
    with pytest.raises(DataError, match="two or more"):
        corrupt_dataset(tmp_path)


def test_a_corruption_is_frozen() -> None:
    with pytest.raises(AttributeError):
        Corruption("html", ("a",)).kind = "text"  # type: ignore[misc]
