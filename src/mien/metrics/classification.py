"""How well a classifier's answers match the truth, every figure with its 95 % interval.

The figures are scikit-learn's. The intervals of independent samples are Wilson's for proportions (accuracy,
precision, recall), for F1 through the Jaccard index, for means over classes and the Brier score at their effective
sample size, and for average precision with the positives as trials (the binomial interval of Boyd, Eng and Page 2013,
ECML PKDD 8190:451, which found it to hold the truth better than the bootstrap); and Newcombe's for ROC AUC. Their
sources are in `mien.metrics.intervals`.

Several pictures of one person, or copies of one picture, are not independent. Where `evaluate` is told of such groups,
the intervals come from a bootstrap that draws whole groups (`mien.metrics.bootstrap`), and are never narrower than
those above.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mien.arrays import Bool, Float64, Int64
from mien.errors import InputError
from mien.metrics.bootstrap import resamplings, share_interval
from mien.metrics.estimates import UNDEFINED, ClassificationMetrics, ClassMetrics, Estimate
from mien.metrics.intervals import (
    Interval,
    auc_interval,
    f1_interval,
    mean_of_aucs,
    mean_of_f1,
    mean_of_proportions,
    wilson,
    wilson_of_mean,
)
from mien.metrics.ranking import average_precision, precision_recall_curve, roc_auc, roc_curve
from mien.metrics.resampled import Answers, Replicates, replicate
from mien.metrics.validation import finite, labels, members

__all__ = [
    "UNDEFINED",
    "ClassMetrics",
    "ClassificationMetrics",
    "Estimate",
    "average_precision",
    "checked_answers",
    "classification_metrics",
    "precision_recall_curve",
    "proportion",
    "roc_auc",
    "roc_curve",
    "share",
    "wilson",
]


def classification_metrics(
    truth: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    classes: Sequence[str],
    answers: npt.ArrayLike | None = None,
    groups: npt.ArrayLike | None = None,
    seed: int = 0,
) -> ClassificationMetrics:
    """Score N answers among K >= 2 classes.

    Args:
        truth: (N,) integers in [0, K), the true class of each sample.
        probabilities: (N, K) finite floats, higher for likelier. Only their order matters, to ROC AUC, average
            precision and the default answers, but for the Brier score, which needs rows in [0, 1] that sum to 1.
        classes: the K class names, all different.
        answers: (N,) integers in [0, K), the answered classes; by default the likeliest class, the first one
            on ties.
        groups: (N,) numbers or names; samples of one group (copies of a picture, pictures of a person) are not
            independent. By default each sample is.
        seed: of the bootstrap that is used where some group has more than one sample.

    Raises:
        InputError: no samples, wrong shapes, labels that are not integers in [0, K), repeated or too few
            class names, probabilities that are not finite numbers.
    """
    given = checked_answers(truth, probabilities, classes, answers, groups)
    found = _independent(given, tuple(classes))
    return (
        found
        if given.groups == found.n
        else _by_group(given, found, replicate(given, resamplings(given.groups, seed=seed)))
    )


def share(is_hit: npt.ArrayLike, groups: npt.ArrayLike | None = None, seed: int = 0) -> Estimate:
    """Return the share of hits: with Wilson's interval, or of groups that of `evaluate`; undefined for no samples.

    Args:
        is_hit: (N,) booleans.
        groups: (N,) numbers or names; samples of one group are not independent.
        seed: of the bootstrap.

    Raises:
        InputError: not one group for each sample.
    """
    hit = np.asarray(is_hit, dtype=np.float64)
    figure = proportion(int(hit.sum()), len(hit))
    member = members(groups, len(hit))
    if len(hit) == 0 or (count := int(member.max()) + 1) == len(hit):
        return figure
    of_group = np.stack([np.bincount(member, weights=hit), np.bincount(member)], axis=1)
    sums = np.concatenate([rows @ of_group for rows in resamplings(count, seed=seed)])
    return _wider(figure, sums[:, 0] / sums[:, 1], count)


def checked_answers(
    truth: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    classes: Sequence[str],
    answers: npt.ArrayLike | None = None,
    groups: npt.ArrayLike | None = None,
) -> Answers:
    """Return what `evaluate` is given as checked arrays; same arguments and errors."""
    k = len(classes)
    if k < 2 or len(set(classes)) < k:
        raise InputError(f"evaluate: classes are {list(classes)!r}; give at least two different names")
    scores = finite(probabilities, "probabilities")
    if scores.ndim != 2 or scores.shape[1] != k:
        raise InputError(f"probabilities: shape is {scores.shape}; give (N, {k}), one column per class")
    n = len(scores)
    if n == 0:
        raise InputError("evaluate: no samples; give at least one")
    true = labels(truth, "truth", n, k)
    answered = scores.argmax(axis=1) if answers is None else labels(answers, "answers", n, k)
    return Answers(true, answered, scores, _brier_losses(true, scores), members(groups, n))


def _brier_losses(true: Int64, scores: Float64) -> Float64:
    """Each sample's part (N,) of the Brier score; nan where the scores are no probabilities."""
    if scores.min() < 0 or scores.max() > 1 or np.abs(scores.sum(axis=1) - 1).max() > 1e-4:
        return np.full(len(scores), math.nan)
    errors = (scores - np.eye(scores.shape[1])[true]) ** 2
    return np.asarray(errors[:, 1] if scores.shape[1] == 2 else errors.sum(axis=1))


def _independent(given: Answers, names: tuple[str, ...]) -> ClassificationMetrics:
    """All figures, with the intervals of independent samples."""
    true, scores, (n, k) = given.truth, given.scores, given.scores.shape
    confusion = np.bincount(true * k + given.answers, minlength=k * k).reshape(k, k).astype(np.int64)
    confusion.setflags(write=False)
    rows = [_class_figures(c, true == c, scores[:, c], confusion) for c in range(k)]
    hits, occurs, answers_of = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    seen, used = occurs > 0, answers_of > 0
    recalls, recall_interval = [row.recall for row in rows], mean_of_proportions(hits[seen], occurs[seen])
    precisions = [row.average_precision for row in rows]
    mean_precision = np.array([figure.value for figure in precisions])[seen]
    return ClassificationMetrics(
        classes=names,
        n=n,
        n_groups=n,
        confusion=confusion,
        accuracy=proportion(int(hits.sum()), n),
        # Given how often each class occurs, the recalls are independent; given how often each is answered, so
        # are the precisions.
        balanced_accuracy=_mean([r for r in recalls if not math.isnan(r.value)], recall_interval),
        macro_precision=_mean([row.precision for row in rows], mean_of_proportions(hits[used], answers_of[used])),
        macro_recall=_mean(recalls, recall_interval),
        macro_f1=_mean([row.f1 for row in rows], mean_of_f1(confusion)),
        roc_auc=rows[1].roc_auc if k == 2 else _macro_auc(true, scores, rows),
        average_precision=_mean(precisions, mean_of_proportions(mean_precision * occurs[seen], occurs[seen])),
        brier=_brier(given.losses, k),
        per_class=dict(zip(names, rows, strict=True)),
    )


def _by_group(given: Answers, found: ClassificationMetrics, drawn: Replicates) -> ClassificationMetrics:
    """The same figures with intervals from the bootstrap by group."""
    k = len(found.classes)
    of_class, answered = given.truth[:, None] == np.arange(k), given.answers[:, None] == np.arange(k)
    # How many groups bear on each figure of each class.
    occurring, rest, used, either = (
        np.array([given.groups_with(column) for column in chosen.T])
        for chosen in (of_class, ~of_class, answered, of_class | answered)
    )
    bearing = {
        "precision": used, "recall": occurring, "f1": either, "roc_auc": np.minimum(occurring, rest),
        "average_precision": occurring,
    }  # fmt: skip
    per_class = {}
    for c, (name, row) in enumerate(found.per_class.items()):
        wider: dict[str, Any] = {
            f: _wider(getattr(row, f), getattr(drawn, f)[:, c], groups[c]) for f, groups in bearing.items()
        }
        per_class[name] = replace(row, **wider)
    overall = drawn.overall()
    pooled = {
        "accuracy": given.groups, "balanced_accuracy": _pooled(occurring), "macro_precision": _pooled(used),
        "macro_recall": _pooled(occurring), "macro_f1": _pooled(either), "average_precision": _pooled(occurring),
        "roc_auc": bearing["roc_auc"][1] if k == 2 else _pooled(bearing["roc_auc"]),
    }  # fmt: skip
    means: dict[str, Any] = {f: _wider(getattr(found, f), overall[f], groups) for f, groups in pooled.items()}
    top = _top_loss(k)
    brier = _wider(_scaled(found.brier, 1 / top), overall["brier"] / top, given.groups)
    return replace(found, n_groups=given.groups, brier=_scaled(brier, top), per_class=per_class, **means)


def _scaled(figure: Estimate, factor: float) -> Estimate:
    return Estimate(figure.value * factor, figure.low * factor, figure.high * factor)


def _wider(figure: Estimate, replicates: Float64, groups: float) -> Estimate:
    """A figure with the wider of its interval for independent samples and that of its bootstrap."""
    if math.isnan(figure.value):
        return figure
    low, high = share_interval(figure.value, replicates, groups)
    return _figure(figure.value, (min(low, figure.low), max(high, figure.high)))


def _pooled(groups: Int64) -> float:
    """How many groups would tell as much of a proportion as the mean of one proportion of each class does."""
    known = groups[groups > 0]
    return float(len(known) ** 2 / (1 / known).sum()) if len(known) else 0.0


def _class_figures(c: int, positive: Bool, scores: Float64, confusion: Int64) -> ClassMetrics:
    hits, occurs, answered = int(confusion[c, c]), int(confusion[c].sum()), int(confusion[:, c].sum())
    misses, rest = occurs + answered - 2 * hits, len(scores) - occurs
    auc = roc_auc(positive, scores)
    precision = average_precision(positive, scores)
    return ClassMetrics(
        precision=proportion(hits, answered),
        recall=proportion(hits, occurs),
        f1=_figure(2 * hits / (2 * hits + misses), f1_interval(hits, misses)) if hits + misses else UNDEFINED,
        roc_auc=UNDEFINED if math.isnan(auc) else _figure(auc, auc_interval(auc, occurs, rest)),
        average_precision=_figure(precision, wilson(precision * occurs, occurs)) if occurs else UNDEFINED,
        support=occurs,
    )


def _macro_auc(true: Int64, scores: Float64, rows: Sequence[ClassMetrics]) -> Estimate:
    present = [c for c, row in enumerate(rows) if row.support]
    if len(present) == 1:
        return UNDEFINED
    interval = mean_of_aucs(np.stack([true == c for c in present]), scores[:, present].T)
    return _mean([rows[c].roc_auc for c in present], interval)


def _brier(losses: Float64, k: int) -> Estimate:
    if math.isnan(losses[0]):
        return UNDEFINED
    top = _top_loss(k)
    mean = float(losses.mean()) / top
    low, high = wilson_of_mean(mean, float(losses.var()) / top**2, len(losses))
    return Estimate(mean * top, max(0.0, min(low, mean)) * top, min(1.0, max(high, mean)) * top)


def _top_loss(k: int) -> float:
    """The largest loss that one answer among k classes can have."""
    return 1.0 if k == 2 else 2.0


def proportion(hits: float, n: int) -> Estimate:
    """Return the share of hits with Wilson's interval, undefined for n = 0; hits may be a mean over several draws."""
    return _figure(hits / n, wilson(hits, n)) if n else UNDEFINED


def _mean(figures: Sequence[Estimate], interval: Interval) -> Estimate:
    """Mean of figures, given the interval of the mean of the defined ones.

    An undefined one counts as 0, and could be anything from 0 to 1.
    """
    known = [f.value for f in figures if not math.isnan(f.value)]
    share = len(known) / len(figures)
    low, high = interval
    return _figure(sum(known) / len(figures), (low * share, high * share + 1 - share))


def _figure(value: float, interval: Interval) -> Estimate:
    """A figure whose interval holds its value and stays in [0, 1] to the last bit, whatever the rounding."""
    low, high = interval
    return Estimate(value, low=max(0.0, min(value, low)), high=min(1.0, max(value, high)))
