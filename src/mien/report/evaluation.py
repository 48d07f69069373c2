"""Evaluate a model on labelled data in one call: `mien.evaluate`, and what `mien evaluate` runs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mien.arguments import path_argument
from mien.data.audit import audit
from mien.errors import ConfigError
from mien.evaluation.answer_rows import AnswerRows, Answers, read_answers
from mien.evaluation.answers import GivenAnswers, no_answer_in_words, score_answers
from mien.evaluation.groups import GroupMetrics, measure_groups
from mien.evaluation.groups_file import read_groups
from mien.evaluation.held_out import HeldOut, count_trained_on
from mien.evaluation.provenance import record_provenance, with_groups
from mien.evaluation.robustness import Robustness, measure_robustness
from mien.evaluation.scoring import Predictions, score
from mien.evaluation.slices import measure_slices
from mien.evaluation.thresholds import Thresholds, check_costs, measure_thresholds
from mien.inference.bundle import find_bundle, find_model
from mien.inference.caution import overlooked_faces
from mien.inference.reader import Reader, load
from mien.inference.reader_options import describe_mirror
from mien.inference.thresholds import Threshold
from mien.report.evaluation_options import check_options, held_out_images
from mien.report.report import Evaluation, require_report
from mien.runtime.providers import Device

__all__ = ["Evaluation", "evaluate"]

#: Of larger datasets only the held-out part is audited: finding near-duplicates takes a second for 600 images.
MAX_AUDITED = 10_000
#: How long each stage takes, in comparison.
_PREDICTING, _AUDITING, _PERTURBING = 2.0, 1.0, 20.0


def evaluate(
    data: str | Path | None = None,
    *,
    model: str | Path | Reader | None = None,
    answers: Answers | None = None,
    columns: Mapping[str, str] | None = None,
    classes: Sequence[str] | None = None,
    rename: Mapping[str, str] | None = None,
    fixes: bool | str | Path = True,
    detect: bool | None = None,
    threshold: Threshold | None = None,
    device: Device = "auto",
    mirror: bool | None = None,
    robustness: bool = False,
    groups: str | Path | None = None,
    costs: Mapping[str, float] | None = None,
    choose_threshold: bool = False,
    metrics_only: bool = False,
    out: str | Path | None = None,
    json_target: str | None = None,
    seed: int = 0,
    on_message: Callable[[str], None] | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> Evaluation:
    """Evaluate a model on labelled data, or on the held-out part of its own run; or evaluate given answers.

    If the data has parts, the test part is used, or the validation part if it has no test part. A model that detects
    faces is judged by the largest face in each image, or by the one that a person chose. Images without a face, and
    unreadable ones, do not count.
    Near-duplicates are found and count as one draw in the confidence intervals.

    Args:
        data: a folder of class folders (or of train/validation/test folders with these), a CSV, or a zip of either.
            Default: the held-out part of the run `model`.
        model: a shipped model, a bundle or run folder, or a reader. Default: the shipped model.
        answers: evaluate these instead of a model: a CSV or a file of JSON lines with a file and an answer, or a
            probability per class, in each row (rows of `mien predict` are such); or a mapping from file names to
            answers or to mappings from classes to probabilities; or a sequence of rows or of results. Images without an
            answer do not count, and `on_message` is told how many there are. Without probabilities, metrics that need
            them are left out.
        columns: the names of the columns `file` and `label` in the answers. Default: guessed.
        classes: use only these classes, in this order. Default: all.
        rename: maps class names of the data, and of the answers, to the names to use.
        fixes: use the decisions that people made with `mien fix`: those in the data's own `mien-fixes.csv` (True), none
            (False), or those in this file. A run is evaluated with those that it was trained with.
        detect: detect faces (True) or use whole images (False). Default: as the model was trained.
        threshold: as in `Reader`: the probability from which a label is the answer. Default: the model's own rule.
        device: where the model runs, as in `Reader`.
        mirror: average each crop with its mirror image, as in `Reader`.
        robustness: also measure accuracy under perturbations such as rotation, blur and occlusion (minutes).
        groups: a CSV with a column `file` and one for each grouping, such as age; metrics are compared between groups.
        costs: for two classes, what each wrong answer of a class costs. Default: 1.
        choose_threshold: write the cheapest threshold into the bundle of `model`, a folder of your own.
        metrics_only: skip slices by image properties.
        out: write the report into this new folder.
        json_target: write the metrics as JSON to this file, or to standard output for `-`.
        seed: fixes all that is drawn at random: resamples, perturbations, the images shown.
        on_message: called with what was guessed about the layout or the answers, which device was chosen, and if
            photographs are read whole.
        on_progress: called with the fraction done, in [0, 1].

    Returns:
        An `Evaluation`: `metrics`, `predictions`, `part`, `to_dict()` (what `metrics.json` holds), `write(folder)`.

    Raises:
        DataError: nothing labelled is found, the model does not know a class, or no image can be used.
        ConfigError: arguments do not go together, or the device cannot be used.
        BundleError: `model` cannot be loaded.
        OutputError: the report or the JSON cannot be written.
        MissingExtraError: `out` is given, and matplotlib or Jinja2 is not installed.

    Examples:
        >>> import mien
        >>> print(mien.evaluate("data", metrics_only=True).metrics.overall["accuracy"])
        0.938 [0.717, 0.989]
    """
    groups = None if groups is None else path_argument("groups", groups, "a CSV")
    if isinstance(model, str):
        model = find_model(model)  # once: from here on it is a folder
    check_options(
        data, model, answers, columns, groups, detect=detect, threshold=threshold, device=device, mirror=mirror,
        robustness=robustness, choose_threshold=choose_threshold,
    )  # fmt: skip
    file = answers if isinstance(answers, str | Path) else None
    require_report(None if out is None else Path(out), json_target, data, groups, file)
    given = None if answers is None else read_answers(answers, columns)
    chosen = held_out_images(data, model, classes, rename, fixes, detect, given)
    chosen.manifest.say_notes(None if data is None else on_message)  # a run was told when it began
    prices = check_costs(costs, chosen.manifest.classes) if costs else None
    reader = None if given is not None else _reader(model, detect, threshold, device, mirror)
    if reader and reader.device_note and on_message:
        on_message(reader.device_note)
    audits = chosen.groups is None or not metrics_only  # near-duplicates widen the intervals of every evaluation
    progress = _Progress(on_progress, _PREDICTING, _AUDITING if audits else 0, _PERTURBING if robustness else 0)

    predictions, fit = _predict(reader, given, chosen, rename, progress.stage(_PREDICTING), on_message)
    predictions = replace(predictions, seed=seed)
    if prices and not predictions.has_probabilities:
        raise ConfigError("`costs=`: need probabilities; these answers have none")
    if predictions.photographs and data is not None and on_message:
        count = len(predictions.names) + len(predictions.skipped)
        on_message(overlooked_faces(predictions.photographs, count))
    if chosen.groups is not None:
        groups_of = [chosen.groups[name] for name in predictions.names]
        predictions = replace(predictions, groups=np.array(groups_of, np.int64))
    issues, by_attribute, audited = None, None, "the part that was evaluated"
    if audits:
        audits_all = len(chosen.whole.samples) <= MAX_AUDITED
        audited = "all of the data" if audits_all else audited
        issues = audit(chosen.whole if audits_all else chosen.manifest, on_progress=progress.stage(_AUDITING))
        if chosen.groups is None:
            predictions = with_groups(predictions, chosen.manifest, issues.copies)
    if predictions.crops is not None and not metrics_only:
        by_attribute = measure_slices(predictions)
    by_group = _groups(predictions, groups)
    perturbed = _robustness(reader, predictions, progress.stage(_PERTURBING)) if reader and robustness else None
    # Near-duplicates are known by now, and which images show one person.
    thresholds = _thresholds(predictions, reader, prices)
    folder = None if model is None or isinstance(model, Reader) else Path(model)
    found = Evaluation(
        predictions,
        chosen.part,
        _about(reader, given, data, model, seed),
        reader,
        run=folder,
        audit=issues,
        audited=audited,
        thresholds=thresholds,
        slices=by_attribute,
        groups=by_group,
        robustness=perturbed,
        bundle=_bundle(model, thresholds) if choose_threshold else None,
        trained_on=count_trained_on(folder, chosen.manifest, predictions.names) if folder and data else 0,
        answers=fit,
    )
    found.write(None if out is None else Path(out), json_target)
    return found


class _Progress:
    """Maps the progress of stages to the progress of all."""

    def __init__(self, report: Callable[[float], None] | None, *weights: float) -> None:
        self._report = report or (lambda fraction: None)
        self._total = sum(weights)
        self._done = 0.0

    def stage(self, weight: float) -> Callable[[float], None]:
        start, self._done = self._done, self._done + weight
        return lambda fraction: self._report((start + weight * fraction) / self._total)


def _reader(
    model: str | Path | Reader | None, detect: bool | None, threshold: Threshold | None, device: Device,
    mirror: bool | None,
) -> Reader:  # fmt: skip
    if isinstance(model, Reader):
        return model.variant(faces="largest", detect=detect, threshold=threshold, mirror=mirror)
    return load(model, faces="largest", detect=detect, threshold=threshold, device=device, mirror=mirror)


def _groups(predictions: Predictions, table: Path | None) -> GroupMetrics | None:
    return None if table is None else measure_groups(predictions, read_groups(table, predictions.names))


def _robustness(reader: Reader, predictions: Predictions, on_progress: Callable[[float], None]) -> Robustness:
    if predictions.crops is None:
        raise ConfigError("`robustness=`: these images are too large and too many to keep; give fewer")
    return measure_robustness(reader, predictions, on_progress=on_progress)


def _predict(
    reader: Reader | None, given: AnswerRows | None, chosen: HeldOut, rename: Mapping[str, str] | None,
    on_progress: Callable[[float], None], on_message: Callable[[str], None] | None,
) -> tuple[Predictions, GivenAnswers | None]:  # fmt: skip
    """Ask the model, or score the answers that were given and say how they fit the images."""
    if reader is not None:
        return score(reader, chosen.manifest, on_progress), None
    if given is None:
        raise ValueError("neither a model nor answers")
    predictions, fit = score_answers(given, chosen.manifest, rename, on_progress)
    missing = no_answer_in_words(predictions)
    for note in (*fit.notes, *([f"{fit.source}: {missing}"] if missing else ())):
        if on_message:
            on_message(note)
    return predictions, fit


def _thresholds(
    predictions: Predictions, reader: Reader | None, costs: Mapping[str, float] | None
) -> Thresholds | None:  # fmt: skip
    if len(predictions.classes) != 2 or not predictions.has_probabilities:
        return None
    if reader is None:
        return measure_thresholds(predictions, costs)
    labels = reader.config.labels
    own = predictions.answer_field == "answer" and len(labels) == 2
    return measure_thresholds(
        predictions, costs, reader.threshold if own else 0.5, labels[1] if own else None
    )  # fmt: skip


def _bundle(model: str | Path | Reader | None, found: Thresholds | None) -> Path | None:
    """Return the bundle to write the cheapest threshold into; None if the present one is as cheap."""
    if found is None or isinstance(model, Reader) or found.cheapest == found.present:
        return None
    return find_bundle(model)


def _about(
    reader: Reader | None, given: AnswerRows | None, data: str | Path | None, model: str | Path | Reader | None,
    seed: int,
) -> dict[str, Any]:  # fmt: skip
    if reader is None:
        source = "answers" if given is None else given.source
        return {"model": Path(source).stem, "answers": source, "data": str(data), **record_provenance(seed)}
    return {
        "model": reader.config.name,
        "sha256": reader.config.sha256,
        "framing": "face" if reader.detect else "whole",
        "device": reader.device,
        **describe_mirror(reader.config, reader.mirror),
        "data": str(data) if data else f"the part held out by {model}",
        **record_provenance(seed),
    }
