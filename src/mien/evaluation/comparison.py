"""Two or more evaluations side by side, picture by picture, and whether a difference is more than luck."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mien.errors import ConfigError, DataError
from mien.evaluation.predictions import SavedPredictions
from mien.metrics.classification import checked_answers, classification_metrics
from mien.metrics.estimates import ClassificationMetrics, Estimate
from mien.metrics.significance import PairedTest, compare_hits, differences, holm
from mien.text import listed

#: How improbable, by luck alone, a difference must be to be called more than that.
LEVEL = 0.05


@dataclass(frozen=True)
class Difference:
    """How the second of two reports differs from the first, on the same pictures.

    figures: how much higher each figure is, with its 95 % interval. test: whether both are right equally often,
    heeding groups; mcnemar: the same, every picture taken as independent. p: that of `test`, corrected by Holm's
    method for being one of several.
    """

    first: str
    second: str
    n: int
    figures: dict[str, Estimate]
    test: PairedTest
    mcnemar: PairedTest
    p: float
    only_by_seed: bool = False

    @property
    def significant(self) -> bool:
        """Whether one is right more often by more than the luck of the pictures."""
        return self.p < LEVEL

    def sentence(self) -> str:
        """Say in one sentence whether the difference is more than luck."""
        change = self.figures["accuracy"]
        better, worse = (self.second, self.first) if change.value >= 0 else (self.first, self.second)
        by = f"{100 * abs(change.value):.1f} points"
        reach = f"95 % interval {_interval(change if change.value >= 0 else _turned(change))}"
        test = f"{self.test.test}, p {_p(self.p)}"
        if self.test.only_first + self.test.only_second == 0:
            return f"{self.first} and {self.second} are right on the same of {self.n:,} pictures."
        if self.significant:
            again = "; yet they differ only by their seed, and another may turn it round" if self.only_by_seed else ""
            return (
                f"{better} is more often right than {worse}, and that is more than luck: {by} on {self.n:,} pictures "
                f"({reach}; {test}){again}."
            )
        expected = ", as for runs that differ only by their seed" if self.only_by_seed else ""
        lead = "both are right equally often" if change.value == 0 else f"{better} is {by} ahead"
        near = "; a close call, since the interval leaves out 0 and the test does not" if _leaves_out_0(change) else ""
        return (
            f"The difference between {self.first} and {self.second} may be luck{expected}: {lead} on {self.n:,} "
            f"pictures ({reach}; {test}{near})."
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {
            "first": self.first,
            "second": self.second,
            "pictures": self.n,
            "differences": {name: figure.to_dict() for name, figure in self.figures.items()},
            "test": self.test.to_dict(),
            "mcnemar": self.mcnemar.to_dict(),
            "p_corrected": self.p,
            "significant": self.significant,
            "only_by_seed": self.only_by_seed,
            "sentence": self.sentence(),
        }


@dataclass(frozen=True, eq=False)
class Comparison:
    """Reports by their names, all measured on the same `n` pictures, and how each differs from the first."""

    evaluations: dict[str, ClassificationMetrics]
    models: dict[str, str]
    n: int
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {
            "pictures": self.n,
            "reports": [
                {"name": name, "model": self.models[name], "figures": found.to_dict()}
                for name, found in self.evaluations.items()
            ],
            "differences": [one.to_dict() for one in self.differences],
            "notes": list(self.notes),
        }


def compare(reports: Sequence[SavedPredictions], seed: int = 0) -> Comparison:
    """Compare each report with the first, on the pictures that all of them have.

    Raises ConfigError for fewer than two reports or one given twice, and DataError where their classes or labels
    differ, or they have no picture in common.
    """
    if len(reports) < 2:
        raise ConfigError("compare: give at least two reports")
    names = _names(reports)
    for report in reports:
        if set(report.classes) != set(reports[0].classes):
            raise DataError(
                f"{report.path}: its classes are {', '.join(report.classes)}, those of {reports[0].path} are "
                f"{', '.join(reports[0].classes)}; measure both on the same classes (--classes, --map)"
            )
    common = _in_common(reports)
    alike = [_reduced(report, common, reports[0].classes) for report in reports]
    _require_one_truth(alike)
    groups = next((report.groups for report in alike if report.groups is not None), None)
    evaluations = {
        name: classification_metrics(report.truth, report.probabilities, report.classes, report.answers, groups, seed)
        for name, report in zip(names, alike, strict=True)
    }
    found = [
        _difference(names[0], alike[0], name, other, groups, seed)
        for name, other in zip(names[1:], alike[1:], strict=True)
    ]
    corrected = holm([one.test.p for one in found])
    return Comparison(
        evaluations,
        {name: report.model for name, report in zip(names, reports, strict=True)},
        len(common),
        tuple(replace(one, p=p) for one, p in zip(found, corrected, strict=True)),
        tuple(_notes(names, reports, evaluations[names[0]])),
    )


def _names(reports: Sequence[SavedPredictions]) -> list[str]:
    """The shortest ends of their paths that tell all reports apart."""
    parts = [report.path.resolve().parts for report in reports]
    if len(set(parts)) < len(parts):
        twice = next(report.path for report, own in zip(reports, parts, strict=True) if parts.count(own) > 1)
        raise ConfigError(f"{twice}: is given twice; give different reports")
    for length in range(1, max(map(len, parts)) + 1):
        names = [os.path.join(*own[-length:]) for own in parts]  # noqa: PTH118
        if len(set(names)) == len(names):
            break
    return names


def _in_common(reports: Sequence[SavedPredictions]) -> tuple[str, ...]:
    known = set(reports[0].names).intersection(*(report.names for report in reports[1:]))
    if not known:
        raise DataError(
            f"{reports[0].path} and {reports[-1].path}: no picture is in all reports (one has '{reports[0].names[0]}', "
            f"the other '{reports[-1].names[0]}'); measure them on the same DATA"
        )
    return tuple(name for name in reports[0].names if name in known)


def _reduced(report: SavedPredictions, names: tuple[str, ...], classes: tuple[str, ...]) -> SavedPredictions:
    """The same report for these pictures and with its classes in this order."""
    place = {name: row for row, name in enumerate(report.names)}
    rows = np.array([place[name] for name in names])
    columns = [report.classes.index(name) for name in classes]
    number = np.argsort(columns)  # the new number of each old class
    return replace(
        report,
        classes=classes,
        names=names,
        truth=number[report.truth[rows]],
        answers=number[report.answers[rows]],
        probabilities=report.probabilities[rows][:, columns],
        groups=None if report.groups is None else tuple(report.groups[row] for row in rows),
    )


def _require_one_truth(reports: Sequence[SavedPredictions]) -> None:
    first = reports[0]
    for other in reports[1:]:
        odd = np.flatnonzero(other.truth != first.truth)
        if len(odd):
            row = odd[0]
            raise DataError(
                f"{other.path}: '{first.names[row]}' is labelled {first.classes[other.truth[row]]}, but "
                f"{first.classes[first.truth[row]]} in {first.path} ({len(odd)} of {len(first.names)} pictures so); "
                "measure both with the same labels"
            )


def _difference(
    first_name: str,
    first: SavedPredictions,
    second_name: str,
    second: SavedPredictions,
    groups: Sequence[str] | None,
    seed: int,
) -> Difference:
    one, two = (
        checked_answers(report.truth, report.probabilities, report.classes, report.answers, groups)
        for report in (first, second)
    )
    hits, other_hits = (one.truth == one.answers), (two.truth == two.answers)
    test = compare_hits(hits, other_hits, groups, seed)
    return Difference(
        first_name,
        second_name,
        len(hits),
        differences(one, two, seed=seed),
        test,
        compare_hits(hits, other_hits),
        test.p,
        _only_by_seed(first, second),
    )


def _only_by_seed(first: SavedPredictions, second: SavedPredictions) -> bool:
    one, two = first.settings, second.settings
    if one is None or two is None or one == two:
        return False
    return {**one, "seed": None} == {**two, "seed": None}


def _notes(names: list[str], reports: Sequence[SavedPredictions], evaluation: ClassificationMetrics) -> list[str]:
    n, notes = evaluation.n, []
    if len({report.data_sha256 for report in reports} - {None}) > 1:
        notes.append(
            "The reports were not made from the very same files, and pictures are paired by their names alone: "
            "where other pictures have equal names, this comparison means nothing."
        )
    if any(len(report.names) > n for report in reports):
        had = listed([f"{name} on {len(report.names):,}" for name, report in zip(names, reports, strict=True)])
        notes.append(f"Measured on different pictures ({had}); the {n:,} in common are used.")
    if evaluation.n_groups < n:
        notes.append(
            f"Intervals and tests heed groups of near-duplicates: {evaluation.n_groups:,} groups in {n:,} pictures."
        )
    if len(reports) > 2:
        notes.append(f"p values are corrected for {len(reports) - 1} comparisons (Holm); intervals are not.")
    notes.append("Luck is that of the pictures; training again with another seed brings more of it.")
    return notes


def _leaves_out_0(figure: Estimate) -> bool:
    return figure.low > 0 or figure.high < 0


def _turned(figure: Estimate) -> Estimate:
    return Estimate(-figure.value, -figure.high, -figure.low)


def _interval(figure: Estimate) -> str:
    return f"{100 * figure.low:+.1f} to {100 * figure.high:+.1f}"


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"
