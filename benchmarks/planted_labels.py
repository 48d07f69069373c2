"""Measure how well flipped labels are found: a tenth of the labels is flipped, and two rankings must put them first.

    python benchmarks/planted_labels.py --data $MIEN_DATA [--model FOLDER] [--share 0.1] [--repeats 20]

`--data` is the folder that holds `fer2013/` and `small/`. The rankings are those that users see: the label issues of
`mien check`, worst first (confident learning, `mien.data.label_issues`), and the errors of `mien evaluate`,
most confident first. The result is the average precision of the flipped labels: the mean over repeats, with the lowest
and the highest.

The datasets have wrong labels of their own, which count as false alarms here. Therefore FER2013's validation fold
(happy and sad, without images that also stand in train) is measured twice: as it is, and on the faces for which all
ten people of FER+ agree with the label.
"""

import argparse
import csv
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from measured import data_option
from mien.data.dataset import read_manifest
from mien.data.label_issues import find_label_issues
from mien.errors import MienError
from mien.evaluation.scoring import Predictions, score
from mien.inference.reader import Reader, load
from mien.metrics.ranking import average_precision, roc_auc

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

CLASSES = ("happy", "sad")
VOTES = {"happy": "happiness", "sad": "sadness"}
#: The required average precision.
WANTED = 0.7


def by_label_issues(shares: Floats, labels: Ints) -> Floats:
    """Return the margin of every label issue, float64 (N,); -1 for other samples."""
    found = np.full(len(labels), -1.0)
    for issue in find_label_issues(shares, labels):
        found[issue.index] = issue.margin
    return found


def by_confident_errors(shares: Floats, labels: Ints) -> Floats:
    """Return the confidence of every wrong answer, float64 (N,); right answers are below 0."""
    answers, confidence = shares.argmax(axis=1), shares.max(axis=1)
    found: Floats = np.where(answers != labels, confidence, -confidence)
    return found


RANKINGS: dict[str, Callable[[Floats, Ints], Floats]] = {
    "label issues": by_label_issues,
    "most confident errors": by_confident_errors,
}


def planted(truth: Ints, share: float, seed: int) -> tuple[Ints, Bools]:
    """Flip that fraction of two-class labels; return the labels and which of them were flipped."""
    turned = np.zeros(len(truth), bool)
    turned[np.random.default_rng(seed).permutation(len(truth))[: round(share * len(truth))]] = True
    return np.where(turned, 1 - truth, truth), turned


def measure(name: str, scored: Predictions, share: float, repeats: int, kept: Bools | None = None) -> Iterator[str]:
    """Return one row of the table for each ranking."""
    chosen = np.ones(len(scored.truth), bool) if kept is None else kept
    shares, truth = scored.probabilities[chosen], scored.truth[chosen]
    wrong = float((shares.argmax(axis=1) != truth).mean())
    for ranking, rank in RANKINGS.items():
        found, areas = [], []
        for seed in range(repeats):
            labels, turned = planted(truth, share, seed)
            values = rank(shares, labels)
            found.append(average_precision(turned, values))
            areas.append(roc_auc(turned, values))
        spread = f"{np.mean(found):.3f} ({min(found):.3f} to {max(found):.3f})"
        missed = "" if np.mean(found) >= WANTED else " (!)"
        yield f"| {name} | {len(truth)} | {100 * wrong:.1f} % | {ranking} | {spread}{missed} | {np.mean(areas):.3f} |"


def fer2013(reader: Reader, data: Path) -> tuple[Predictions, Bools]:
    """Return the validation faces that are not in train, and for which of them all ten votes agree with the label."""
    manifest = read_manifest(data / "fer2013/fer2013.zip", CLASSES)
    learned = {manifest.read(one.name) for one in manifest.samples if one.split == "train"}
    alone = tuple(
        one for one in manifest.samples if one.split == "validation" and manifest.read(one.name) not in learned
    )
    scored = score(reader, replace(manifest, samples=alone))
    with (data / "fer2013/ferplus_votes.csv").open(newline="", encoding="utf-8") as file:
        votes = {row["file"]: row for row in csv.DictReader(file)}
    labels = [scored.classes[code] for code in scored.truth]
    sure = [votes[Path(name).name][VOTES[label]] == "10" for name, label in zip(scored.names, labels, strict=True)]
    return scored, np.array(sure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data_option(parser, "fer2013/ and small/")
    parser.add_argument("--model", type=Path, metavar="FOLDER", help="bundle or run  [the shipped model]")
    parser.add_argument("--share", type=float, default=0.1, help="fraction of the labels to flip  [0.1]")
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args()
    try:
        whole, sure = fer2013(load(options.model, detect=False), options.data)
        scraped = score(load(options.model, faces="largest"), read_manifest(options.data / "small", CLASSES))
    except MienError as error:
        parser.error(str(error))
    print("| data | n | errors, by the given labels | ranking | average precision | ROC AUC |")
    print("|---|---|---|---|---|---|")
    sets = (("FER2013 validation", whole, None), ("its faces of ten votes", whole, sure), ("small", scraped, None))
    for name, scored, kept in sets:
        for row in measure(name, scored, options.share, options.repeats, kept):
            print(row)


if __name__ == "__main__":
    main()
