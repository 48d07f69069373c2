"""Measure the speed of `mien check --quick` on a drawn dataset with planted issues, in files per second.

    python benchmarks/check_speed.py [N] [--size PIXELS] [--seed S]

N JPEG files in two classes in a temporary folder. About 500 faces are drawn. The rest are made from them by mirroring,
quarter turns and distant crops, so that all images differ.
"""

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from measured import record
from mien.data.audit import audit
from mien.data.dataset import read_manifest
from mien.data.synthetic.corrupt import corrupt_dataset
from mien.data.synthetic.faces import draw_face
from mien.runtime.cores import available_cores

CLASSES = ("happy", "sad")
DRAWN = 250  # per class
WINDOW = 0.55  # side of a cut-out; the four corners overlap by a tenth only


def distinct(label: str, count: int, size: int, seed: int) -> Iterator[Image.Image]:
    """Yield `count` different images of one class: drawn ones first, then variants of them."""
    drawn: list[npt.NDArray[np.uint8]] = []
    for number in range(min(DRAWN, count)):
        drawn.append(draw_face(label, seed * 10**6 + 10**5 * CLASSES.index(label) + number, size))
        yield Image.fromarray(drawn[-1])
    for number in range(len(drawn), count):
        # Eight orientations, times the whole image and its four corners.
        variant, which = divmod(number, len(drawn))
        corner, turn = divmod(variant, 8)
        image = np.rot90(drawn[which], turn % 4)
        yield cut(image if turn < 4 else image[:, ::-1], corner, size)


def cut(image: npt.NDArray[np.uint8], corner: int, size: int) -> Image.Image:
    """Return the whole image (corner 0) or one of its corners (1 to 4), enlarged."""
    whole = Image.fromarray(np.ascontiguousarray(image))
    if corner == 0:
        return whole
    side, far = round(WINDOW * size), size - round(WINDOW * size)
    x, y = far * ((corner - 1) % 2), far * ((corner - 1) // 2)
    return whole.crop((x, y, x + side, y + side)).resize((size, size), Image.Resampling.BILINEAR)


def write(folder: Path, count: int, size: int, seed: int) -> None:
    for label in CLASSES:
        (folder / label).mkdir()
        for number, image in enumerate(distinct(label, count // len(CLASSES), size, seed)):
            image.save(folder / label / f"{number:05d}.jpg", quality=88)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("n", nargs="?", type=int, default=10_000, help="files (default 10000)")
    parser.add_argument("--size", type=int, default=256, help="pixels on a side (default 256)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        start = time.perf_counter()
        write(Path(place), options.n, options.size, options.seed)
        planted = Counter(item.kind for item in corrupt_dataset(Path(place), options.seed))
        print(f"made in {time.perf_counter() - start:.0f} s; planted {sum(planted.values())} issues")
        start = time.perf_counter()
        found = audit(read_manifest(Path(place)))
        seconds = time.perf_counter() - start
    files = len(found.manifest.samples)
    print(
        f"{files} files of {options.size} pixels on {available_cores()} cores: "
        f"{seconds:.1f} s, {files / seconds:.0f} files/s"
    )
    record("check_speed", [(f"files of {options.size} pixels", "files/s", files / seconds), ("files", "", files)])
    for issue in found.issues:
        print(f"  {issue.severity:8s} {issue.kind:18s} {len(issue.files)}")


if __name__ == "__main__":
    main()
