"""How well a classifier's answers match the truth, every figure with its 95 % interval.

The figures are scikit-learn's. The intervals are Wilson's for proportions (accuracy, precision, recall), for
F1 through the Jaccard index, and for means over classes at their effective sample size; and Newcombe's for
ROC AUC. Their sources are in `mien.intervals`.

The intervals take the samples as independent. Several pictures of one person, or copies of one picture, are
not: the true intervals are then wider.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from mien.errors import InputError
from mien.intervals import (
    Interval,
    auc_interval,
    average_ranks,
    f1_interval,
    mean_of_aucs,
    mean_of_f1,
    mean_of_proportions,
    wilson,
)

__all__ = ["ClassFigures", "Evaluation", "Figure", "evaluate", "roc_auc", "roc_curve", "wilson"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Figure:
    """A figure in [0, 1] and its 95 % interval; all three are nan where the figure is undefined."""

    value: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float | None]:
        """Value, low and high for JSON; None stands for nan."""
        figures = {"value": self.value, "low": self.low, "high": self.high}
        return {name: None if math.isnan(x) else x for name, x in figures.items()}

    def __str__(self) -> str:
        """`0.927 [0.913, 0.939]`, or `undefined`."""
        if math.isnan(self.value):
            return "undefined"
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


UNDEFINED = Figure(math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class ClassFigures:
    """The figures of one class against the rest.

    Undefined are: the precision of a class never answered, the recall of a class that never occurs, the F1 of
    a class that does neither, and the ROC AUC where the class or the rest never occurs.
    """

    precision: Figure
    recall: Figure
    f1: Figure
    roc_auc: Figure
    support: int  # how many samples truly are of this class

    def to_dict(self) -> dict[str, Any]:
        """All fields, ready for JSON."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}


@dataclass(frozen=True, eq=False)
class Evaluation:
    """All figures of N answers among K classes.

    The means over classes treat undefined figures as scikit-learn does. In `macro_precision`, `macro_recall`
    and `macro_f1` they count as 0 (`zero_division=0`), and the interval allows them anything from 0 to 1.
    `balanced_accuracy` is the mean recall over the classes that occur. `roc_auc` is class 1's for two
    classes; for more, the mean of one-vs-rest over the classes that occur, and undefined when only one does.
    """

    classes: tuple[str, ...]
    n: int
    confusion: Ints  # (K, K), rows the truth, columns the answer; read-only
    accuracy: Figure
    balanced_accuracy: Figure
    macro_precision: Figure
    macro_recall: Figure
    macro_f1: Figure
    roc_auc: Figure
    per_class: dict[str, ClassFigures]

    def to_dict(self) -> dict[str, Any]:
        """All fields, ready for JSON: undefined figures are None, the confusion matrix a list of rows."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}


def evaluate(
    truth: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    classes: Sequence[str],
    answers: npt.ArrayLike | None = None,
) -> Evaluation:
    """Score N answers among K >= 2 classes.

    Args:
        truth: (N,) integers in [0, K), the true class of each sample.
        probabilities: (N, K) finite floats, higher for likelier; only their order matters, and only to
            ROC AUC and the default answers.
        classes: the K class names, all different.
        answers: (N,) integers in [0, K), the answered classes; by default the likeliest class, the first one
            on ties.

    Raises:
        InputError: no samples, wrong shapes, labels that are not integers in [0, K), repeated or too few
            class names, probabilities that are not finite numbers.
    """
    names = tuple(classes)
    k = len(names)
    if k < 2 or len(set(names)) < k:
        raise InputError(f"evaluate: classes are {list(names)!r}; give at least two different names")
    scores = _finite(probabilities, "probabilities")
    if scores.ndim != 2 or scores.shape[1] != k:
        raise InputError(f"probabilities: shape is {scores.shape}; give (N, {k}), one column per class")
    n = len(scores)
    if n == 0:
        raise InputError("evaluate: no samples; give at least one")
    true = _labels(truth, "truth", n, k)
    answered = scores.argmax(axis=1) if answers is None else _labels(answers, "answers", n, k)

    confusion = np.bincount(true * k + answered, minlength=k * k).reshape(k, k).astype(np.int64)
    confusion.setflags(write=False)
    rows = [_class_figures(c, true == c, scores[:, c], confusion) for c in range(k)]
    hits, occurs, answers_of = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    seen, used = occurs > 0, answers_of > 0
    recalls, recall_interval = [row.recall for row in rows], mean_of_proportions(hits[seen], occurs[seen])
    return Evaluation(
        classes=names,
        n=n,
        confusion=confusion,
        accuracy=_proportion(int(hits.sum()), n),
        # Given how often each class occurs, the recalls are independent; given how often each is answered, so
        # are the precisions.
        balanced_accuracy=_mean([r for r in recalls if not math.isnan(r.value)], recall_interval),
        macro_precision=_mean([row.precision for row in rows], mean_of_proportions(hits[used], answers_of[used])),
        macro_recall=_mean(recalls, recall_interval),
        macro_f1=_mean([row.f1 for row in rows], mean_of_f1(confusion)),
        roc_auc=rows[1].roc_auc if k == 2 else _macro_auc(true, scores, rows),
        per_class=dict(zip(names, rows, strict=True)),
    )


def roc_curve(is_positive: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Points of the ROC curve, from "none is positive" to "all are", as scikit-learn's `roc_curve`.

    Args:
        is_positive: (N,) booleans.
        scores: (N,) finite floats, higher for likelier positive.

    Returns:
        False positive rates, true positive rates and thresholds, each (M,) with M <= N + 1. A sample is
        called positive when its score is at least the threshold; the first one is infinite. Points inside a
        straight stretch are left out. The rates of a side without samples are nan throughout.

    Raises:
        InputError: no samples, shapes that differ, truth that is not boolean, scores that are not finite.
    """
    positive, score = _binary(is_positive, scores)
    order = np.argsort(-score, kind="stable")
    score, hit = score[order], positive[order]
    last_of_tie = np.append(np.flatnonzero(np.diff(score)), len(score) - 1)
    tp = np.cumsum(hit)[last_of_tie]
    fp = last_of_tie + 1 - tp
    if len(tp) > 2:
        corner = np.concatenate(([True], (np.diff(tp, 2) != 0) | (np.diff(fp, 2) != 0), [True]))
        tp, fp, last_of_tie = tp[corner], fp[corner], last_of_tie[corner]
    thresholds = np.append(np.inf, score[last_of_tie])
    return _rate(fp), _rate(tp), thresholds


def roc_auc(is_positive: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Area under the ROC curve: how often a positive outscores a negative, ties counting half.

    From the rank sum (Mann and Whitney 1947; Hanley and McNeil 1982).

    Args:
        is_positive: (N,) booleans.
        scores: (N,) finite floats, higher for likelier positive.

    Returns:
        The area in [0, 1]; nan when there are no positives or no negatives.

    Raises:
        InputError: no samples, shapes that differ, truth that is not boolean, scores that are not finite.
    """
    positive, score = _binary(is_positive, scores)
    return _auc(positive, score)


def _auc(positive: Bools, score: Floats) -> float:
    m = int(positive.sum())
    n = len(positive) - m
    if m == 0 or n == 0:
        return math.nan
    return (float(average_ranks(score)[positive].sum()) - m * (m + 1) / 2) / (m * n)


def _rate(counts: npt.NDArray[np.signedinteger[Any]]) -> Floats:
    """Cumulative counts as fractions of the last, after a leading 0; nan throughout when there are none."""
    total = counts[-1]
    return np.append(0, counts) / total if total else np.full(len(counts) + 1, np.nan)


def _class_figures(c: int, positive: Bools, scores: Floats, confusion: Ints) -> ClassFigures:
    hits, occurs, answered = int(confusion[c, c]), int(confusion[c].sum()), int(confusion[:, c].sum())
    misses, rest = occurs + answered - 2 * hits, len(scores) - occurs
    auc = _auc(positive, scores)
    return ClassFigures(
        precision=_proportion(hits, answered),
        recall=_proportion(hits, occurs),
        f1=_figure(2 * hits / (2 * hits + misses), f1_interval(hits, misses)) if hits + misses else UNDEFINED,
        roc_auc=UNDEFINED if math.isnan(auc) else _figure(auc, auc_interval(auc, occurs, rest)),
        support=occurs,
    )


def _macro_auc(true: Ints, scores: Floats, rows: Sequence[ClassFigures]) -> Figure:
    present = [c for c, row in enumerate(rows) if row.support]
    if len(present) == 1:
        return UNDEFINED
    interval = mean_of_aucs(np.stack([true == c for c in present]), scores[:, present].T)
    return _mean([rows[c].roc_auc for c in present], interval)


def _proportion(successes: int, n: int) -> Figure:
    return _figure(successes / n, wilson(successes, n)) if n else UNDEFINED


def _mean(figures: Sequence[Figure], interval: Interval) -> Figure:
    """Mean of figures, given the interval of the mean of the defined ones.

    An undefined one counts as 0, and could be anything from 0 to 1.
    """
    known = [f.value for f in figures if not math.isnan(f.value)]
    share = len(known) / len(figures)
    low, high = interval
    return _figure(sum(known) / len(figures), (low * share, high * share + 1 - share))


def _figure(value: float, interval: Interval) -> Figure:
    """A figure whose interval holds its value and stays in [0, 1] to the last bit, whatever the rounding."""
    low, high = interval
    return Figure(value, low=max(0.0, min(value, low)), high=min(1.0, max(value, high)))


def _finite(values: npt.ArrayLike, what: str) -> Floats:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{what}: not an array of numbers; give floats, rows of one length") from None
    if not np.isfinite(array).all():
        raise InputError(f"{what}: some are nan or infinity; give finite numbers")
    return array


def _labels(values: npt.ArrayLike, what: str, n: int, k: int) -> Ints:
    """Labels (N,) as int64, checked to be integers in [0, k)."""
    try:
        array = np.asarray(values)
    except ValueError:
        raise InputError(f"{what}: not an array; give {n} integers in [0, {k})") from None
    if array.shape != (n,):
        raise InputError(f"{what}: shape is {array.shape}, but there are {n} samples; give ({n},)")
    if array.dtype.kind not in "iub":
        raise InputError(f"{what}: labels are {array.dtype}; give integers in [0, {k})")
    if array.min() < 0 or array.max() >= k:
        raise InputError(f"{what}: labels run from {array.min()} to {array.max()}; give integers in [0, {k})")
    return array.astype(np.int64)


def _binary(is_positive: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[Bools, Floats]:
    """Truth (N,) as booleans and scores (N,), checked."""
    score = _finite(scores, "scores")
    if score.ndim != 1 or len(score) == 0:
        raise InputError(f"scores: shape is {score.shape}; give (N,) with at least one sample")
    return _labels(is_positive, "is_positive", len(score), 2).astype(np.bool_), score


def _plain(x: Any) -> Any:
    """`x` as JSON types."""
    if isinstance(x, Figure | ClassFigures):
        return x.to_dict()
    if isinstance(x, np.ndarray | tuple):
        return np.asarray(x).tolist()
    if isinstance(x, dict):
        return {name: _plain(value) for name, value in x.items()}
    return x
