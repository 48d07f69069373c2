"""Measure precision and recall of the near-duplicate search on planted copies.

    python benchmarks/near_duplicates.py [FOLDER_OR_ZIP] [--limit N] [--plant N] [--seed S] [--show FILE.png]

Without a dataset it draws its own images. Up to `limit` images are loaded, those with equal pixels once. `plant` of
them are copied once per transformation, and everything is searched together.

recall: fraction of planted copies that are grouped with their original. precision: fraction of the pairs in groups
with a planted copy that belong to one original. Real datasets have near duplicates of their own: images that are
grouped before anything is planted count as `already alike` and as one original. Judge them by eye: `--show` writes a
contact sheet of up to 100 such pairs.
"""

import argparse
import hashlib
import io
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from mien.data.duplicates import near_duplicate_groups
from mien.data.fingerprint import Fingerprint, fingerprint
from mien.data.synthetic.faces import draw_face

Change = Callable[[Image.Image, np.random.Generator], Image.Image]
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}


def recompress(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=int(rng.integers(30, 91)))
    return Image.open(buffer).convert("RGB")


def resize(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    factor = rng.uniform(0.5, 1.5)
    width, height = (max(8, round(side * factor)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC)


def crop(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    width, height = image.size
    left, top, right, bottom = rng.uniform(0.01, 0.05, 4)
    box = (left * width, top * height, width - right * width, height - bottom * height)
    cut = image.crop(tuple(round(edge) for edge in box))
    return cut.resize(image.size, Image.Resampling.BILINEAR) if rng.random() < 0.5 else cut


def light(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    factor = rng.uniform(0.7, 1.4)
    return image.point([min(255, round(value * factor)) for value in range(256)] * 3)


def contrast(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    factor = rng.uniform(0.8, 1.25)
    return image.point([min(255, max(0, round(128 + (value - 128) * factor))) for value in range(256)] * 3)


def grey(image: Image.Image, _: np.random.Generator) -> Image.Image:
    return image.convert("L").convert("RGB")


SINGLE: dict[str, Change] = {
    "recompress": recompress,
    "resize": resize,
    "crop": crop,
    "light": light,
    "contrast": contrast,
    "grey": grey,
}


def both(first: Change, second: Change) -> Change:
    return lambda image, rng: second(first(image, rng), rng)


def changes() -> dict[str, Change]:
    """Return every single transformation, and the relevant pairs of them."""
    pairs = combinations(["crop", "light", "resize", "recompress"], 2)
    return SINGLE | {f"{one} + {other}": both(SINGLE[one], SINGLE[other]) for one, other in pairs}


def scene(seed: int, side: int = 160) -> Image.Image:
    """Return a seeded smooth texture with a few shapes on it, RGB."""
    rng = np.random.default_rng(seed)
    texture = Image.fromarray(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8))
    image = texture.resize((side, side), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(3, 8))):
        x, y = rng.uniform(0, side, 2)
        width, height = rng.uniform(0.1 * side, 0.5 * side, 2)
        shape = draw.ellipse if rng.random() < 0.5 else draw.rectangle
        red, green, blue = rng.integers(0, 256, 3).tolist()
        shape((x - width / 2, y - height / 2, x + width / 2, y + height / 2), fill=(red, green, blue))
    return image.filter(ImageFilter.GaussianBlur(1))


def drawn(limit: int, seed: int) -> Iterator[Image.Image]:
    """Yield drawn faces and scenes in turn."""
    for number in range(seed, seed + limit):
        if number % 3 == 0:
            yield scene(number)
        else:
            face = draw_face("happy" if number % 2 else "sad", number, 96)
            yield Image.fromarray(np.asarray(face)).convert("RGB")


def stored(source: Path, rng: np.random.Generator) -> Iterator[Image.Image]:
    """Yield the images of a folder or a zip in random order; unreadable files are skipped."""
    if source.is_dir():
        names = sorted(str(path) for path in source.rglob("*") if path.suffix.lower() in SUFFIXES)
        archive = None
    else:
        archive = zipfile.ZipFile(source)
        names = sorted(name for name in archive.namelist() if Path(name).suffix.lower() in SUFFIXES)
    for place in rng.permutation(len(names)).tolist():
        data = archive.read(names[place]) if archive else Path(names[place]).read_bytes()
        try:
            yield ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
        except (OSError, ValueError):
            continue


def different(images: Iterator[Image.Image], limit: int) -> list[Image.Image]:
    """Return the first `limit` images of which no two have equal pixels."""
    kept: dict[bytes, Image.Image] = {}
    for image in images:
        kept.setdefault(hashlib.sha256(repr(image.size).encode() + image.tobytes()).digest(), image)
        if len(kept) == limit:
            break
    return list(kept.values())


def print_of(image: Image.Image) -> Fingerprint:
    return fingerprint(np.asarray(image.convert("L")))


def contact_sheet(pairs: list[tuple[Image.Image, Image.Image]], to: Path) -> None:
    sheet = Image.new("RGB", (5 * 200, 20 * 100))
    for place, pair in enumerate(pairs[:100]):
        for half, image in enumerate(pair):
            sheet.paste(image.resize((96, 96)), (place % 5 * 200 + half * 97, place // 5 * 100))
    sheet.save(to)


@dataclass(frozen=True)
class Collection:
    """Images, their fingerprints, and the first of its group for each that is already alike."""

    images: list[Image.Image]
    prints: list[Fingerprint]
    first_alike: dict[int, int]


def measure(collection: Collection, name: str, change: Change, plant: int, seed: int) -> None:
    """Plant one transformation, search, and print its row."""
    rng = np.random.default_rng([seed, *name.encode()])
    size = len(collection.images)
    chosen = rng.permutation(size)[:plant].tolist()
    planted = [print_of(change(collection.images[original], rng)) for original in chosen]
    originals = [collection.first_alike.get(n, n) for n in [*range(size), *chosen]]

    start = time.perf_counter()
    groups = near_duplicate_groups([*collection.prints, *planted])
    seconds = time.perf_counter() - start

    group_of = {member: number for number, group in enumerate(groups) for member in group}
    found = sum(group_of.get(size + n, -1) == group_of.get(original, -2) for n, original in enumerate(chosen))
    touched = [group for group in groups if group[-1] >= size]
    pairs = [pair for group in touched for pair in combinations(group, 2)]
    true = sum(originals[a] == originals[b] for a, b in pairs)
    precision = f"{true / len(pairs):11.4f}" if pairs else f"{'-':>11}"
    print(f"{name:22}{found / len(chosen):9.4f}{precision}{seconds:9.2f}{size + len(planted):8}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="?", type=Path, metavar="FOLDER_OR_ZIP")
    parser.add_argument("--limit", type=int, default=1000, help="images to load (default 1000)")
    parser.add_argument("--plant", type=int, default=300, help="copies per transformation (default 300)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", type=Path, metavar="FILE.png", help="contact sheet of pairs already alike")
    options = parser.parse_args()

    rng = np.random.default_rng(options.seed)
    source = stored(options.source, rng) if options.source else drawn(options.limit, options.seed)
    images = different(source, options.limit)
    if not images:
        parser.error(f"{options.source}: no images there")
    start = time.perf_counter()
    prints = [print_of(image) for image in images]
    per_second = len(prints) / (time.perf_counter() - start)
    groups = near_duplicate_groups(prints)
    alike = {member: group[0] for group in groups for member in group}
    print(f"{len(images)} images, {per_second:.0f} fingerprints a second, already alike: {len(alike)}")
    if options.show:
        pairs = [(images[group[0]], images[other]) for group in groups for other in group[1:]]
        contact_sheet(pairs, options.show)
    print(f"{'copies':22}{'recall':>9}{'precision':>11}{'seconds':>9}{'n':>8}")
    collection = Collection(images, prints, alike)
    for name, change in changes().items():
        measure(collection, name, change, options.plant, options.seed)


if __name__ == "__main__":
    main()
