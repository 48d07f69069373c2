"""Load FER2013's validation fold as arrays, with FER2013's labels and the crowd's (FER+)."""

import csv
import hashlib
import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from mien.data.duplicates import near_duplicate_groups
from mien.data.fingerprint import fingerprint
from mien.errors import DataError
from mien.labels import EXPRESSIONS

ARCHIVE, VOTES = Path("fer2013/fer2013.zip"), Path("fer2013/ferplus_votes.csv")
SIDE = 48

#: The vote column of each expression. Contempt has no class: a face with a majority for it, for "unknown" or for
#: "not a face" counts as undecided.
COLUMNS = {
    "angry": "anger",
    "disgust": "disgust",
    "fear": "fear",
    "happy": "happiness",
    "neutral": "neutral",
    "sad": "sadness",
    "surprise": "surprise",
}
MAJORITY = 6  # of ten votes
UNDECIDED = -1

#: The majority that the literature measures (Barsoum et al., 2016): single votes are slips, and more than half of the
#: rest must agree. Contempt is one of its eight classes, which no answer of seven can hit.
SLIP = 1
CONTEMPT = len(EXPRESSIONS)
VOTED = (*COLUMNS.values(), "contempt", "unknown", "NF")

HAPPY, SAD = EXPRESSIONS.index("happy"), EXPRESSIONS.index("sad")

#: Expected counts of the fold. Other counts mean other data, so metrics would not be comparable.
EXPECTED = {
    "validation images": 3579,
    "of these also in train": 279,
    "kept": 3300,
    "happy or sad by FER2013 label": 1487,
    "with a FER+ majority": 2642,
    "happy or sad by FER+ majority": 1067,
    "with a FER+ majority as published": 2948,
}


@dataclass(frozen=True, eq=False)
class Fold:
    """N faces.

    Attributes:
        images: uint8 (N, 48, 48), 0-255 grey.
        labels: int64 (N,), FER2013's own, as indices into EXPRESSIONS.
        majority: int64 (N,), the expression that at least 6 of 10 people saw; -1 if there is none.
        published: int64 (N,), the majority that the literature measures; 7 is contempt, -1 none.
        votes: int64 (N, 10), how many of ten people saw what VOTED names.
        copies: int64 (N,), equal for copies of one image, even cropped or recompressed ones.
        alone: bool (N,), whether train has no copy of the image, not even a cropped or recompressed one.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    majority: npt.NDArray[np.int64]
    published: npt.NDArray[np.int64]
    votes: npt.NDArray[np.int64]
    copies: npt.NDArray[np.int64]
    alone: npt.NDArray[np.bool_]
    counts: dict[str, int]


def read_fold(data: Path) -> Fold:
    """Return the validation faces that do not also stand in train; raise DataError if the counts are unexpected."""
    if missing := what_is_missing(data):
        raise DataError(missing)
    votes = read_votes(data / VOTES)
    with zipfile.ZipFile(data / ARCHIVE) as archive:
        learned = [image for _, image in read_split(archive, "train")]
        validation = list(read_split(archive, "validation"))
    train = {digest(image) for image in learned}
    faces = [(name, image) for name, image in validation if digest(image) not in train]
    labels = np.array([EXPRESSIONS.index(Path(name).parent.name) for name, _ in faces])
    seen = np.array([[int(votes[Path(name).name][column]) for column in VOTED] for name, _ in faces])
    majority = np.array([majority_of(votes[Path(name).name]) for name, _ in faces])
    published = np.array([published_majority(votes[Path(name).name]) for name, _ in faces])
    counts = {
        "validation images": len(validation),
        "of these also in train": len(validation) - len(faces),
        "kept": len(faces),
        "happy or sad by FER2013 label": int(np.isin(labels, (HAPPY, SAD)).sum()),
        "with a FER+ majority": int((majority != UNDECIDED).sum()),
        "happy or sad by FER+ majority": int(np.isin(majority, (HAPPY, SAD)).sum()),
        "with a FER+ majority as published": int((published != UNDECIDED).sum()),
    }
    for what, count in counts.items():
        if count != EXPECTED[what]:
            raise DataError(f"{data / ARCHIVE}: {what}: {count}, but {EXPECTED[what]} are known; use the same data")
    images = np.stack([image for _, image in faces])
    copies, alone = near_copies(images, learned)
    counts["without a near copy in train"] = int(alone.sum())
    return Fold(images, labels, majority, published, seen, copies, alone, counts)


def near_copies(
    images: npt.NDArray[np.uint8], learned: Sequence[npt.NDArray[np.uint8]]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Find copies of the images, perhaps cropped, recompressed or relit.

    Returns:
        A number for each image (N,), which copies of one image share; and which images have no copy in `learned`.
    """
    groups = near_duplicate_groups([fingerprint(image) for image in (*images, *learned)])
    copies, alone = np.arange(len(images)), np.ones(len(images), bool)
    for group in groups:
        inside = [index for index in group if index < len(images)]
        copies[inside] = min(group)
        alone[inside] &= max(group) < len(images)
    return copies, alone


def read_split(archive: zipfile.ZipFile, split: str) -> Iterator[tuple[str, npt.NDArray[np.uint8]]]:
    """Return every image of a split, grey, ordered by name."""
    for name in sorted(archive.namelist()):
        if name.startswith(f"fer2013/{split}/") and name.endswith(".png"):
            yield name, np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("L"))


def what_is_missing(data: Path) -> str | None:
    """Return one line that says which of the two files is missing, or None."""
    for path in (data / ARCHIVE, data / VOTES):
        if not path.is_file():
            return f"{path}: no such file; --data is the folder that holds {ARCHIVE} and {VOTES}"
    return None


def read_votes(path: Path) -> dict[str, Mapping[str, str]]:
    """Return the row of every file: its name, and the votes by their columns."""
    with path.open(newline="", encoding="utf-8") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def majority_of(row: Mapping[str, str]) -> int:
    """Return the expression that at least 6 of 10 people saw, or -1."""
    votes = [int(row[COLUMNS[name]]) for name in EXPRESSIONS]
    return votes.index(max(votes)) if max(votes) >= MAJORITY else UNDECIDED


def published_majority(row: Mapping[str, str]) -> int:
    """Return the expression, or contempt, that more than half of those voted for who are not alone with their vote."""
    votes = [votes if votes > SLIP else 0 for votes in (int(row[name]) for name in VOTED)]
    best = votes.index(max(votes))
    return best if best <= CONTEMPT and 2 * votes[best] > sum(votes) else UNDECIDED


def digest(image: npt.NDArray[np.uint8]) -> bytes:
    return hashlib.sha256(image.tobytes()).digest()
