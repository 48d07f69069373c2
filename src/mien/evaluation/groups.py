"""Is a model as good for some as for others: every figure in given groups of pictures, and the largest gaps.

A groups file is a CSV whose first column is `file`; every other column is a grouping (age, skin tone, camera) and its
cells are the groups.
"""

import math
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, compress
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from mien.arrays import Bool
from mien.data.tables import csv_rows
from mien.errors import DataError
from mien.evaluation.scoring import Predictions
from mien.metrics.classification import share
from mien.metrics.estimates import ClassificationMetrics, Estimate
from mien.metrics.intervals import Z95

#: With fewer pictures, all of them right, an accuracy of 0.89 is still not excluded.
FEWEST = 30
#: An accuracy known to no better than 10 points either way cannot be told from that of another group.
WIDEST = 0.2
#: A column of more values than this is no grouping (a name, a number with digits).
MOST_VALUES = 50
#: The figures whose largest gap is given.
COMPARED = ("accuracy", "balanced_accuracy", "macro_f1", "roc_auc")


@dataclass(frozen=True)
class Groups:
    """For every grouping, by its name, the group of each of N pictures; None where none is given."""

    columns: Mapping[str, tuple[str | None, ...]]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class GroupResult:
    """One group: its figures, its calibration error, and of each class the share of others that are answered so.

    `too_small` says why nothing can be said of it; None where something can.
    """

    name: str
    evaluation: ClassificationMetrics
    ece: Estimate
    false_positives: Mapping[str, Estimate]
    too_small: str | None

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        rates = {name: figure.to_dict() for name, figure in self.false_positives.items()}
        figures = {**self.evaluation.to_dict(), "ece": self.ece.to_dict()}
        return {"group": self.name, **figures, "false_positive_rate": rates, "too_small": self.too_small}


@dataclass(frozen=True)
class Gap:
    """The largest difference of one figure between two groups that are large enough, and its interval.

    The 95 % interval is simultaneous over all pairs of groups (Bonferroni), since these two were picked for being
    furthest apart: it is that of Zou and Donner 2008 (Statistics in Medicine 27:1693), from those of the two figures.
    """

    figure: str
    best: str
    worst: str
    difference: Estimate

    @property
    def significant(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.difference.low > 0

    def to_dict(self) -> dict[str, Any]:
        """All fields, ready for JSON."""
        return {
            "figure": self.figure, "higher": self.best, "lower": self.worst, **self.difference.to_dict(),
            "significant": self.significant,
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class Grouping:
    """One column of the groups file: its groups, from the largest, the gaps, and the equalised-odds difference.

    `odds` is the largest difference between groups in the true or the false positive rate of a class: of the second
    for two classes, of any against the rest for more (Hardt, Price and Srebro 2016, NeurIPS; the difference as in
    fairlearn's `equalized_odds_difference`). None where no two groups are large enough.
    """

    name: str
    parts: tuple[GroupResult, ...]
    gaps: tuple[Gap, ...]
    odds: Gap | None
    without: int  # pictures for which no group is given

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {
            "grouping": self.name,
            "groups": [part.to_dict() for part in self.parts],
            "largest_gaps": [gap.to_dict() for gap in self.gaps],
            "equalised_odds_difference": self.odds.to_dict() if self.odds else None,
            "without_group": self.without,
        }


@dataclass(frozen=True, eq=False)
class GroupMetrics:
    """What was found in every grouping, and what was amiss with the groups file."""

    groupings: tuple[Grouping, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {"groupings": [one.to_dict() for one in self.groupings], "notes": list(self.notes)}


def read_groups(path: Path, names: Sequence[str]) -> Groups:
    """Read a groups file and find the groups of the evaluated pictures `names`, relative paths as in the data.

    What can be passed over is said in the notes: files that were not evaluated, pictures that the file does not
    name, empty cells, columns that are no groupings. Raises DataError where the file cannot be read, names none of the
    pictures, or names one twice with different groups.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    rows = csv_rows(data, str(path))
    header = [cell.strip() for cell in next(rows, [])]
    if not header or header[0].lower() != "file" or len(header) < 2:
        raise DataError(f"{path}: the header must be file and one column for each grouping, like file,age,camera")
    if "" in header or len(set(header)) < len(header):
        raise DataError(f"{path}: two columns have one name, or one has none; name each grouping once")
    given = _given(path, header, rows)
    wanted = [_key(name) for name in names]
    found = [given.get(name) for name in wanted]
    strange = given.keys() - set(wanted)
    if all(cells is None for cells in found):
        raise DataError(
            f"{path}: names none of the {len(names)} pictures (it has '{next(iter(given), '')}', they have "
            f"'{names[0]}'); give paths relative to the data"
        )
    columns, notes = {}, []
    for place, name in enumerate(header[1:]):
        values = tuple(cells[place] if cells else None for cells in found)
        reason = _no_grouping(values)
        if reason:
            notes.append(f"Column '{name}' is left out: {reason}.")
        else:
            columns[name] = values
            empty = sum(cells is not None and value is None for cells, value in zip(found, values, strict=True))
            notes += [f"'{name}' is empty for {empty:,} pictures."] if empty else []
    if not columns:
        raise DataError(f"{path}: has no usable grouping ({notes[0]})")
    missing = found.count(None)
    notes += [f"{missing:,} of {len(names):,} pictures are not in {path.name}."] if missing else []
    if strange:
        notes.append(f"{len(strange):,} files in {path.name} were not evaluated, like '{min(strange)}'.")
    return Groups(columns, tuple(notes))


def _given(path: Path, header: list[str], rows: Any) -> dict[str, tuple[str | None, ...]]:
    """The cells of every file that is named, None where empty."""
    given: dict[str, tuple[str | None, ...]] = {}
    for number, cells in enumerate(rows, 2):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header) or not cells[0].strip():
            raise DataError(f"{path}: line {number} has not the {len(header)} columns of the header; mend it")
        name, values = _key(cells[0]), tuple(cell.strip() or None for cell in cells[1:])
        if given.setdefault(name, values) != values:
            raise DataError(f"{path}: line {number} names '{cells[0].strip()}' again, with other groups; keep one")
    return given


def _key(name: str) -> str:
    """A path as it is compared: of either slash, and letters of one or of two code points alike."""
    return unicodedata.normalize("NFC", name.strip().replace("\\", "/")).removeprefix("./")


def _no_grouping(values: Sequence[str | None]) -> str | None:
    count = len(set(values) - {None})
    if count > MOST_VALUES:
        return f"it has {count:,} values; a grouping has at most {MOST_VALUES}, so give ranges"
    return {0: "it is empty", 1: "all pictures are in one group"}.get(count)


def measure_groups(scored: Predictions, groups: Groups) -> GroupMetrics:
    """Return every figure in every group, the largest gaps and the equalised-odds differences.

    Copies of one picture, where known (`scored.groups`), count as one draw.
    """
    return GroupMetrics(tuple(_grouping(scored, name, of) for name, of in groups.columns.items()), groups.notes)


def _grouping(scored: Predictions, name: str, values: Sequence[str | None]) -> Grouping:
    given = np.array([value or "" for value in values])
    sizes = Counter(value for value in values if value is not None)
    order = sorted(sizes, key=lambda value: (-sizes[value], value))
    parts = tuple(_part(scored, value, given == value) for value in order)
    judged = [part for part in parts if part.too_small is None]
    gaps = [_gap(figure, {part.name: getattr(part.evaluation, figure) for part in judged}) for figure in COMPARED]
    return Grouping(
        name, parts, tuple(gap for gap in gaps if gap), _odds(scored.classes, judged), list(values).count(None)
    )


def _part(scored: Predictions, name: str, chosen: Bool) -> GroupResult:
    own = _only(scored, chosen)
    found = own.evaluation()
    rates = {}
    for code, label in enumerate(scored.classes):
        others = own.truth != code
        copies = None if own.groups is None else own.groups[others]
        rates[label] = share(own.answers[others] == code, copies, own.seed)
    return GroupResult(name, found, own.reliability.error, rates, _too_small(found))


def _only(scored: Predictions, chosen: Bool) -> Predictions:
    """The answers to the chosen pictures (N,), without the pictures."""
    return replace(
        scored, names=tuple(compress(scored.names, chosen)), truth=scored.truth[chosen], answers=scored.answers[chosen],
        probabilities=scored.probabilities[chosen], groups=None if scored.groups is None else scored.groups[chosen],
        crops=None, detections=None,
    )  # fmt: skip


def _too_small(found: ClassificationMetrics) -> str | None:
    if found.n < FEWEST:
        return f"{found.n} picture{'s' * (found.n != 1)}"
    width = found.accuracy.high - found.accuracy.low
    return (
        f"accuracy is only known to be between {found.accuracy.low:.2f} and {found.accuracy.high:.2f}"
        if width > WIDEST
        else None
    )


def _odds(classes: Sequence[str], parts: Sequence[GroupResult]) -> Gap | None:
    chosen = classes[1:] if len(classes) == 2 else classes
    rates = {}
    for label in chosen:
        rates[f"{label}: found"] = {part.name: part.evaluation.per_class[label].recall for part in parts}
        rates[f"{label}: false alarms"] = {part.name: part.false_positives[label] for part in parts}
    gaps = [gap for name, of in rates.items() if (gap := _gap(name, of, among=len(rates)))]
    return max(gaps, key=lambda gap: gap.difference.value, default=None)


def _gap(name: str, of: Mapping[str, Estimate], among: int = 1) -> Gap | None:
    """The largest difference of a figure between two groups; its interval holds for all pairs of `among` figures."""
    known = {group: figure for group, figure in of.items() if not math.isnan(figure.value)}
    if len(known) < 2:
        return None
    best = max(known, key=lambda group: known[group].value)
    worst = min((group for group in known if group != best), key=lambda group: known[group].value)
    high, low = known[best], known[worst]
    pairs = len(list(combinations(known, 2))) * among
    reach = NormalDist().inv_cdf(1 - 0.025 / pairs) / Z95
    value = high.value - low.value
    down = reach * math.hypot(high.value - high.low, low.high - low.value)
    up = reach * math.hypot(high.high - high.value, low.value - low.low)
    return Gap(name, best, worst, Estimate(value, max(-1.0, value - down), min(1.0, value + up)))
