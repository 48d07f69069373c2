"""Lay out the images that all readers get: FER2013's validation fold and `small/`, or a folder that the user names."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from mien.data.dataset import read_manifest
from mien.data.synthetic.faces import draw_face
from mien.errors import DataError
from mien.labels import EXPRESSIONS
from shipped_model_data import ARCHIVE, HAPPY, SAD, UNDECIDED, Fold, read_fold
from shipped_model_photos import PHOTOS

What = Literal["crop", "photo"]
TWO = (EXPRESSIONS[HAPPY], EXPRESSIONS[SAD])
#: Images of a user that are at most so wide and high at the median are taken for crops of faces.
CROP_SIDE = 100
SIDE = 48


@dataclass(frozen=True)
class Question:
    """Labels that answers are compared with.

    Attributes:
        title: what is asked, for the heading of a table.
        data: a folder or CSV, as `mien evaluate` takes it.
        classes: only these; None for all.
    """

    title: str
    data: Path
    classes: tuple[str, ...] | None = None


@dataclass(frozen=True)
class ImageSet:
    """Images that every reader reads once, and the questions that the answers are scored by.

    Attributes:
        key: its name in files.
        what: whether they are crops or photographs.
        root: the folder that `names` are in.
        names: relative paths.
        questions: asked of the same answers.
    """

    key: str
    what: What
    root: Path
    names: tuple[str, ...]
    questions: tuple[Question, ...]

    @property
    def files(self) -> list[Path]:
        return [self.root / name for name in self.names]


def image_sets(
    data: Path, where: Path, what: What | None = None, rename: Mapping[str, str] | None = None
) -> tuple[ImageSet, ...]:  # fmt: skip
    """Return the sets of a folder: FER2013's fold and the photographs beside it, or all images of a labelled folder."""
    if (data / ARCHIVE).is_file():
        return (_fold(read_fold(data), where / "fer2013"), *_photographs(data))
    manifest = read_manifest(data, rename=dict(rename or {}))
    root = data if data.is_dir() else data.parent
    names = tuple(sample.name for sample in manifest.samples)
    if packed := next((name for name in names if not (root / name).is_file()), None):
        raise DataError(f"{data}: other libraries cannot open '{packed}'; unpack the images into a folder")
    kind = what or guess([root / name for name in names])
    count = f"{len(names):,}".replace(",", " ")
    return (ImageSet("own", kind, root, names, (Question(f"{data.name}: {count} images", data),)),)


def guess(files: Sequence[Path]) -> What:
    """Return what the images are by their median size."""
    sides = []
    for file in files[:: max(1, len(files) // 100)]:
        with Image.open(file) as image:
            sides.append(max(image.size))
    return "crop" if float(np.median(sides)) <= CROP_SIDE else "photo"


def drawn_crops(where: Path, count: int = 64) -> list[Path]:
    """Write drawn faces of 48 pixels, for speed: they need no data."""
    folder = where / "drawn"
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        face = Image.fromarray(draw_face(TWO[number % 2], number)).convert("L")
        face.resize((SIDE, SIDE)).save(folder / f"{number:03d}.png")
    return sorted(folder.glob("*.png"))


def astronaut(where: Path) -> Path:
    """Write the photograph that speed is measured with: 512x512, one face."""
    from skimage.data import astronaut as photograph

    path = where / "astronaut.png"
    Image.fromarray(photograph()).save(path)  # type: ignore[no-untyped-call]
    return path


def _fold(fold: Fold, folder: Path) -> ImageSet:
    """Write the faces as lossless PNG, with tables of FER2013's labels and of the crowd's."""
    (folder / "faces").mkdir(parents=True, exist_ok=True)
    names = tuple(f"faces/{number:04d}.png" for number in range(len(fold.images)))
    for name, image in zip(names, fold.images, strict=True):
        Image.fromarray(image).save(folder / name)
    tables = {"labels": fold.labels, "crowd": fold.majority}
    for table, labels in tables.items():
        with (folder / f"{table}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("file", "label"))
            writer.writerows(
                (name, EXPRESSIONS[label]) for name, label in zip(names, labels, strict=True) if label != UNDECIDED
            )
    questions = (
        Question("happy or sad, FER2013's labels", folder / "labels.csv", TWO),
        Question("happy or sad, by the crowd", folder / "crowd.csv", TWO),
        Question("seven expressions, FER2013's labels", folder / "labels.csv"),
        Question("seven expressions, by the crowd", folder / "crowd.csv"),
    )
    return ImageSet("fer2013", "crop", folder, names, questions)


def _photographs(data: Path) -> tuple[ImageSet, ...]:
    folder = data / PHOTOS
    if not folder.is_dir():
        return ()
    names = tuple(sample.name for sample in read_manifest(folder).samples)
    question = Question("happy or sad, photographs and film frames", folder, TWO)
    return (ImageSet("photographs", "photo", folder, names, (question,)),)
