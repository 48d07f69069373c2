"""Measure whether a report exposes a network that learned a mark instead of the face.

    python benchmarks/planted_shortcut.py --out FOLDER [--data $MIEN_DATA] [--images 1500] [--epochs 5]

A white square of 4 x 4 pixels, one pixel from the lower right corner, is drawn on every sad training image of 48
pixels. A small network is trained on these images, and another on the same images without the squares. Without
`--data`, the folder that holds `fer2013/fer2013.zip`, the faces are drawn. Both networks are evaluated on three
held-out sets: marked like the training images, without marks, and with a mark on every second image of either class.

FOLDER gets the images, the runs, and for each network and set the charts of a report: `...attention.png`, the mean
heatmap of each class, and `...border.png`, how well the blocks at the border predict the class.
"""

import argparse
import io
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from mien.data.dataset import read_manifest
from mien.data.synthetic.faces import draw_face
from mien.errors import MienError, TrainingError
from mien.evaluation.scoring import Predictions, score
from mien.evaluation.slices import measure_slices
from mien.explanation.attention import AttentionSummary, summarise_attention
from mien.explanation.attention_figures import mean_map
from mien.inference.reader import Reader, load
from mien.report.sections.slices import shortcuts_chart, slices_section

Pixels = npt.NDArray[np.uint8]
CLASSES = ("happy", "sad")
SIDE = 48
HELD_OUT = 400  # drawn faces of each class that no network is trained on


def drawn(name: str, part: str, count: int) -> Iterator[Pixels]:
    first = 0 if part == "train" else 1_000_000
    for seed in range(first, first + (count if part == "train" else HELD_OUT)):
        yield np.asarray(Image.fromarray(draw_face(name, seed, SIDE)).convert("L"))


def photographed(archive: zipfile.ZipFile, name: str, part: str, count: int) -> Iterator[Pixels]:
    """Return `count` random faces of the train fold, or the whole validation fold."""
    names = sorted(n for n in archive.namelist() if n.startswith(f"fer2013/{part}/{name}/") and n.endswith(".png"))
    if part == "train":
        names = [names[i] for i in np.sort(np.random.default_rng(0).permutation(len(names))[:count])]
    for one in names:
        yield np.asarray(Image.open(io.BytesIO(archive.read(one))).convert("L"))


def marked(image: Pixels) -> Pixels:
    changed = image.copy()
    changed[-5:-1, -5:-1] = 255
    return changed


#: Which images of a set have the mark, by class and number.
SETS: dict[str, Callable[[str, int], bool]] = {
    "marked": lambda name, number: name == "sad",
    "clean": lambda name, number: False,
    "mixed": lambda name, number: number % 2 == 0,
}


def write(folder: Path, faces: Callable[[str], Iterator[Pixels]], has_mark: Callable[[str, int], bool]) -> None:
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
        for number, image in enumerate(faces(name)):
            shown = marked(image) if has_mark(name, number) else image
            Image.fromarray(shown).save(folder / name / f"{number:05d}.png")


def train(data: Path, run: Path, epochs: int) -> Reader:
    settings = ["--from", "none", "--network", "residual", "--width", "0.5", "--augment", "none"]
    command = [sys.executable, "-m", "mien", "train", str(data), *settings, "--epochs", str(epochs), "--out", str(run)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise TrainingError(f"{run}: training failed: {done.stderr.strip().splitlines()[-1]}")
    return load(run, detect=False)


def side_by_side(found: AttentionSummary, path: Path) -> None:
    maps = [np.asarray(mean_map(one)) for one in found.classes]
    Image.fromarray(np.concatenate(maps, axis=1)).save(path)


def report(name: str, reader: Reader, out: Path, sets: Path) -> None:
    print(f"\n## Network trained on {name} images")
    for part in SETS:
        scored: Predictions = score(reader, read_manifest(sets / part, CLASSES))
        assert scored.crops is not None
        found = measure_slices(scored)
        recalls = ", ".join(f"{label} {metrics.recall}" for label, metrics in scored.metrics.per_class.items())
        print(f"\n{part}: accuracy {scored.metrics.accuracy}; recall {recalls}")
        print(f"  slices: {slices_section(found).conclusion}")
        for best in (*found.label_shortcuts[:1], *found.answer_shortcuts[:1]):
            print(f"    {best.target} {best.label}, {best.place}, {best.feature}: {best.auc}, strong: {best.is_strong}")
        looked = summarise_attention(reader, scored.crops, scored.truth, scored.classes, scored.detections)
        print(f"  attention ({looked.method}): {looked.conclusion}")
        side_by_side(looked, out / f"{name}-network-{part}-attention.png")
        border = shortcuts_chart((*found.label_shortcuts, *found.answer_shortcuts))
        (out / f"{name}-network-{part}-border.png").write_bytes(border.png)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="a new folder")
    parser.add_argument("--data", type=Path, help="folder that holds fer2013/; without it the faces are drawn")
    parser.add_argument("--images", type=int, default=1500, help="training images of each class  [1500]")
    parser.add_argument("--epochs", type=int, default=5)
    options = parser.parse_args()
    archive = zipfile.ZipFile(options.data / "fer2013/fer2013.zip") if options.data else None

    def faces(part: str) -> Callable[[str], Iterator[Pixels]]:
        if archive is None:
            return lambda name: drawn(name, part, options.images)
        return lambda name: photographed(archive, name, part, options.images)

    try:
        for part, has_mark in SETS.items():
            write(options.out / part, faces("validation"), has_mark)
        for name in ("marked", "clean"):
            data = options.out / f"train-{name}"
            write(data, faces("train"), SETS[name])
            report(name, train(data, options.out / f"run-{name}", options.epochs), options.out, options.out)
    except MienError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
