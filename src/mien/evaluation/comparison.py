"""Compare evaluations on the same images: differences of every compared metric, and whether they are significant."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mien.errors import ConfigError, DataError
from mien.evaluation.differences import Difference, measure_difference
from mien.evaluation.predictions import SavedPredictions
from mien.markup import table, to_html
from mien.metrics.classification import ClassificationMetrics, classification_metrics
from mien.metrics.formatting import format_estimate
from mien.metrics.registry import Metric, compared_metrics
from mien.metrics.samples import check_samples
from mien.metrics.significance import holm_correction
from mien.text import join_words, one_line, pluralize


@dataclass(frozen=True, eq=False)
class Comparison:
    """Evaluations on the same images, and how each differs from the first.

    Attributes:
        evaluations: the metrics of each report, by its name.
        models: the model of each report, by its name.
        n: number of images in common.
        differences: of each further report from the first.
        notes: what limits the comparison, as sentences.
    """

    evaluations: dict[str, ClassificationMetrics]
    models: dict[str, str]
    n: int
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]

    @property
    def metrics(self) -> list[Metric]:
        """The compared metrics; those that need probabilities only if every report has these."""
        every = self.evaluations.values()
        return [one for one in compared_metrics() if all(one.key in found.overall for found in every)]

    def rows(self) -> list[tuple[str, ...]]:
        """Return one row per compared metric: its title, then its estimate in each report."""
        return [
            (
                f"{metric.title} (lower is better)" if metric.lower_is_better else metric.title,
                *(format_estimate(found.overall[metric.key]) for found in self.evaluations.values()),
            )
            for metric in self.metrics
        ]

    def conclusion(self) -> str:
        """Say in one sentence which reports are significantly better or worse than the first."""
        if len(self.differences) == 1:
            return self.differences[0].sentence()
        first = self.differences[0].first
        significant = [one for one in self.differences if one.significant]
        kinds = {
            "significantly more accurate than": [o.second for o in significant if o.metrics["accuracy"].value > 0],
            "significantly less accurate than": [o.second for o in significant if o.metrics["accuracy"].value < 0],
            "not significantly different from": [o.second for o in self.differences if not o.significant],
        }
        said = [
            f"{join_words(names)} {'is' if len(names) == 1 else 'are'} {relation} {first}"
            for relation, names in kinds.items()
            if names
        ]
        return f"{'; '.join(said)}."

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict."""
        return {
            "images": self.n,
            "reports": [
                {"name": name, "model": self.models[name], "metrics": found.to_dict()}
                for name, found in self.evaluations.items()
            ],
            "differences": [one.to_dict() for one in self.differences],
            "notes": list(self.notes),
        }

    def __repr__(self) -> str:
        """Say what was compared and the conclusion, in one line."""
        names, images = join_words(list(self.evaluations)), pluralize(self.n, "image")
        return one_line(f"<mien.Comparison of {names} on {images}: {self.conclusion()}>")

    def _repr_html_(self) -> str:
        """Return the table of metrics as HTML, for notebooks."""
        return to_html(table(("metric", *self.evaluations), self.rows(), self.conclusion()))


def compare_predictions(reports: Sequence[SavedPredictions], seed: int = 0) -> Comparison:
    """Compare each report with the first, on the images that all of them have.

    Args:
        reports: at least two, as `read_predictions` reads them.
        seed: seed of the bootstrap and of the permutation test.

    Raises:
        ConfigError: if there are fewer than two reports, or one is given twice.
        DataError: if their classes or labels differ, or they have no image in common.
    """
    if len(reports) < 2:
        raise ConfigError("compare: give at least two reports")
    names = _short_names(reports)
    for report in reports:
        if set(report.classes) != set(reports[0].classes):
            raise DataError(
                f"{report.path}: its classes are {', '.join(report.classes)}, those of {reports[0].path} are "
                f"{', '.join(reports[0].classes)}; evaluate both on the same classes (`classes=`, `rename=`)"
            )
    common = _common_images(reports)
    aligned = [_align(report, common, reports[0].classes) for report in reports]
    _require_same_labels(aligned)
    groups = next((report.groups for report in aligned if report.groups is not None), None)
    evaluations = {
        name: classification_metrics(report.truth, report.probabilities, report.classes, report.answers, groups, seed)
        for name, report in zip(names, aligned, strict=True)
    }
    samples = [
        check_samples(report.truth, report.probabilities, report.classes, report.answers, groups) for report in aligned
    ]
    found = [
        measure_difference((names[0], name), (samples[0], own), seed, _only_by_seed(aligned[0], other))
        for name, own, other in zip(names[1:], samples[1:], aligned[1:], strict=True)
    ]
    corrected = holm_correction([one.test.p_value for one in found])
    return Comparison(
        evaluations,
        {name: report.model for name, report in zip(names, reports, strict=True)},
        len(common),
        tuple(replace(one, p_value=p) for one, p in zip(found, corrected, strict=True)),
        tuple(_notes(names, reports, evaluations)),
    )


def _short_names(reports: Sequence[SavedPredictions]) -> list[str]:
    """Return the shortest path endings that are all different."""
    parts = [report.path.resolve().parts for report in reports]
    if len(set(parts)) < len(parts):
        twice = next(report.path for report, own in zip(reports, parts, strict=True) if parts.count(own) > 1)
        raise ConfigError(f"{twice}: is given twice; give different reports")
    for length in range(1, max(map(len, parts)) + 1):
        names = [os.path.join(*own[-length:]) for own in parts]  # noqa: PTH118
        if len(set(names)) == len(names):
            break
    return names


def _common_images(reports: Sequence[SavedPredictions]) -> tuple[str, ...]:
    known = set(reports[0].names).intersection(*(report.names for report in reports[1:]))
    if not known:
        raise DataError(
            f"{reports[0].path} and {reports[-1].path}: no image is in all reports (one has '{reports[0].names[0]}', "
            f"the other '{reports[-1].names[0]}'); evaluate them on the same DATA"
        )
    return tuple(name for name in reports[0].names if name in known)


def _align(report: SavedPredictions, names: tuple[str, ...], classes: tuple[str, ...]) -> SavedPredictions:
    """Return the report for these images, with its classes in this order."""
    row_of = {name: row for row, name in enumerate(report.names)}
    rows = np.array([row_of[name] for name in names])
    columns = [report.classes.index(name) for name in classes]
    new_index = np.argsort(columns)  # of each old class
    return replace(
        report,
        classes=classes,
        names=names,
        truth=new_index[report.truth[rows]],
        answers=new_index[report.answers[rows]],
        probabilities=report.probabilities[rows][:, columns],
        groups=None if report.groups is None else tuple(report.groups[row] for row in rows),
    )


def _require_same_labels(reports: Sequence[SavedPredictions]) -> None:
    first = reports[0]
    for other in reports[1:]:
        differing = np.flatnonzero(other.truth != first.truth)
        if len(differing):
            row = differing[0]
            raise DataError(
                f"{other.path}: '{first.names[row]}' is labelled {first.classes[other.truth[row]]}, but "
                f"{first.classes[first.truth[row]]} in {first.path} ({len(differing)} of {len(first.names)} labels "
                "differ); evaluate both with the same labels"
            )


def _only_by_seed(first: SavedPredictions, second: SavedPredictions) -> bool:
    one, two = first.settings, second.settings
    if one is None or two is None or one == two:
        return False
    return {**one, "seed": None} == {**two, "seed": None}


def _notes(
    names: list[str], reports: Sequence[SavedPredictions], evaluations: Mapping[str, ClassificationMetrics]
) -> list[str]:  # fmt: skip
    evaluation = evaluations[names[0]]
    n, notes = evaluation.n, []
    bare = [name for name, found in evaluations.items() if "roc_auc" not in found.overall]
    if bare:
        have = "has" if len(bare) == 1 else "have"
        lost = join_words([metric.title for metric in compared_metrics() if metric.needs_scores])
        notes.append(f"{join_words(bare)} {have} answers without probabilities, so {lost} are not compared.")
    if len({report.data_sha256 for report in reports} - {None}) > 1:
        notes.append(
            "The reports come from different data, and images are paired by their names alone. If different images "
            "have the same names, this comparison is meaningless."
        )
    if any(len(report.names) > n for report in reports):
        had = join_words([f"{name} on {len(report.names):,}" for name, report in zip(names, reports, strict=True)])
        notes.append(f"Evaluated on different images ({had}); the {n:,} in common are used.")
    if evaluation.n_groups < n:
        notes.append(
            f"Intervals and tests allow for groups of near-duplicates: {evaluation.n_groups:,} groups in {n:,} images."
        )
    if len(reports) > 2:
        notes.append(f"p-values are corrected for {len(reports) - 1} comparisons (Holm); intervals are not.")
    notes.append("The uncertainty is that of the images. Training again with another seed adds more.")
    return notes
