"""Measure what each ingredient of the shipped model's recipe contributes: short trainings with one change each.

    python benchmarks/ablation.py --data $MIEN_DATA --recipe WORK --work FOLDER [--epochs 8] [--only NAME]...

Each run trains from scratch, like the recipe's `fresh` training, but for few epochs. `--recipe` is the recipe's work
folder; one variant uses its teacher. A short training favours other ingredients than the full recipe, which has time to
profit from augmentation. Differences below a point are within what another seed would change.

Accuracy is on the validation faces of `shipped_model.py`: happy vs sad and seven classes, each by FER2013's labels (n
1 487, 3 300) and by the crowd's majority (n 1 067, 2 642). The last columns give the points that happy vs sad loses
under the perturbations of the robustness table, on average and at worst. Existing runs are only evaluated again.
"""

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import mien
from mien.inference.reader import Reader
from mien.training.backend import require_keras
from shipped_model_data import HAPPY, SAD, UNDECIDED, Fold, read_fold
from shipped_model_perturbations import CHANGES, apply

sys.path.insert(0, str(Path(__file__).parents[1] / "recipes"))
from fer_targets import Mix, prepare
from train_mien import BY_NAME, SETTINGS, train

FRESH = BY_NAME["fresh"]
TAUGHT = "last"  # the training with the most teachers
MIXES = {
    "recipe": FRESH.mix,
    "labels": Mix(1.0, 1.0),
    "votes": Mix(0.0, 0.0),
    "half": Mix(0.5, 0.5),
}
BASE: Mapping[str, Any] = {**SETTINGS, **FRESH.settings}


@dataclass(frozen=True)
class Variant:
    """What differs from the recipe: the table of targets, or settings."""

    table: str = "recipe"
    settings: Mapping[str, Any] = field(default_factory=dict)


VARIANTS: Mapping[str, Variant] = {
    "as in the recipe": Variant(),
    "AdamW": Variant(settings={"optimizer": "adamw", "learning_rate": 2.8e-3}),
    "targets: labels alone": Variant("labels"),
    "targets: votes alone": Variant("votes"),
    "targets: half and half": Variant("half"),
    "targets: half by teachers": Variant("taught"),
    "no weight average": Variant(settings={"weight_average": 0.0}),
    "constant learning rate": Variant(settings={"schedule": "constant"}),
    "mixup 0.2": Variant(settings={"mixup": 0.2}),
    "no erasing": Variant(settings={"erasing": 0.0}),
    "no damage": Variant(settings={"degradation": 0.0}),
    "less zoom (0.1)": Variant(settings={"zoom": 0.1}),
    "no augmentation": Variant(
        settings={"augment": "none", **dict.fromkeys(("zoom", "brightness", "contrast", "erasing", "degradation"), 0.0)}
    ),
}


def right(logits: npt.NDArray[np.float32], truth: npt.NDArray[np.int64]) -> float:
    """Return the accuracy of P(happy) against P(sad) for `truth` (N,), in percent."""
    return 100 * float(((logits[:, SAD] > logits[:, HAPPY]) == (truth == SAD)).mean())


def measure(reader: Reader, fold: Fold) -> list[float]:
    """Return the four accuracies in percent, then the mean and the worst loss by a perturbation, in points."""
    logits = reader.logits(fold.images[..., np.newaxis])
    known, crowd = np.isin(fold.labels, (HAPPY, SAD)), np.isin(fold.majority, (HAPPY, SAD))
    decided, best = fold.majority != UNDECIDED, logits.argmax(axis=1)
    plain = right(logits[known], fold.labels[known])
    faces = fold.images[known]
    changed = [
        np.mean([
            right(reader.logits(apply(draw, faces, seed)[..., np.newaxis]), fold.labels[known])
            for seed, draw in enumerate(change.draws)
        ])
        for change in CHANGES
        if change.wanted
    ]  # fmt: skip
    return [
        plain,
        right(logits[crowd], fold.majority[crowd]),
        100 * float((best == fold.labels).mean()),
        100 * float((best == fold.majority)[decided].mean()),
        float(np.mean(changed)) - plain,
        float(np.min(changed)) - plain,
    ]


def main() -> None:
    """Train and evaluate every variant, and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds fer2013/")
    parser.add_argument("--work", type=Path, required=True, help="where the runs go")
    parser.add_argument("--recipe", type=Path, required=True, help="where train_mien.py worked: its data/")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--only", action="append", choices=list(VARIANTS), help="variants to run; all if not given")
    args = parser.parse_args()
    require_keras("this benchmark")
    fold, data = read_fold(args.data), args.work / "data"
    if not data.exists():
        prepare(args.data / "fer2013", data, MIXES)
    print(
        "| variant | two-way, labels | two-way, crowd | seven, labels | seven, crowd | changes, mean | at worst |\n"
        "|---|---|---|---|---|---|---|",
        flush=True,
    )
    taught = args.recipe / "data" / f"{TAUGHT}-taught.csv"
    for name in args.only or VARIANTS:
        variant = VARIANTS[name]
        source = taught if variant.table == "taught" else data / f"{variant.table}.csv"
        out = args.work / name.replace(": ", "-").replace(" ", "-")
        train(source, out, {**BASE, "epochs": args.epochs, **variant.settings})
        row = " | ".join(f"{value:.1f}" for value in measure(mien.load(out, threads=2), fold))
        print(f"| {name} | {row} |", flush=True)


if __name__ == "__main__":
    main()
