"""Read labelled photographs end to end: in how many a face is found, and how often happy vs sad is right."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

import mien
from mien.data.dataset import read_manifest
from mien.labels import EXPRESSIONS
from mien.metrics.estimates import proportion
from shipped_model_rows import Bools, Measured, Row

PHOTOS = "small"
SECTION = "Found and right, photographs"


def photographs(found: Measured, model: Path, folder: Path) -> None:
    """Add the rows of a bundle on a folder with `happy` and `sad`: photographs that it was not trained on."""
    manifest = read_manifest(folder)
    paths = [str(folder / sample.name) for sample in manifest.samples]
    labels = [EXPRESSIONS.index(sample.label) for sample in manifest.samples]
    for how, detect in (("largest face", True), ("whole image", False)):
        results = list(mien.load(model, faces="largest", detect=detect).predict_many(paths))
        hits = found.hits[f"photographs, {how}"] = right(results, labels)
        if detect:
            ok = sum(result.status == "ok" for result in results)
            found.rows.append(Row(SECTION, "a face is found", len(results), proportion(ok, len(results))))
        found.rows.append(Row(SECTION, f"happy vs sad, {how}", len(hits), proportion(int(hits.sum()), len(hits))))


def right(results: Sequence[mien.ImageResult], labels: Sequence[int]) -> Bools:
    """Return whether happy vs sad at 0.5, on the largest face, equals the label; False if no face was classified."""
    found = []
    for result, label in zip(results, labels, strict=True):
        shares = result.faces[0].two_way if result.faces else None
        found.append(shares is not None and shares[EXPRESSIONS[label]] >= 0.5)
    return np.array(found)
