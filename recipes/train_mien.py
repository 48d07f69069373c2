"""How the shipped model `mien` is made, from FER2013's pictures and the votes of FER+, in one command.

    python recipes/train_mien.py --data $MIEN_DATA --work mien-runs/recipe

`$MIEN_DATA/fer2013` holds `fer2013.zip` and `ferplus_votes.csv`. Takes about two and a half hours on two cores that
have bfloat16 arithmetic (elsewhere add `--set 'precision="float32"'`, and more time); the same command goes on after
an interruption. It leaves two bundles below WORK, `mien` and `mien-int8`, to be copied to `src/mien/models/`.

Three trainings: the network that ships, a wider one, and the first once more, from its weights, with targets that are
half what the two say of each picture.

Targets are half FER2013's label and half the crowd's votes: the label says what the picture was searched by, the
votes what ten people saw in it, and figures are asked for against both. Votes of one person are taken for a slip
(Barsoum et al., 2016); contempt, "unknown" and "not a face" have no class and are left out.
"""

import argparse
import csv
import sys
import tomllib
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from mien.calibrate import fit_temperature, probabilities
from mien.cli.train import TrainingScreen
from mien.duplicates import fingerprint, near_duplicate_groups
from mien.labels import EXPRESSIONS
from mien.output import new_folder
from mien.reader import Reader, load
from mien.rules import Rule, choose_rule
from mien.train.backend import require_keras
from mien.train.config import TrainConfig

# The validation fold is read as the figures of the model card are measured.
sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from shipped_model_data import COLUMNS, UNDECIDED, Fold, read_fold


@dataclass(frozen=True, eq=False)
class Row:
    """A picture of the labelled table; `shares` is float (7,), its target, summing to 1."""

    file: str
    label: str
    split: str
    shares: npt.NDArray[np.float64]


FEWEST_VOTES = 2
LABEL_SHARE, LAST_LABEL_SHARE = 0.5, 0.65
TEACHERS_SHARE = 0.5  # of the targets of the last training

SETTINGS = {
    "network": "residual",
    "size": 48,
    "colour": "grey",
    "dropout": 0.2,
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
FIRST: Mapping[str, Any] = {"epochs": 60}
# The wide network sees undamaged pictures: it is to learn what faces show, and the last training tells of damage.
WIDE: Mapping[str, Any] = {
    "width": 1.5, "epochs": 32, "rotation": 15, "zoom": 0.25, "translation": 0.08, "brightness": 0.2,
    "contrast": 0.25, "erasing": 0.3, "degradation": 0.0,
}  # fmt: skip
LAST = {
    "epochs": 46, "learning_rate": 1.5e-3, "dropout": 0.1, "brightness": 0.3, "contrast": 0.5, "erasing": 0.5,
    "degradation": 0.12,
}  # fmt: skip


def main() -> None:
    """Prepare the data, train or go on training, then choose temperature and rule and write the bundles."""
    args = arguments()
    labelled = args.work / "data"
    if not labelled.exists():
        prepare(args.data / "fer2013", labelled)
    require_keras("the recipe")
    teachers = [args.work / "first", args.work / "wide"]
    for folder, settings in zip(teachers, (FIRST, WIDE), strict=True):
        train(labelled / "faces.csv", folder, {**SETTINGS, **settings, **args.set})
    taught = labelled / "taught.csv"
    if not taught.exists():
        teach([load(folder) for folder in teachers], labelled / "last.csv", taught)
    train(taught, args.work / "run", {**SETTINGS, **LAST, "start_from": str(teachers[0]), **args.set})
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
    parser.add_argument("--work", type=Path, required=True, help="where data, runs and bundles go")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="another setting, for all trainings"
    )
    found = parser.parse_args()
    found.set = tomllib.loads("\n".join(found.set))
    return found


def prepare(source: Path, out: Path) -> None:
    """Unpack the pictures and write `faces.csv` and `last.csv`: file, label, split and seven shares of the target."""
    with new_folder(out) as folder, zipfile.ZipFile(source / "fer2013.zip") as archive:
        archive.extractall(folder)
        with (source / "ferplus_votes.csv").open(newline="", encoding="utf-8") as stream:
            votes = list(csv.DictReader(stream))
        groups: list[list[int]] | None = None
        for name, share in (("faces.csv", LABEL_SHARE), ("last.csv", LAST_LABEL_SHARE)):
            rows = [target(row, share) for row in votes]
            groups = groups or same_pictures([folder / row.file for row in rows])
            write_rows(folder / name, repaired(rows, groups))


def target(row: Mapping[str, str], label_share: float) -> Row:
    """Turn a row of FER+ into file, label, split and seven shares that sum to 1."""
    label = np.array([float(name == row["label"]) for name in EXPRESSIONS])
    crowd = np.array([float(row[COLUMNS[name]]) for name in EXPRESSIONS])
    crowd[crowd < FEWEST_VOTES] = 0
    share = label_share if crowd.any() else 1.0
    file = f"fer2013/{row['split']}/{row['label']}/{row['file']}"
    return Row(file, row["label"], row["split"], share * label + (1 - share) * crowd / max(crowd.sum(), 1))


def same_pictures(paths: Sequence[Path]) -> list[list[int]]:
    """Find the groups of files that hold the same picture, also cropped or recompressed, as indices."""
    print(f"looking for copies among {len(paths)} pictures")
    return near_duplicate_groups([fingerprint(np.asarray(Image.open(path).convert("L"))) for path in paths])


def repaired(rows: Sequence[Row], groups: Sequence[Sequence[int]]) -> list[Row]:
    """Give copies of one training picture the mean of their targets, and leave out their validation copies.

    Copies often stand under different labels, which are judgements of the same face. Labels of validation copies
    are never looked at.
    """
    found: list[Row | None] = list(rows)
    for group in groups:
        train = [number for number in group if rows[number].split == "train"]
        if not train:
            continue
        shares = np.mean([rows[number].shares for number in train], axis=0)
        for number in group:
            found[number] = None
        for number in train:
            found[number] = replace(rows[number], label=EXPRESSIONS[int(shares.argmax())], shares=shares)
    return [row for row in found if row is not None]


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write a labelled table that `mien train` reads."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["file", "label", "split", *EXPRESSIONS])
        for row in rows:
            writer.writerow([row.file, row.label, row.split, *(round(float(share), 6) for share in row.shares)])


def read_rows(path: Path) -> list[Row]:
    """Read what `write_rows` wrote."""
    with path.open(newline="", encoding="utf-8") as stream:
        return [
            Row(row["file"], row["label"], row["split"], np.array([float(row[name]) for name in EXPRESSIONS]))
            for row in csv.DictReader(stream)
        ]


def teach(teachers: Sequence[Reader], source: Path, out: Path) -> None:
    """Write a table again, the targets of training pictures mixed with what the teachers say of them.

    Each teacher looks at each picture and its mirror image (Hinton et al., "Distilling the knowledge in a neural
    network", 2015, at temperature 1: the targets are soft already).
    """
    rows = read_rows(source)
    seen = [number for number, row in enumerate(rows) if row.split == "train"]
    pictures = np.stack([np.asarray(Image.open(source.parent / rows[number].file).convert("L")) for number in seen])
    views = [np.ascontiguousarray(view)[..., np.newaxis] for view in (pictures, pictures[:, :, ::-1])]
    said = np.mean([probabilities(teacher.logits(view), 1.0) for teacher in teachers for view in views], axis=0)
    for number, shares in zip(seen, said, strict=True):
        mixed = TEACHERS_SHARE * shares + (1 - TEACHERS_SHARE) * rows[number].shares
        rows[number] = replace(rows[number], shares=mixed)
    write_rows(out, rows)


def train(source: Path, out: Path, settings: Mapping[str, Any]) -> None:
    """Train on the labelled pictures, or go on where an earlier call stopped."""
    from mien.train import run

    with TrainingScreen(out) as screen:
        run.train_or_resume(run.Source(source, EXPRESSIONS), TrainConfig.make(settings), out, screen)


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
        answer_from=rule.answer_from, answer_over=rule.answer_over, framing="face", name="mien",
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
