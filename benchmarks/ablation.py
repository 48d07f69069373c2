"""Measure what each ingredient of the shipped model's recipe contributes: short trainings with one change each.

    python benchmarks/ablation.py --data $MIEN_DATA --recipe WORK --work FOLDER [--epochs 8] [--only NAME]...

Each run trains the network that ships from scratch, like the recipe but for few epochs and with its own augmentation.
One variant takes the views that the recipe's teachers have answered; `--recipe` is the recipe's work folder. A short
training favours other ingredients than the full recipe, which has time to profit from augmentation. Differences below a
point are within what another seed would change.

Accuracy is on the validation faces of `shipped_model.py`: happy vs sad and seven classes, each by FER2013's labels (n
1 487, 3 300) and by the crowd's majority (n 1 067, 2 642). The last columns give the points that happy vs sad loses
under the perturbations of the robustness table, on average and at worst. Existing runs are only evaluated again.
"""

import argparse
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from measured import data_option
from mien.training.backend import require_keras
from mien.training.loop.batches import TrainingArrays
from shipped_model_data import HAPPY, SAD, UNDECIDED, Fold, read_fold
from shipped_model_perturbations import CHANGES, apply

sys.path.insert(0, str(Path(__file__).parents[1] / "recipes"))
from fer_targets import Mix, prepare, read_faces
from train_mien import COMMON, DAMAGED, STUDENTS, TARGETS, TEACHERS, new_student, table, train

MIXES = {
    "recipe": TARGETS["students"],
    "labels": Mix(1.0, 1.0),
    "votes": Mix(0.0, 0.0),
    "half": Mix(0.5, 0.5),
}
BASE: Mapping[str, Any] = {**COMMON, **STUDENTS["mien"], **asdict(DAMAGED)}


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


def measure(network: Any, fold: Fold) -> list[float]:
    """Return the four accuracies in percent, then the mean and the worst loss by a perturbation, in points."""
    from mien.training.networks.networks import logits_of

    model = logits_of(network)

    def logits_for(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        found: npt.NDArray[np.float32] = model.predict(images[..., np.newaxis], batch_size=512, verbose=0)
        return found

    logits = logits_for(fold.images)
    known, crowd = np.isin(fold.labels, (HAPPY, SAD)), np.isin(fold.majority, (HAPPY, SAD))
    decided, best = fold.majority != UNDECIDED, logits.argmax(axis=1)
    plain = right(logits[known], fold.labels[known])
    faces = fold.images[known]
    changed = [
        np.mean([
            right(logits_for(apply(draw, faces, seed)), fold.labels[known])
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
    data_option(parser, "fer2013/")
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
    for name in args.only or VARIANTS:
        variant = VARIANTS[name]
        settings = {**BASE, "epochs": args.epochs, **variant.settings}
        if variant.table == "taught":
            from views import read_views

            faces = read_faces(table(args.recipe, "students"))
            training: TrainingArrays = read_views(faces, args.recipe / "views", [one.name for one in TEACHERS])
            settings["augment"] = "none"
        else:
            faces = read_faces(data / f"{variant.table}.csv")
            training = faces.arrays(train=True)
        out = args.work / name.replace(": ", "-").replace(" ", "-")
        network = train(new_student(settings), settings, training, faces, out)
        row = " | ".join(f"{value:.1f}" for value in measure(network, fold))
        print(f"| {name} | {row} |", flush=True)


if __name__ == "__main__":
    main()
