"""How the shipped model `mien` is made, from FER2013's pictures and the votes of FER+, in one command.

    python recipes/train_mien.py --data $MIEN_DATA --work mien-runs/recipe

`$MIEN_DATA/fer2013` holds `fer2013.zip` and `ferplus_votes.csv`. Takes about an hour on two cores that have
bfloat16 arithmetic (elsewhere add `--set 'precision="float32"'`, and more time); the same command goes on after an
interruption. It leaves two bundles below WORK, `mien` and `mien-int8`, to be copied to `src/mien/models/`.

Targets are half FER2013's label and half the crowd's votes: the label says what the picture was searched by, the
votes what ten people saw in it, and figures are asked for against both. Votes of one person are taken for a slip
(Barsoum et al., 2016); contempt, "unknown" and "not a face" have no class and are left out.
"""

import argparse
import csv
import sys
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from mien.calibrate import fit_temperature, probabilities
from mien.cli.train import TrainingScreen
from mien.labels import EXPRESSIONS
from mien.output import new_folder
from mien.reader import Reader, load
from mien.rules import Rule, choose_rule
from mien.train.backend import require_keras
from mien.train.config import TrainConfig

# The validation fold is read as the figures of the model card are measured.
sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from shipped_model_data import COLUMNS, UNDECIDED, Fold, read_fold

FEWEST_VOTES = 2
LABEL_SHARE = 0.5

SETTINGS = {
    "network": "residual",
    "size": 48,
    "colour": "grey",
    "dropout": 0.2,
    "epochs": 60,
    "batch_size": 64,
    "optimizer": "adamw",
    "learning_rate": 2e-3,
    "weight_decay": 5e-3,
    "schedule": "cosine",
    "warmup_epochs": 2.0,
    "label_smoothing": 0.0,
    "weight_average": 0.9995,
    "augment": "strong",
    "precision": "bfloat16",
}


def main() -> None:
    """Prepare the data, train or go on training, then choose temperature and rule and write the bundles."""
    args = arguments()
    labelled = args.work / "data"
    if not labelled.exists():
        prepare(args.data / "fer2013", labelled)
    require_keras("the recipe")
    train(labelled / "faces.csv", args.work / "run", args.set)
    if not (args.work / "mien").exists():
        fold = read_fold(args.data)
        temperature, rule = calibrate(load(args.work / "run"), fold)
        print(f"temperature {temperature:.4f}, {rule}")
        release(args.work / "run", temperature, rule, fold, args.work / "mien")
    if not (args.work / "mien-int8").exists():
        quantise(args.work / "mien", labelled / "faces.csv", args.work / "mien-int8")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Train the shipped model.")
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds fer2013/")
    parser.add_argument("--work", type=Path, required=True, help="where data, run and bundles go")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="another value of a setting")
    return parser.parse_args()


def prepare(source: Path, out: Path) -> None:
    """Unpack the pictures and write `faces.csv`: file, label, split and a share of the target per class."""
    with new_folder(out) as folder, zipfile.ZipFile(source / "fer2013.zip") as archive:
        archive.extractall(folder)
        with (source / "ferplus_votes.csv").open(newline="", encoding="utf-8") as stream:
            rows = list(targets(csv.DictReader(stream)))
        with (folder / "faces.csv").open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(["file", "label", "split", *EXPRESSIONS])
            writer.writerows(rows)


def targets(votes: Iterator[Mapping[str, str]]) -> Iterator[list[str | float]]:
    """Turn each row of FER+ into file, label, split and seven shares that sum to 1."""
    for row in votes:
        label = np.array([float(name == row["label"]) for name in EXPRESSIONS])
        crowd = np.array([float(row[COLUMNS[name]]) for name in EXPRESSIONS])
        crowd[crowd < FEWEST_VOTES] = 0
        share = LABEL_SHARE if crowd.any() else 1.0
        target = share * label + (1 - share) * crowd / max(crowd.sum(), 1)
        file = f"fer2013/{row['split']}/{row['label']}/{row['file']}"
        yield [file, row["label"], row["split"], *(round(float(value), 6) for value in target)]


def train(source: Path, out: Path, changes: list[str]) -> None:
    """Train on the labelled pictures, or go on where an earlier call stopped."""
    from mien.train import run

    settings = {**SETTINGS, **tomllib.loads("\n".join(changes))}
    if (out / run.METRICS).exists():
        return
    with TrainingScreen(out) as screen:
        if out.exists():
            run.resume(out, screen)
        else:
            run.train(run.Source(source, EXPRESSIONS), TrainConfig.make(settings), out, screen)


def calibrate(reader: Reader, fold: Fold) -> tuple[float, Rule]:
    """Fit the temperature, and then choose the rule, on the validation faces that a majority agrees on."""
    known = fold.majority != UNDECIDED
    majority = fold.majority[known]
    logits = reader.logits(fold.pictures[known][..., np.newaxis])
    temperature = fit_temperature(logits, np.eye(len(EXPRESSIONS))[majority])
    return temperature, choose_rule(probabilities(logits, temperature), majority)


def release(run: Path, temperature: float, rule: Rule, fold: Fold, out: Path) -> None:
    """Write the bundle that the package ships, with the weights to train on from beside it."""
    import keras

    from mien.train.config import read_settings
    from mien.train.export import export_bundle
    from mien.train.pretrained import WEIGHTS_FILE, write_weights
    from mien.train.run import CONFIG

    network = keras.saving.load_model(run / "model.keras", safe_mode=True)
    config = TrainConfig.make(read_settings(run / CONFIG))
    agreement = export_bundle(
        network, EXPRESSIONS, fold.pictures[:512, ..., np.newaxis], out, temperature=temperature,
        answer_from=rule.answer_from, name="mien",
        about={"recipe": "recipes/train_mien.py", "network": config.network, "data": "FER2013 with FER+ votes"},
    )  # fmt: skip
    write_weights(network, config, out / WEIGHTS_FILE)
    print(f"exported: {agreement}")


def quantise(bundle: Path, source: Path, out: Path) -> None:
    """Write the int8 bundle, its ranges set by training pictures."""
    from mien.train.quantize import quantize_bundle, sample_crops

    print(quantize_bundle(bundle, sample_crops(source, bundle), out))


if __name__ == "__main__":
    main()
