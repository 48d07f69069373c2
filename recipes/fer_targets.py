"""Build the targets of the shipped model for each image of FER2013: probabilities of seven expressions.

They mix FER2013's label (the search term of the image) and the votes of FER+ (what ten people saw); the model is
evaluated against both. Single votes count as slips (Barsoum et al., 2016). Contempt, "unknown" and "not a face" have no
class and are left out.
"""

import csv
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from mien.data.duplicates import near_duplicate_groups
from mien.data.fingerprint import fingerprint
from mien.io.atomic import new_file, new_folder
from mien.labels import EXPRESSIONS
from mien.training.loop.batches import TrainingArrays
from shipped_model_data import COLUMNS, MAJORITY

Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]

FEWEST_VOTES = 2


@dataclass(frozen=True)
class Mix:
    """Weights of FER2013's label beside the votes, in [0, 1], if most of the crowd agree and otherwise."""

    decided: float
    undecided: float


@dataclass(frozen=True, eq=False)
class Row:
    """An image of the labelled table; `shares` is float (7,), its target, and sums to 1."""

    file: str
    label: str
    split: str
    shares: Floats


@dataclass(frozen=True, eq=False)
class Faces:
    """The faces of a table.

    Attributes:
        images: uint8 (N, 48, 48, 1), 0-255 grey.
        targets: float32 (N, 7), rows sum to 1.
        train: bool (N,), whether a face is for training; the others are for validation.
    """

    images: Bytes
    targets: npt.NDArray[np.float32]
    train: npt.NDArray[np.bool_]

    def train_images(self) -> Bytes:
        """Return the images for training."""
        return self.images[self.train]

    def train_targets(self) -> npt.NDArray[np.float32]:
        """Return the targets of the images for training."""
        return self.targets[self.train]

    def arrays(self, train: bool) -> TrainingArrays:
        """Return the faces for training, or those for validation, as the training loop takes them."""
        rows = np.flatnonzero(self.train == train)
        return TrainingArrays(self.images, rows, self.targets[rows], np.ones(len(rows), np.float32))


def read_faces(table: Path) -> Faces:
    """Read all faces of a table that `prepare` wrote."""
    rows = read_rows(table)
    images = grey([table.parent / row.file for row in rows])[..., np.newaxis]
    targets = np.stack([row.shares for row in rows]).astype(np.float32)
    return Faces(images, targets, np.array([row.split == "train" for row in rows]))


def prepare(source: Path, out: Path, mixes: Mapping[str, Mix]) -> None:
    """Unpack the images and write a table `NAME.csv` for each mix: file, label, split and seven probabilities."""
    with new_folder(out) as folder, zipfile.ZipFile(source / "fer2013.zip") as archive:
        archive.extractall(folder)
        with (source / "ferplus_votes.csv").open(newline="", encoding="utf-8") as stream:
            votes = list(csv.DictReader(stream))
        groups: list[list[int]] | None = None
        for name, mix in mixes.items():
            rows = [target(row, mix) for row in votes]
            if groups is None:  # the same whatever the mix
                groups = same_images([folder / row.file for row in rows])
            write_rows(folder / f"{name}.csv", repaired(rows, groups))


def target(row: Mapping[str, str], mix: Mix) -> Row:
    """Convert a row of FER+ to file, label, split and seven probabilities that sum to 1."""
    label = np.array([float(name == row["label"]) for name in EXPRESSIONS])
    crowd = np.array([float(row[COLUMNS[name]]) for name in EXPRESSIONS])
    crowd[crowd < FEWEST_VOTES] = 0
    share = mix.decided if crowd.max() >= MAJORITY else mix.undecided
    if not crowd.any():
        share = 1.0
    file = f"fer2013/{row['split']}/{row['label']}/{row['file']}"
    return Row(file, row["label"], row["split"], share * label + (1 - share) * crowd / max(crowd.sum(), 1))


def grey(paths: Sequence[Path]) -> Bytes:
    """Read images of one size, uint8 (N, S, S)."""
    return np.stack([np.asarray(Image.open(path).convert("L")) for path in paths])


def same_images(paths: Sequence[Path]) -> list[list[int]]:
    """Return the groups of files that hold the same image, also cropped or recompressed, as indices."""
    print(f"searching copies among {len(paths)} images")
    return near_duplicate_groups([fingerprint(image) for image in grey(paths)])


def repaired(rows: Sequence[Row], groups: Sequence[Sequence[int]]) -> list[Row]:
    """Give copies of one training image the mean of their targets, and leave out their validation copies.

    Copies often have different labels, which are judgements of the same face. Labels of validation copies are never
    used.
    """
    found: list[Row | None] = list(rows)
    for group in groups:
        train = [number for number in group if rows[number].split == "train"]
        if not train:
            continue
        shares = np.mean([rows[number].shares for number in train], axis=0)
        for number in group:
            found[number] = None
        for number in train:
            found[number] = replace(rows[number], label=EXPRESSIONS[int(shares.argmax())], shares=shares)
    return [row for row in found if row is not None]


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write a labelled table for `mien train`: file, label, split and the seven probabilities."""
    with new_file(path) as part, part.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["file", "label", "split", *EXPRESSIONS])
        for row in rows:
            writer.writerow([row.file, row.label, row.split, *(round(float(share), 6) for share in row.shares)])


def read_rows(path: Path) -> list[Row]:
    """Read the table that `write_rows` wrote."""
    with path.open(newline="", encoding="utf-8") as stream:
        return [
            Row(row["file"], row["label"], row["split"], np.array([float(row[name]) for name in EXPRESSIONS]))
            for row in csv.DictReader(stream)
        ]
