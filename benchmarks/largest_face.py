"""Measure how often `faces="largest"` finds the largest face that `faces="all"` finds.

The photos are drawn from scikit-image's pictures, and from a folder of photos if one is given: enlarged to 1024 pixels,
pasted on other pictures alone or several together, tiny, turned, rolled, and 2400 pixels wide. All become JPEG files. A
face is the same if its box has an IoU of at least 0.9 with that of `all`, or overlaps it by half and has the same
answer.

    python benchmarks/largest_face.py [DATA] [--model NAME|FOLDER] [--each 190]
"""

import argparse
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image

import mien
from mien.results import Face
from read_speed import photograph

BACKGROUNDS = ("grass", "gravel", "brick", "coffee", "chelsea", "rocket", "hubble_deep_field", "immunohistochemistry")
FACELESS = (*BACKGROUNDS, "retina", "coins", "moon", "page")
WIDTH = 1024
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")

Photo = Callable[[int], Image.Image]


def packaged(name: str) -> Image.Image:
    return Image.fromarray(getattr(skimage.data, name)()).convert("RGB")


def encoded(image: Image.Image, seed: int) -> bytes:
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=int(np.random.default_rng(seed).integers(75, 95)))
    return buffer.getvalue()


def scaled(image: Image.Image, longer: int) -> Image.Image:
    width, height = (max(round(side * longer / max(image.size)), 1) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def pasted(photo: Photo, seed: int, low: float, high: float, count: int = 1, width: int = WIDTH) -> Image.Image:
    """Return `count` photos, each with this share of the shorter side, on another picture."""
    rng = np.random.default_rng(seed)
    shorter = round(width * rng.uniform(0.56, 1))
    ground = packaged(BACKGROUNDS[rng.integers(len(BACKGROUNDS))])
    size = (width, shorter) if rng.random() < 0.6 else (shorter, width)
    image = ground.resize(size, Image.Resampling.BILINEAR)
    for number in range(count):
        part = scaled(photo(seed + 7 * number), round(rng.uniform(low, high) * min(image.size)))
        place = rng.integers((0, 0), (image.width - part.width + 1, image.height - part.height + 1))
        image.paste(part, (int(place[0]), int(place[1])))
    return image


def rolled(image: Image.Image, seed: int) -> Image.Image:
    angle = float(np.random.default_rng(seed).uniform(10, 60)) * (1 if seed % 2 else -1)
    return image.rotate(angle, Image.Resampling.BICUBIC, fillcolor=(120, 120, 120))


def groups(photo: Photo, each: int) -> Iterator[tuple[str, list[Image.Image]]]:
    seeds = range(each)
    yield "enlarged to 1024", [scaled(photo(seed), WIDTH) for seed in seeds]
    yield "one face", [pasted(photo, seed, 0.35, 0.9) for seed in seeds]
    yield "2 to 4 faces", [pasted(photo, seed, 0.2, 0.6, 2 + seed % 3) for seed in seeds]
    yield "tiny faces", [pasted(photo, seed, 0.05, 0.15, 1 + seed % 2) for seed in seeds]
    yield "quarter turns", [scaled(photo(seed), WIDTH).rotate(90 * (1 + seed % 3), expand=True) for seed in seeds]
    yield "rolled by 10 to 60", [rolled(scaled(photo(seed), WIDTH), seed) for seed in seeds]
    yield "2400 pixels", [pasted(photo, seed, 0.2, 0.8, 1 + seed % 2, 2400) for seed in seeds[::3]]


def overlap(one: Face, other: Face) -> float:
    a, b = one.box, other.box
    width = max(min(a.x + a.width, b.x + b.width) - max(a.x, b.x), 0)
    height = max(min(a.y + a.height, b.y + b.height) - max(a.y, b.y), 0)
    return width * height / (a.width * a.height + b.width * b.height - width * height)


class Tally:
    """Compares the two ways of reading, group by group."""

    def __init__(self, model: str | None) -> None:
        self.every = mien.load(model, threads=1, device="cpu")
        self.largest = self.every.variant(faces="largest")
        self.same = self.count = 0
        self.overlaps: list[float] = []
        self.differences: list[float] = []

    def add(self, name: str, files: list[bytes]) -> None:
        same = 0
        for data in files:
            (expected, *_), (found, *_) = ((*reader.predict(data).faces, None) for reader in (self.every, self.largest))
            if expected is None or found is None:
                same += expected is found
                continue
            shared = overlap(expected, found)
            self.overlaps.append(shared)
            self.differences.append(
                max(abs(expected.probabilities[label] - found.probabilities[label]) for label in found.probabilities)
            )
            same += shared >= 0.9 or (shared >= 0.5 and expected.answer == found.answer)
        self.same, self.count = self.same + same, self.count + len(files)
        print(f"{name}: {same} of {len(files)} the same face", flush=True)

    def report(self) -> None:
        low, middle = np.quantile(self.overlaps, [0.05, 0.5])
        usual, high = np.quantile(self.differences, [0.5, 0.95])
        print(
            f"all: {self.same} of {self.count} ({100 * self.same / self.count:.2f} %); IoU median {middle:.3f}, "
            f"5 % below {low:.3f}; largest difference of a probability: median {usual:.3f}, 5 % above {high:.3f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="?", type=Path, help="a folder of photos with a face each")
    parser.add_argument("--model", metavar="NAME|FOLDER", help="a shipped model, a bundle or a run folder  [mien]")
    parser.add_argument("--each", type=int, default=190, help="images of each kind")
    options = parser.parse_args()
    tally, seeds = Tally(options.model), range(options.each)
    tally.add("portraits of read_speed.py", [encoded(photograph(seed), seed) for seed in seeds])
    tally.add("no face", [encoded(scaled(packaged(name), WIDTH), 0) for name in FACELESS])
    sources: dict[str, Photo] = {"astronaut": photograph}
    if options.data:
        paths = sorted(path for path in options.data.rglob("*") if path.suffix.lower() in SUFFIXES)
        tally.add(f"{options.data.name}, as they are", [path.read_bytes() for path in paths])
        sources[options.data.name] = lambda seed: Image.open(paths[seed % len(paths)]).convert("RGB")
    for source, photo in sources.items():
        for name, images in groups(photo, options.each):
            tally.add(f"{source}, {name}", [encoded(image, seed) for seed, image in enumerate(images)])
    tally.report()


if __name__ == "__main__":
    main()
