"""One training run from labelled source to finished folder: prepare, train, export, evaluate; resumable."""

import contextlib
import json
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import numpy as np

from mien.arrays import UInt8
from mien.data.dataset import read_manifest
from mien.data.split import PARTS
from mien.errors import ConfigError, MienError, TrainingError
from mien.evaluation.provenance import origin
from mien.evaluation.scoring import Predictions, pool, score
from mien.inference.bundle import load_bundle
from mien.inference.calibration import ENOUGH_TO_FIT
from mien.inference.reader import Reader
from mien.io.atomic import new_folder, readable_errors, refuse_existing, write_text
from mien.io.layout import (
    BUNDLE,
    CHECKPOINT,
    CONFIG,
    FAILED,
    FINAL,
    METRICS,
    RUN,
    SAMPLES,
    SPLIT,
    is_begun,
    is_finished,
    is_run,
)
from mien.report.report import Evaluation, write_report
from mien.training.augmentation import preview
from mien.training.backend import versions
from mien.training.config import FROM_SCRATCH, TrainConfig, flag, read_settings
from mien.training.export.artifacts import draw_curves, save_bundle, save_keras
from mien.training.export.onnx import Agreement
from mien.training.loop.batches import TrainingArrays
from mien.training.loop.cache import cached_crops
from mien.training.loop.fit import fit, read_history
from mien.training.loop.schedule import Epoch, best_epoch, why_stop
from mien.training.loop.tensorboard import EventLog, require_tensorboard
from mien.training.networks.backbone import load_backbone
from mien.training.networks.networks import build
from mien.training.networks.pretrained import FEW_PICTURES, load_trunk
from mien.training.plan import (
    Plan,
    make_part,
    plan_final,
    plan_folds,
    plan_split,
    read_plan,
)
from mien.training.runs import read_about, read_unfinished
from mien.training.source import QuietReporter, Reporter, TrainingSource, check_source

__all__ = [
    "QuietReporter",
    "Reporter",
    "TrainingResult",
    "TrainingSource",
    "best_epoch",
    "check_source",
    "read_history",
    "resume",
    "start",
    "train",
    "train_or_resume",
]


@dataclass(frozen=True)
class TrainingResult:
    """What a run came to: its folder, its score on the judged part, which part that was, and the export."""

    folder: Path
    scored: Predictions
    part: str
    history: tuple[Epoch, ...]
    agreement: Agreement | None


def train(
    source: TrainingSource, config: TrainConfig, out: Path, reporter: Reporter | None = None, k: int = 0,
    for_few: TrainConfig | None = None,
) -> TrainingResult:  # fmt: skip
    """Train on labelled data and leave a finished run folder at `out`; with `k` folds, cross-validate too.

    `for_few` is the config to use instead where there are fewer than FEW_PICTURES to train on; its seed
    and shares are those of `config`. Raises DataError, ConfigError, OutputError, BundleError or
    TrainingError, each one line. An interrupted run is continued by `resume`.
    """
    reporter = reporter or QuietReporter()
    if k in (1, 2):
        raise ConfigError(f"{k} folds: one is tested on and one chooses the epoch; give at least 3")
    refuse_existing(out)
    checked, regions = check_source(source, reporter, config.faces)
    plans = plan_folds(checked, config, k, regions) if k else [plan_split(checked, config, regions)]
    count = len(plans[0].part("train").samples)
    if for_few is not None and count < FEW_PICTURES:
        config = for_few
        reporter.say(
            f"{count} training pictures are few: starting from the shipped model '{config.start_from}' "
            f"(from scratch: {flag('start_from')} {FROM_SCRATCH})"
        )
    if k:
        return _cross_validate(source, config, out, plans, reporter)
    start(source, config, out, plans[0], reporter)
    return resume(out, reporter)


def train_or_resume(source: TrainingSource, config: TrainConfig, out: Path, reporter: Reporter | None = None) -> None:
    """Train as `train` does, go on where an earlier call was interrupted, or do nothing where that run is complete."""
    if is_finished(out):
        return
    if out.exists():
        resume(out, reporter)
    else:
        train(source, config, out, reporter)


def start(source: TrainingSource, config: TrainConfig, out: Path, plan: Plan, reporter: Reporter) -> None:
    """Make the run folder, complete with settings and split, before the first step of training."""
    counts = {part: plan.part(part).counts() for part in PARTS if part in plan.parts}
    if config.tensorboard:
        require_tensorboard()
    first_network(config, len(plan.manifest.classes))  # one that cannot be built must leave no folder behind
    with new_folder(out) as folder:
        (folder / CONFIG).write_text(config.to_toml(), encoding="utf-8")
        (folder / SPLIT).write_text(plan.to_csv(), encoding="utf-8")
        about = {
            "source": source.to_dict(),
            "classes": list(plan.manifest.classes),
            "counts": counts,
            "left_out": dict(plan.left_out),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
            "versions": versions(),
        }
        (folder / RUN).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    for part, by_class in counts.items():
        reporter.say(f"{part:<10} " + "  ".join(f"{name} {count}" for name, count in by_class.items()))


def first_network(config: TrainConfig, classes: int, begun: bool = False) -> Any:
    """Build the network of a run as it is before the first step; its seed decides every fresh weight.

    Once a run has `begun`, its checkpoint replaces every weight, and what it started from may be gone.
    """
    keras.utils.set_random_seed(config.seed)
    network = build(config, classes)
    if not begun:
        load_trunk(network, config)
        load_backbone(network, config)
    return network


def resume(folder: Path, reporter: Reporter | None = None) -> TrainingResult:
    """Continue a run from its last finished epoch, or finish what comes after training.

    Raises TrainingError when the folder is no run, is finished already, or its data has gone. What stops a run is
    also written into its folder.
    """
    about = read_unfinished(folder)
    (folder / FAILED).unlink(missing_ok=True)
    try:
        return _go_on(folder, about, reporter or QuietReporter())
    except MienError as error:
        with contextlib.suppress(OSError):  # where the disk is full, the error itself is what matters
            write_text(folder / FAILED, f"{error}\n")
        raise


def _go_on(folder: Path, about: Mapping[str, Any], reporter: Reporter) -> TrainingResult:
    if about.get("folds"):
        return _resume_folds(folder, about, reporter)
    config = TrainConfig.make(read_settings(folder / CONFIG))
    with reporter.progress("decoding the pictures") as report:
        plan, crops = open_parts(folder, report)
    network = first_network(config, len(plan.manifest.classes), begun=is_begun(folder))
    training = make_part(plan, crops, "train", config.class_weight == "balanced")
    validation = make_part(plan, crops, "validation")
    with readable_errors(folder):
        if not (folder / SAMPLES).exists():
            preview.draw(folder, plan, training, config)
        history = _fit(network, config, training, validation, folder, reporter)
        return _finish(folder, config, plan, network, validation, history, about, reporter)


def _fit(
    network: Any,
    config: TrainConfig,
    training: TrainingArrays,
    validation: TrainingArrays,
    folder: Path,
    reporter: Reporter,
) -> list[Epoch]:
    if not config.tensorboard:
        return fit(network, config, training, validation, folder, reporter)
    begun = is_begun(folder)
    with contextlib.closing(EventLog(folder, read_history(folder) if begun else [], reporter)) as log:
        return fit(network, config, training, validation, folder, log)


def open_parts(folder: Path, report: Callable[[float], None] | None = None) -> tuple[Plan, UInt8]:
    """Return the split of a run and the crops of all its pictures, decoded at most once."""
    config = TrainConfig.make(read_settings(folder / CONFIG))
    plan = _stored_plan(folder, read_about(folder))
    crops = cached_crops(plan.manifest, config.size, config.channels, _cache_folder(folder), report, plan.regions)
    return plan, crops


def _stored_plan(folder: Path, about: Mapping[str, Any]) -> Plan:
    source = TrainingSource.from_dict(about["source"])
    return read_plan(folder, read_manifest(source.path, source.classes, source.rename))


def _cache_folder(folder: Path) -> Path:
    """Folds share the cache of the run they belong to."""
    parent = folder.resolve().parent
    return parent.parent / ".cache" if is_run(parent) else parent / ".cache"


def _finish(
    folder: Path, config: TrainConfig, plan: Plan, network: Any, validation: TrainingArrays, history: Sequence[Epoch],
    about: Mapping[str, Any], reporter: Reporter,
) -> TrainingResult:  # fmt: skip
    stopped = why_stop(config, history)
    best = history[best_epoch(history)]
    reporter.say(f"kept epoch {best.epoch} (validation accuracy {best.val_accuracy:.4f}); stopped: {stopped}")
    draw_curves(folder, history)
    save_keras(folder, network)
    agreement = None
    if not (folder / BUNDLE).exists():
        classes, counts = plan.manifest.classes, {"counts": about["counts"]}
        agreement = save_bundle(folder, network, config, classes, validation, counts)
        reporter.say(f"exported: {agreement}")
        if few := _uncalibrated(validation):
            reporter.say(few)
    judged = plan.judged_part
    with reporter.progress(f"evaluating the {judged} part") as report:
        reader = _reader(folder)
        scored = replace(_score(reader, plan, judged, report), seed=config.seed)
    made_by = {"run": folder.name, "sha256": reader.config.sha256, **origin(config.seed)}
    made_by["calibration"] = _uncalibrated(validation) or f"temperature {reader.config.temperature:.3f}"
    write_report(Evaluation(scored, describe_part(judged), made_by, reader, run=folder), folder)
    (folder / CHECKPOINT).unlink(missing_ok=True)
    return TrainingResult(folder, scored, describe_part(judged), tuple(history), agreement)


def _uncalibrated(validation: TrainingArrays) -> str | None:
    """Say that there are too few pictures to fit a temperature; None where there are enough."""
    if len(validation.rows) >= ENOUGH_TO_FIT:
        return None
    return (
        f"the probabilities are not calibrated: {len(validation.rows)} validation pictures are too few to fit a "
        f"temperature ({ENOUGH_TO_FIT} are needed), so it stays 1"
    )


def describe_part(part: str) -> str:
    """Say which part figures come from; a validation part chose the kept epoch, which flatters it."""
    return part if part == "test" else f"{part} (no test part; it also chose the kept epoch)"


def _cross_validate(
    source: TrainingSource, config: TrainConfig, out: Path, plans: Sequence[Plan], reporter: Reporter
) -> TrainingResult:
    """Lay out one run folder per fold and one for the model to keep, then work through them."""
    k = len(plans)
    with new_folder(out) as folder:
        for name, plan in zip([*_fold_names(k), FINAL], [*plans, plan_final(plans[0])], strict=True):
            start(source, config, folder / name, plan, QuietReporter())
        about = {"source": source.to_dict(), "folds": k, "classes": list(plans[0].manifest.classes)}
        (folder / RUN).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        (folder / CONFIG).write_text(config.to_toml(), encoding="utf-8")
    return _resume_folds(out, about, reporter)


def _fold_names(k: int) -> list[str]:
    return [f"fold-{number + 1}" for number in range(k)]


def _resume_folds(folder: Path, about: Mapping[str, Any], reporter: Reporter) -> TrainingResult:
    scores = []
    for number, name in enumerate(_fold_names(about["folds"])):
        reporter.say(f"fold {number + 1} of {about['folds']}")
        scores.append(_fold_score(folder / name, reporter))
    reporter.say("the model to keep, trained on all folds but the one that chooses its epoch")
    if not is_finished(folder / FINAL):
        resume(folder / FINAL, reporter)
    with readable_errors(folder):
        if not (folder / BUNDLE).exists():
            with new_folder(folder / BUNDLE) as bundle:
                for path in (folder / FINAL / BUNDLE).iterdir():
                    (bundle / path.name).write_bytes(path.read_bytes())
        scored = pool(scores)
        part = f"{about['folds']}-fold cross-validation, pooled"
        write_report(Evaluation(scored, part, {"run": folder.name, **origin(0)}), folder)
    return TrainingResult(folder, scored, part, (), None)


def _fold_score(folder: Path, reporter: Reporter) -> Predictions:
    if not is_finished(folder):
        return resume(folder, reporter).scored
    plan = _stored_plan(folder, read_about(folder))
    return _score(_reader(folder), plan, "test")


def _score(reader: Reader, plan: Plan, part: str, report: Callable[[float], None] | None = None) -> Predictions:
    """Score a part of a plan, whose groups of copies and people are one draw each in the intervals."""
    scored = score(reader, plan.part(part), report)
    group_of = {one.name: group for one, group in zip(plan.manifest.samples, plan.groups, strict=True)}
    return replace(scored, groups=np.array([group_of[name] for name in scored.names], np.int64))


def _reader(folder: Path) -> Reader:
    """Return a run's own model; it reads what it was trained on, whole pictures or the largest face in each."""
    return Reader(load_bundle(folder / BUNDLE), faces="largest")


def judged_manifest(folder: Path) -> tuple[Any, str]:
    """Return the samples a finished run is judged on, and which part they are."""
    about = read_about(folder)
    if about.get("folds"):
        raise TrainingError(f"{folder}: cross-validated figures are in {folder / METRICS}; give DATA to evaluate on")
    plan = _stored_plan(folder, about)
    return plan.part(plan.judged_part), plan.judged_part
