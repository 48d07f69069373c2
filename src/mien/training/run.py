"""One training run: make its folder, train, export, evaluate. Any interrupted run can be resumed."""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import numpy as np

from mien.arguments import to_flags
from mien.data.dataset import Manifest
from mien.data.detection import DetectionChoice, choose_detection
from mien.data.split import PARTS
from mien.errors import MienError, OutputError, TrainingError
from mien.evaluation.baselines import Baselines, measure_baselines, score_shipped
from mien.evaluation.held_out import describe_part
from mien.evaluation.provenance import command_line, record_provenance
from mien.evaluation.scoring import Predictions, score
from mien.inference.bundle import load_bundle
from mien.inference.reader import Reader
from mien.inference.reader_options import describe_mirror
from mien.io.atomic import (
    LOCK,
    NOTHING_KEPT,
    is_locked,
    locked,
    new_folder,
    readable_errors,
    remove_leftovers,
    to_bytes,
    write_text,
)
from mien.io.layout import (
    AUGMENTED,
    BUNDLE,
    CHECKPOINT,
    CONFIG,
    FAILED,
    LEFT_OUT,
    RUN,
    SAMPLES,
    SPLIT,
    is_begun,
    is_run,
)
from mien.io.targets import to_json
from mien.report.report import Evaluation, write_report
from mien.text import list_counts
from mien.training.augmentation.preview import draw_samples
from mien.training.backend import release_memory, versions
from mien.training.config import TrainConfig, read_settings
from mien.training.data_split import DataSplit
from mien.training.export.artifacts import draw_curves, require_exportable, save_bundle, save_keras
from mien.training.export.temperature import MIN_ROWS_TO_FIT
from mien.training.loop.batches import TrainingArrays
from mien.training.loop.checkpoint import load_checkpoint
from mien.training.loop.fit import fit
from mien.training.loop.schedule import Epoch, best_epoch, why_stop
from mien.training.loop.tensorboard import EventLog, require_tensorboard
from mien.training.networks.backbone import load_backbone
from mien.training.networks.networks import build
from mien.training.networks.pretrained import load_pretrained
from mien.training.reporter import QuietReporter, Reporter
from mien.training.result import TrainingResult
from mien.training.run_data import cache_folder, open_crops
from mien.training.runs import read_unfinished
from mien.training.source import TrainingSource


def start_run(source: TrainingSource, config: TrainConfig, out: Path, split: DataSplit, reporter: Reporter) -> None:
    """Make a run folder with settings and split. `resume_run` trains it.

    Args:
        source: the labelled data, stored so that the run can be resumed.
        config: all settings; whether to detect faces is that of the split.
        out: the new folder.
        split: the samples of `source` and the split of each.
        reporter: receives the number of samples by split and class.
    """
    counts = {name: split.subset(name).counts() for name in PARTS if name in split.splits}
    config = replace(config, detect=split.detection.detect)
    if config.tensorboard:
        require_tensorboard()
    # A network that cannot be built or exported must leave no folder behind.
    classes = len(split.manifest.classes)
    require_exportable(initial_network(config, classes), config, classes, cache_folder(out))
    with new_folder(out) as folder:
        (folder / CONFIG).write_bytes(to_bytes(config.to_toml()))
        (folder / SPLIT).write_bytes(to_bytes(split.to_csv()))
        if split.left_out:
            (folder / LEFT_OUT).write_bytes(to_bytes(split.left_out_csv()))
        about = {
            "source": source.to_dict(),
            "classes": list(split.manifest.classes),
            "counts": counts,
            "left_out": dict(Counter(split.left_out.values())),
            "detection": split.detection.to_dict(),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": command_line(),
            "versions": versions(),
        }
        (folder / RUN).write_bytes(to_bytes(to_json(about)))
    for name, by_class in counts.items():
        reporter.say(f"{name:<10} " + list_counts(by_class))


def initial_network(config: TrainConfig, classes: int, begun: bool = False) -> Any:
    """Build the network of a run before its first step.

    Args:
        config: network, initial weights, and the seed of all random weights.
        classes: number of classes.
        begun: leave the weights random, because a checkpoint replaces them; their source may be gone by then.
    """
    keras.utils.set_random_seed(config.seed)
    network = build(config, classes)
    if not begun:
        load_pretrained(network, config)
        load_backbone(network, config)
    return network


def resume_run(folder: Path, reporter: Reporter | None = None) -> TrainingResult:
    """Continue a run after its last finished epoch, then export and evaluate.

    Raises TrainingError if the folder is not a run, is finished, is being trained by another process, or its data has
    changed or is gone. An error that stops a run is also written into its folder.
    """
    with held_alone(folder) as about, failure_noted(folder):
        return _continue(folder, about, reporter or QuietReporter())


@contextlib.contextmanager
def held_alone(folder: Path) -> Iterator[dict[str, Any]]:
    """Keep other processes off an unfinished run, and give the content of its `run.json`.

    Raises TrainingError if another process trains it.
    """
    read_unfinished(folder)
    if is_locked(folder / LOCK):
        raise TrainingError(f"{folder}: another process trains this run; wait for it, or stop that process first")
    with locked(folder / LOCK, folder, wait=0.1):
        yield read_unfinished(folder)  # again: another process may just have finished it


@contextlib.contextmanager
def failure_noted(folder: Path, parts: str = "epochs") -> Iterator[None]:
    """Write an error that stops a run into its folder, and remove an earlier one.

    One of a file that cannot be written says which finished `parts` stay.
    """
    (folder / FAILED).unlink(missing_ok=True)
    try:
        try:
            yield
        except OutputError as error:
            if error.kept != NOTHING_KEPT:
                raise
            kept = (
                f"finished {parts} are kept"
                if is_run(folder)
                else f"nothing is kept, because {folder} has been removed"
            )
            raise OutputError(error.problem, kept) from error
    except MienError as error:
        if is_run(folder):
            with contextlib.suppress(OSError):  # if the disk is full, the error itself matters more
                write_text(folder / FAILED, f"{error}\n")
        raise


def run_reader(folder: Path) -> Reader:
    """Return the model of a run, which reads images as it was trained: whole, or the largest face of each."""
    return Reader(load_bundle(folder / BUNDLE), faces="largest", device="cpu")


def score_split(
    reader: Reader, split: DataSplit, name: str, report: Callable[[float], None] | None = None
) -> Predictions:
    """Score a model on one split. Its groups (near-duplicates, people) are the units of the confidence intervals.

    Args:
        reader: the model.
        split: all samples of the run.
        name: train, validation or test.
        report: called with the fraction done, in [0, 1].
    """
    predictions = score(reader, split.subset(name), report)
    group_of = {one.name: group for one, group in zip(split.manifest.samples, split.groups, strict=True)}
    return replace(predictions, groups=np.array([group_of[name] for name in predictions.names], np.int64))


def _continue(folder: Path, about: Mapping[str, Any], reporter: Reporter) -> TrainingResult:
    config = TrainConfig.make(read_settings(folder / CONFIG))
    with reporter.progress("decoding the images") as report:
        split, crops = open_crops(folder, report, reporter.say)
    network = initial_network(config, len(split.manifest.classes), begun=is_begun(folder))
    training = split.arrays(crops, "train", config.class_weight == "balanced")
    validation = split.arrays(crops, "validation")
    with readable_errors(folder):
        if not ((folder / SAMPLES).exists() and (folder / AUGMENTED).exists()):
            draw_samples(folder, split.manifest.classes, training, config)
        with contextlib.ExitStack() as stack:
            listener = reporter
            if config.tensorboard:
                past = load_checkpoint(folder / CHECKPOINT).history if is_begun(folder) else []
                listener = stack.enter_context(contextlib.closing(EventLog(folder, past, reporter)))
            history = fit(network, config, training, validation, folder, listener)
        release_memory()  # before the converter needs as much again
        reporter.say(_kept_epoch(config, history))
        draw_curves(folder, history)
        save_keras(folder, network)
        agreement = None
        if not (folder / BUNDLE).exists():
            classes, counts = split.manifest.classes, {"counts": about["counts"]}
            groups = np.array(split.groups)[validation.rows]
            agreement, choice = save_bundle(
                folder, network, config, classes, validation, counts, split.detection.kind, groups
            )
            reporter.say(choice.sentence)
            reporter.say(f"exported: {agreement}")
            if uncalibrated := _uncalibrated(validation):
                reporter.say(uncalibrated)
        found = _evaluate(folder, config, split, validation, reporter)
        (folder / CHECKPOINT).unlink(missing_ok=True)
        remove_leftovers(folder)
    return TrainingResult(
        folder, found.predictions, found.part, tuple(history), agreement, split.detection, found.baselines
    )


def _evaluate(
    folder: Path, config: TrainConfig, split: DataSplit, validation: TrainingArrays, reporter: Reporter
) -> "Judged":
    """Score the exported bundle beside its baselines, and write the report into the run folder."""
    reader = run_reader(folder)
    judged = judge(reader, split, split.evaluated, config, reporter)
    about = {"run": folder.name, "sha256": reader.config.sha256, "framing": reader.config.framing}
    about |= {"detection": to_flags(split.detection.sentence), **record_provenance(config.seed)}
    about["calibration"] = _uncalibrated(validation) or f"temperature {reader.config.temperature:.3f}"
    about |= describe_mirror(reader.config, reader.mirror)
    evaluation = Evaluation(judged.predictions, judged.part, about, reader, run=folder, baselines=judged.baselines)
    write_report(evaluation, folder)
    return judged


@dataclass(frozen=True, eq=False)
class Judged:
    """The predictions of a run on one split, that split in words, and the numbers to beat on the same images."""

    predictions: Predictions
    part: str
    baselines: Baselines


def judge(reader: Reader, split: DataSplit, name: str, config: TrainConfig, reporter: Reporter) -> Judged:
    """Score the model of a run on one split, and the shipped model beside it.

    The shipped model reads the images as a user would: the largest face of each photograph, crops whole.

    Args:
        reader: the model of the run.
        split: all samples of the run.
        name: train, validation or test.
        config: the settings of the run.
        reporter: receives the progress.
    """
    with reporter.progress(f"evaluating on the {name} split") as report:
        predictions = replace(score_split(reader, split, name, report), seed=config.seed)
    with reporter.progress("evaluating the shipped model on the same images") as report:
        manifest = split.subset(name)
        shipped = score_shipped(manifest, shows_photographs(split.detection, manifest), report)
    return Judged(predictions, describe_part(name), measure_baselines(predictions, shipped))


def shows_photographs(chosen: DetectionChoice, manifest: Manifest) -> bool:
    """Return whether the shipped model should find faces, also if the user had photographs trained on whole."""
    return chosen.detect if chosen.detect or chosen.kind else choose_detection(manifest).detect


def _kept_epoch(config: TrainConfig, history: Sequence[Epoch]) -> str:
    best = history[best_epoch(history)]
    stopped = why_stop(config, history)
    return f"kept epoch {best.epoch} (validation accuracy {best.val_accuracy:.4f}); stopped: {stopped}"


def _uncalibrated(validation: TrainingArrays) -> str | None:
    """Return a sentence if there are too few validation images to fit a temperature."""
    if len(validation.rows) >= MIN_ROWS_TO_FIT:
        return None
    return (
        f"the probabilities are not calibrated: {len(validation.rows)} validation images are too few to fit a "
        f"temperature ({MIN_ROWS_TO_FIT} are needed), so it stays 1"
    )
