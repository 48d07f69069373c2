"""Train the shipped model `mien` from FER2013's images and the votes of FER+, in one command.

    python recipes/train_mien.py --data $MIEN_DATA --work mien-runs/recipe

`$MIEN_DATA/fer2013` holds `fer2013.zip` and `ferplus_votes.csv`. The parts add up to six to seven hours on two cores
with bfloat16 arithmetic (elsewhere add `--set 'precision="float32"'`, and more time). Run the same command again after
an interruption. It leaves two bundles below WORK, `mien` and `mien-int8`; copy them to `src/mien/models`.

There are seven trainings: of the network that ships, of a wider one, and of the first again and again from its last
weights, with targets that are half the predictions of earlier networks (`teachers.py`) and half as `fer_targets.py`
describes. The fifth starts from scratch with another optimizer: in 33 minutes it gets nearly as far as the first three
in two and a half hours, and makes different errors. The last two are blended with the weights they started from
(`blend.py`); the lab log has the results of other shares.
"""

import argparse
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from choose_rule import Rule, choose_rule

from mien.cli.output.training_progress import TrainingProgress
from mien.inference.calibration import probabilities
from mien.io.layout import CONFIG, KERAS
from mien.labels import EXPRESSIONS
from mien.training.backend import require_keras
from mien.training.config import TrainConfig, read_settings
from mien.training.export.temperature import fit_temperature
from mien.training.source import TrainingSource
from mien.training.train import train_or_resume

# The validation fold is loaded as for the metrics of the model card.
sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from blend import blend
from fer_targets import Mix, prepare
from teachers import teach

from shipped_model_data import UNDECIDED, Fold, read_fold, what_is_missing

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


@dataclass(frozen=True)
class Training:
    """One training: its targets, the earlier ones that teach it or lend their weights, and its own settings.

    The result is blended with its start, which contributes `share_of_start` of the weights.
    """

    name: str
    mix: Mix
    settings: Mapping[str, Any]
    teachers: tuple[str, ...] = ()
    start: str | None = None
    share_of_start: float = 0.0

    @property
    def result(self) -> str:
        """Return the folder below WORK that holds its `model.keras`."""
        return f"{self.name}-blended" if self.share_of_start else self.name


#: Slightly more sad faces than required (0.70), so that the 8-bit bundle finds as many, too.
SAD_AS_SAD = 0.71
RANGE_CROPS = 1024  # every second one sets the int8 ranges, the others are compared

EVEN = Mix(decided=0.5, undecided=0.5)
# If the crowd is not sure, no majority can be missed, and FER2013's label is the better guide.
REPAIRED = Mix(decided=0.35, undecided=1.0)
LONG = {
    "batch_size": 128, "optimizer": "muon", "warmup_epochs": 1.0, "dropout": 0.1, "zoom": 0.5, "brightness": 0.3,
    "contrast": 0.4, "erasing": 0.6, "degradation": 0.12, "weight_average": 0.9993,
}  # fmt: skip
TRAININGS = (
    Training("first", EVEN, {"epochs": 60}),
    # The wide network sees undamaged images; the other teachers have learned degradation.
    Training("wide", EVEN, {
        "width": 1.5, "epochs": 32, "rotation": 15, "zoom": 0.25, "translation": 0.08, "brightness": 0.2,
        "contrast": 0.25, "erasing": 0.3, "degradation": 0.0,
    }),
    Training("second", Mix(decided=0.65, undecided=0.65), {
        "epochs": 46, "learning_rate": 1.5e-3, "dropout": 0.1, "brightness": 0.3, "contrast": 0.5, "erasing": 0.5,
        "degradation": 0.12,
    }, teachers=("first", "wide"), start="first"),
    Training("third", REPAIRED, {
        **LONG, "optimizer": "adamw", "learning_rate": 2.2e-3, "freeze_epochs": 2, "warmup_epochs": 2.0, "epochs": 100,
    }, teachers=("first", "wide", "second"), start="second"),
    Training("fresh", REPAIRED, {**LONG, "learning_rate": 6e-3, "epochs": 42}),
    # Its starting point, the best of them, counts twice as a teacher.
    Training("last", REPAIRED, {
        **LONG, "learning_rate": 3e-3, "freeze_epochs": 1, "epochs": 74, "zoom": 0.6, "degradation": 0.15,
    }, teachers=("third", "third", "fresh", "second", "wide", "first"), start="third", share_of_start=0.35),
    # Again from that result, its only teacher. When the shipped weights were made, the earlier trainings covered
    # images with plain tones only; the layer has used patterns since.
    Training("covered", REPAIRED, {
        **LONG, "learning_rate": 3e-3, "freeze_epochs": 1, "epochs": 68, "zoom": 0.6, "degradation": 0.15,
    }, teachers=("last",), start="last", share_of_start=0.35),
)  # fmt: skip
BY_NAME = {training.name: training for training in TRAININGS}


def main() -> None:
    """Train, choose temperature and rule, and write the bundles; finished steps are skipped."""
    args = arguments()
    train_all(args.data, args.work, args.set)
    result, targets = args.work / TRAININGS[-1].result, table(args.work, TRAININGS[-1])
    if not (args.work / "mien").exists():
        release(result, read_fold(args.data), args.work / "mien")
    if not (args.work / "mien-int8").exists():
        quantise(args.work / "mien", targets, args.work / "mien-int8")


def train_all(data: Path, work: Path, extra: Mapping[str, Any]) -> None:
    """Prepare the data and run or resume every training; `extra` are settings for all of them."""
    if missing := what_is_missing(data):
        sys.exit(missing)
    labelled = work / "data"
    if not labelled.exists():
        prepare(data / "fer2013", labelled, {training.name: training.mix for training in TRAININGS})
    if unknown := [training.name for training in TRAININGS if not table(work, training).exists()]:
        sys.exit(f"{labelled}: is of another recipe, without {unknown[0]}.csv; give another --work")
    require_keras("the recipe")
    for training in TRAININGS:
        perform(training, work, extra)


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="Train the shipped model.")
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds fer2013/")
    parser.add_argument("--work", type=Path, required=True, help="where data, runs and bundles go")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting for all trainings")
    found = parser.parse_args()
    found.set = tomllib.loads("\n".join(found.set))
    return found


def table(work: Path, training: Training) -> Path:
    """Return the path of a training's targets, before any teacher."""
    return work / "data" / f"{training.name}.csv"


def perform(training: Training, work: Path, extra: Mapping[str, Any]) -> None:
    """Add the predictions of the teachers, train or resume, and blend; do nothing if the result exists."""
    source, settings = table(work, training), {**SETTINGS, **training.settings, **extra}
    if training.teachers:
        taught = source.with_stem(f"{training.name}-taught")
        if not taught.exists():
            teach([work / BY_NAME[name].result for name in training.teachers], source, taught)
        source = taught
    start = work / BY_NAME[training.start].result if training.start else None
    if start:
        settings["start_from"] = str(start)
    train(source, work / training.name, settings)
    if start and training.share_of_start and not (work / training.result).exists():
        blend(start, work / training.name, training.share_of_start, table(work, training), work / training.result)


def train(source: Path, out: Path, settings: Mapping[str, Any]) -> None:
    """Train on the labelled images, or resume an earlier call."""
    with TrainingProgress() as progress:
        train_or_resume(TrainingSource(source, EXPRESSIONS), TrainConfig.make(settings), out, progress)


def calibrate(logits: npt.NDArray[np.float32], fold: Fold) -> tuple[float, Rule]:
    """Fit the temperature and then choose the rule, on the validation faces with a majority."""
    known = fold.majority != UNDECIDED
    majority = fold.majority[known]
    temperature = fit_temperature(logits[known], np.eye(len(EXPRESSIONS))[majority])
    return temperature, choose_rule(probabilities(logits[known], temperature), majority, sad_as_sad=SAD_AS_SAD)


def release(run: Path, fold: Fold, out: Path) -> None:
    """Write the shipped bundle, with the weights for further training beside it."""
    import keras

    from mien.training.export.onnx import export_bundle
    from mien.training.networks.networks import logits_of
    from mien.training.networks.pretrained import WEIGHTS_FILE, write_weights

    config = TrainConfig.make(read_settings(run / CONFIG))
    network = keras.saving.load_model(run / KERAS, safe_mode=True)
    faces = fold.images[..., np.newaxis]
    temperature, rule = calibrate(logits_of(network).predict(faces, batch_size=512, verbose=0), fold)
    print(f"temperature {temperature:.4f}, {rule}")
    agreement = export_bundle(
        network, EXPRESSIONS, faces[:512], out, temperature=temperature,
        answer_from=rule.answer_from, answer_over=rule.answer_over, framing="face", name="mien",
        about={"recipe": "recipes/train_mien.py", "network": config.network, "data": "FER2013 with FER+ votes"},
    )  # fmt: skip
    write_weights(network, config, out / WEIGHTS_FILE)
    print(f"exported: {agreement}")


def quantise(bundle: Path, source: Path, out: Path) -> None:
    """Write the int8 bundle, its ranges set by training images."""
    from mien.training.export.quantize import quantize_bundle, sample_crops

    print(quantize_bundle(bundle, sample_crops(source, bundle, RANGE_CROPS), out))


if __name__ == "__main__":
    main()
