"""Measure how well unseen kinds of drawings are told from photos.

    python benchmarks/heldout_drawings.py --drawn FOLDER… --photos FOLDER…

The weights of `mien.data.drawings` look too good on the images they were fitted on. Here each folder of drawings is
judged by weights fitted on the other folders, and each fifth of the photos by weights fitted on the other fifths. In a
fit, folders of a kind weigh the same, and photos together three times as much as drawings. The rule for stone is set by
hand and stays. The shipped weights are printed beside. A file is flagged if it shows no face or if its largest face
looks drawn.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mien.data.drawings import BIAS, DRAWING_THRESHOLD, WEIGHTS, measure_face
from mien.errors import ImageError
from mien.faces.detector import Detector
from mien.inference.detection import open_and_detect
from mien.io.images.source import read_file
from mien.io.sniffing import is_image_name
from mien.metrics.intervals import wilson_interval
from mien.runtime.cores import available_cores
from mien.runtime.threads import map_in_order

Floats = npt.NDArray[np.float64]
PHOTOGRAPHS, RIDGE, FOLDS = 3.0, 1.0, 5


@dataclass(frozen=True, eq=False)
class Folder:
    """Measures of the largest face of every image that has one, float64 (N, 6), and the number of images without."""

    name: str
    drawn: bool
    faces: Floats
    without: int


def look(folder: Path, drawn: bool) -> Folder:
    detector = Detector(threads=1)

    def measures(path: Path) -> Sequence[float] | None:
        try:
            with open_and_detect(read_file(path), str(path), detector) as seen:
                first = seen.faces[0] if seen.faces else None
                return astuple(measure_face(seen.rgb, first.box, first.score)) if first else ()
        except ImageError:
            return None

    files = sorted(path for path in folder.rglob("*") if is_image_name(path.name))
    found = [row for row in map_in_order(measures, files, available_cores()) if row is not None]
    faces = np.array([row for row in found if row], np.float64).reshape(-1, len(WEIGHTS))
    return Folder(folder.name, drawn, faces, len(found) - len(faces))


def fitted(folders: Sequence[Folder]) -> Callable[[Floats], npt.NDArray[np.bool_]]:
    """Fit a logistic regression by Newton's method; return a function from measures (N, 6) to drawn or not."""
    rows = np.concatenate([folder.faces for folder in folders])
    drawn = np.repeat([float(folder.drawn) for folder in folders], [len(folder.faces) for folder in folders])
    kinds = [sum(other.drawn == folder.drawn for other in folders) for folder in folders]
    each = [
        (1 if folder.drawn else PHOTOGRAPHS) / kind / len(folder.faces)
        for folder, kind in zip(folders, kinds, strict=True)
    ]
    weights = np.repeat(each, [len(folder.faces) for folder in folders])
    weights *= len(rows) / weights.sum()
    inputs = np.column_stack([rows[:, :-1], np.ones(len(rows))])
    stone, ridge = WEIGHTS["stone"], np.diag([RIDGE] * (rows.shape[1] - 1) + [0.0])
    best = np.zeros(inputs.shape[1])
    for _ in range(30):
        guess = 1 / (1 + np.exp(-(inputs @ best + stone * rows[:, -1])))
        slope = inputs.T @ (weights * (guess - drawn)) + ridge @ best
        best -= np.linalg.solve((inputs.T * (weights * guess * (1 - guess))) @ inputs + ridge, slope)
    return judge(np.array([*best[:-1], stone]), float(best[-1]))


def judge(weights: Floats, bias: float) -> Callable[[Floats], npt.NDArray[np.bool_]]:
    return lambda rows: rows @ weights + bias >= np.log(DRAWING_THRESHOLD / (1 - DRAWING_THRESHOLD))


def judged_unseen(one: Folder, folders: Sequence[Folder]) -> npt.NDArray[np.bool_]:
    """Judge the faces of a folder by weights that were fitted on none of them."""
    others = [folder for folder in folders if folder is not one]
    if one.drawn:
        return fitted(others)(one.faces)
    found = np.zeros(len(one.faces), bool)
    fold = np.random.default_rng(0).permutation(len(one.faces)) % FOLDS
    for number in range(FOLDS):
        rest = Folder(one.name, False, one.faces[fold != number], 0)
        found[fold == number] = fitted([*others, rest])(one.faces[fold == number])
    return found


def share(count: int, total: int) -> str:
    low, high = wilson_interval(count, total)
    return f"{count:>4} of {total:<4} {count / total:.3f} [{low:.3f}, {high:.3f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for kind in ("--drawn", "--photos"):
        parser.add_argument(kind, type=Path, nargs="+", required=True, metavar="FOLDER")
    options = parser.parse_args()
    folders = [look(path, True) for path in options.drawn] + [look(path, False) for path in options.photos]
    folders = [folder for folder in folders if len(folder.faces)]
    shipped = judge(np.array(list(WEIGHTS.values())), BIAS)
    print("folder: files, no face | drawn, of those with a face: shipped weights | fitted without it | flagged, of all")
    for folder in folders:
        unseen, faces = int(judged_unseen(folder, folders).sum()), len(folder.faces)
        known = share(int(shipped(folder.faces).sum()), faces)
        flagged = share(unseen + folder.without, faces + folder.without)
        files = f"{faces + folder.without:>4} {folder.without:>4}"
        print(f"{folder.name:<16} {files} | {known} | {share(unseen, faces)} | {flagged}", flush=True)


if __name__ == "__main__":
    main()
