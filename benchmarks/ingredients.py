"""What each ingredient of the shipped model's recipe brings: `residual` on happy and sad, one thing changed at a time.

    python benchmarks/ingredients.py --data $MIEN_DATA --work FOLDER [--epochs 12] [--only NAME]...

Two classes and few epochs, so that a run takes minutes; what helps here need not help as much in the full recipe.
Accuracy is on the validation faces of `shipped_model.py` that FER2013 calls happy or sad (n 1 487), plain, against the
crowd's majority (n 1 067), and the mean and the worst over the changes of the robustness table. Runs that are there
already are only measured again.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import mien
from mien.cli.train import TrainingScreen
from mien.reader import Reader
from mien.train.backend import require_keras
from mien.train.config import TrainConfig
from shipped_model_changes import CHANGES, apply
from shipped_model_data import HAPPY, SAD, Fold, read_fold

BASE: Mapping[str, Any] = {"network": "residual", "augment": "strong", "weight_average": 0.999, "precision": "bfloat16"}
CHANGED: Mapping[str, Mapping[str, Any]] = {
    "as in the recipe": {},
    "no weight average": {"weight_average": 0.0},
    "no erasing": {"erasing": 0.0},
    "no damage": {"degradation": 0.0},
    "less zoom (0.1)": {"zoom": 0.1},
    "light augmentation": {"augment": "light"},
    "no augmentation": {"augment": "none"},
    "single precision": {"precision": "float32"},
    "constant learning rate": {"schedule": "constant"},
    "no label smoothing": {"label_smoothing": 0.0},
}


def train(data: Path, out: Path, settings: Mapping[str, Any]) -> None:
    """Train one variant, or go on where it was interrupted."""
    from mien.train import run

    with TrainingScreen(out) as screen:
        run.train_or_resume(
            run.Source(data / "fer2013" / "fer2013.zip", ("happy", "sad")), TrainConfig.make(settings), out, screen
        )


def accuracy(reader: Reader, pictures: npt.NDArray[np.uint8], is_sad: npt.NDArray[np.bool_]) -> float:
    """Share of right answers at 0.5 on grey crops (N, 48, 48)."""
    logits = reader.logits(pictures[..., np.newaxis])
    return float(((logits[:, 1] > logits[:, 0]) == is_sad).mean())


def measure(reader: Reader, fold: Fold) -> list[float]:
    """Plain accuracy, that against the crowd, and the mean and the worst over the changes, all in [0, 1]."""
    known, crowd = np.isin(fold.labels, (HAPPY, SAD)), np.isin(fold.majority, (HAPPY, SAD))
    faces, is_sad = fold.pictures[known], fold.labels[known] == SAD
    changed = [
        np.mean([accuracy(reader, apply(draw, faces, seed), is_sad) for seed, draw in enumerate(change.draws)])
        for change in CHANGES
        if change.wanted
    ]
    against_crowd = accuracy(reader, fold.pictures[crowd], fold.majority[crowd] == SAD)
    return [accuracy(reader, faces, is_sad), against_crowd, float(np.mean(changed)), float(np.min(changed))]


def main() -> None:
    """Train and measure every variant, and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds fer2013/")
    parser.add_argument("--work", type=Path, required=True, help="where the runs go")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--only", action="append", choices=list(CHANGED), help="variants to run; all if not given")
    args = parser.parse_args()
    require_keras("this benchmark")
    fold = read_fold(args.data)
    args.work.mkdir(parents=True, exist_ok=True)
    print(
        "| variant | FER2013 labels | FER+ majority | mean of the changes | worst change |\n|---|---|---|---|---|",
        flush=True,
    )
    for name in args.only or CHANGED:
        out = args.work / name.replace(" ", "-")
        train(args.data, out, {**BASE, "epochs": args.epochs, **CHANGED[name]})
        row = " | ".join(f"{value:.3f}" for value in measure(mien.load(out, threads=2), fold))
        print(f"| {name} | {row} |", flush=True)


if __name__ == "__main__":
    main()
