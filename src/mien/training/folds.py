"""Cross-validation: one run per fold, and a final run whose model is used."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mien.arguments import to_flags
from mien.data.detection import DetectionChoice
from mien.evaluation.baselines import ShippedPredictions, measure_baselines, pool_shipped
from mien.evaluation.provenance import record_provenance
from mien.evaluation.scoring import Predictions, pool_folds
from mien.io.atomic import new_folder, readable_errors, remove_leftovers, to_bytes
from mien.io.layout import BUNDLE, CONFIG, FINAL, RUN, is_finished
from mien.io.targets import to_json
from mien.report.report import Evaluation, write_report
from mien.training.config import TrainConfig, read_settings
from mien.training.data_split import DataSplit, final_split
from mien.training.reporter import QuietReporter, Reporter
from mien.training.result import TrainingResult
from mien.training.run import failure_noted, held_alone, judge, resume_run, run_reader, start_run
from mien.training.run_data import stored_split
from mien.training.runs import read_about
from mien.training.source import TrainingSource


def start_folds(source: TrainingSource, config: TrainConfig, out: Path, splits: Sequence[DataSplit]) -> None:
    """Make the folder of a cross-validation, with one run per fold and the final run.

    Args:
        source: the labelled data.
        config: the settings of all runs.
        out: the new folder.
        splits: one per fold, from `mien.training.data_split.split_folds`.
    """
    k = len(splits)
    with new_folder(out) as folder:
        for name, split in zip([*_fold_names(k), FINAL], [*splits, final_split(splits[0])], strict=True):
            start_run(source, config, folder / name, split, QuietReporter())
        detection = splits[0].detection
        about = {
            "source": source.to_dict(),
            "folds": k,
            "classes": list(splits[0].manifest.classes),
            "detection": detection.to_dict(),
        }
        (folder / RUN).write_bytes(to_bytes(to_json(about)))
        stored = replace(config, detect=detection.detect)
        (folder / CONFIG).write_bytes(to_bytes(stored.to_toml()))


def resume_folds(folder: Path, reporter: Reporter | None = None) -> TrainingResult:
    """Train all unfinished folds and the final run, and write the pooled report."""
    with held_alone(folder) as about, failure_noted(folder, "folds"):
        return _continue(folder, about, reporter or QuietReporter())


def _continue(folder: Path, about: Mapping[str, Any], reporter: Reporter) -> TrainingResult:
    scores: list[Predictions] = []
    shipped: list[ShippedPredictions | str] = []
    if finished := sum(is_finished(folder / name) for name in _fold_names(about["folds"])):
        reporter.say(f"resuming: {finished} of {about['folds']} folds are finished")
        first = folder / _fold_names(1)[0]
        stored_split(first, read_about(first)).require_unchanged()  # a finished fold is scored again
    for number, name in enumerate(_fold_names(about["folds"])):
        reporter.say(f"fold {number + 1} of {about['folds']}")
        predictions, asked = _fold_predictions(folder / name, reporter)
        scores.append(predictions)
        shipped.append(asked)
    reporter.say("the final model, trained on all folds except the one that chooses its epoch")
    if not is_finished(folder / FINAL):
        resume_run(folder / FINAL, reporter)
    with readable_errors(folder):
        if not (folder / BUNDLE).exists():
            with new_folder(folder / BUNDLE) as bundle:
                for path in (folder / FINAL / BUNDLE).iterdir():
                    (bundle / path.name).write_bytes(path.read_bytes())
        predictions = pool_folds(scores)
        evaluated_on = f"{about['folds']}-fold cross-validation, pooled"
        detection = DetectionChoice.from_dict(about["detection"])
        recorded = {"run": folder.name, "framing": "face" if detection.detect else "whole"}
        recorded |= {"detection": to_flags(detection.sentence), **record_provenance(0)}
        baselines = measure_baselines(predictions, pool_shipped(shipped))
        write_report(Evaluation(predictions, evaluated_on, recorded, baselines=baselines), folder)
        remove_leftovers(folder)
    return TrainingResult(folder, predictions, evaluated_on, (), None, detection, baselines)


def _fold_predictions(folder: Path, reporter: Reporter) -> tuple[Predictions, ShippedPredictions | str]:
    """Return the predictions of a fold's model, and of the shipped one, on its test split; train it if needed."""
    if not is_finished(folder):
        result = resume_run(folder, reporter)
        return result.predictions, result.baselines.asked
    config = TrainConfig.make(read_settings(folder / CONFIG))
    split = stored_split(folder, read_about(folder))
    judged = judge(run_reader(folder), split, "test", config, reporter)
    return judged.predictions, judged.baselines.asked


def _fold_names(k: int) -> list[str]:
    return [f"fold-{number + 1}" for number in range(k)]
