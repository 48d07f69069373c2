"""Measure what face detection does to accuracy: FER2013's validation crops and a folder of photos, end to end.

Prints in how many images a face is found, and the accuracy of happy vs sad with detection and on whole images.

    python benchmarks/real_photos.py --data $MIEN_DATA [--model NAME|FOLDER] [--limit N]

`$MIEN_DATA` holds what `shipped_model.py` needs, and `small/` with the folders `happy` and `sad`.
"""

import argparse
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

import mien
from measured import data_option
from mien.arrays import RGB
from mien.data.dataset import read_manifest
from mien.labels import EXPRESSIONS
from mien.metrics.intervals import paired_difference_interval, wilson_interval
from shipped_model_data import HAPPY, SAD, read_fold
from shipped_model_photos import PHOTOS, right

Flags = npt.NDArray[np.bool_]


def share(flags: Flags) -> str:
    low, high = wilson_interval(int(flags.sum()), len(flags))
    return f"{flags.mean():.3f} [{low:.3f}, {high:.3f}] ({flags.sum()} of {len(flags)})"


def compare(model: str | None, title: str, images: Sequence[RGB | str], labels: Sequence[int]) -> None:
    finding, whole = (mien.load(model, faces="largest", detect=detect) for detect in (True, False))
    found, read = list(finding.predict_many(images)), list(whole.predict_many(images))
    ok = np.array([result.status == "ok" for result in found])
    first, second = right(found, labels), right(read, labels)
    print(f"{title}: {len(images)} images")
    print(f"  a face is found: {share(ok)}")
    print(f"  right, of these: {share(first[ok])}; whole image, of the same: {share(second[ok])}")
    print(f"  right, of all (no face counts as wrong): {share(first)}; whole image, of all: {share(second)}")
    both, won, lost = ((first & second)[ok].sum(), (first & ~second)[ok].sum(), (second & ~first)[ok].sum())
    low, high = paired_difference_interval(both, lost, won, ok.sum())
    print(f"  found less whole, of these: {(won - lost) / ok.sum():+.3f} [{low:+.3f}, {high:+.3f}]")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    data_option(parser, "fer2013/ and small/")
    parser.add_argument("--model", metavar="NAME|FOLDER")
    parser.add_argument("--limit", type=int, metavar="N", help="images of each kind, sampled with a fixed seed  [all]")
    options = parser.parse_args()
    fold = read_fold(options.data)
    drawn = np.random.default_rng(0).permutation(np.flatnonzero(np.isin(fold.labels, (HAPPY, SAD))))[: options.limit]
    crops = [np.repeat(fold.images[index][..., np.newaxis], 3, axis=2) for index in drawn]
    compare(options.model, "FER2013 validation, happy and sad", crops, [int(fold.labels[index]) for index in drawn])
    manifest = read_manifest(options.data / PHOTOS)
    order = np.random.default_rng(0).permutation(len(manifest.samples))[: options.limit]
    samples = [manifest.samples[index] for index in order]
    paths = [str(options.data / PHOTOS / sample.name) for sample in samples]
    compare(options.model, PHOTOS, paths, [EXPRESSIONS.index(sample.label) for sample in samples])


if __name__ == "__main__":
    main()
