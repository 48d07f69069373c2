"""Score a classifier: compute every registered metric of answers to labelled samples, with 95 % confidence intervals.

Several images of one person, or copies of one image, are not independent. If `classification_metrics` is told such
groups, the intervals come from a bootstrap that draws whole groups and are never narrower than those of independent
samples.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mien.arrays import Float64, Int64
from mien.metrics.bootstrap import Resamples, bootstrap_replicates, resample_groups
from mien.metrics.estimates import UNIT, Estimate, widen_by_bootstrap
from mien.metrics.registry import OVERALL, PER_CLASS, ClassMetric, Metric
from mien.metrics.samples import Samples, check_samples

AnyMetric = Metric | ClassMetric


@dataclass(frozen=True)
class ClassMetrics:
    """The metrics of one class against the rest; `row.recall` is `row.metrics["recall"]`.

    Undefined are the precision of a class that is never answered, the recall and the average precision of a class that
    never occurs, the F1 of a class that does neither, and the ROC AUC if the class or the rest never occurs.

    Attributes:
        metrics: an estimate for each key of `mien.metrics.registry.PER_CLASS`; without probabilities, only for those
            that need none.
        support: number of samples that truly are of this class.
    """

    metrics: Mapping[str, Estimate]
    support: int

    def __getattr__(self, key: str) -> Estimate:
        """Return a metric by its key."""
        return _attribute(self, "metrics", key)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict."""
        return {**{key: estimate.to_dict() for key, estimate in self.metrics.items()}, "support": self.support}


@dataclass(frozen=True, eq=False)
class ClassificationMetrics:
    """The metrics of N answers among K classes; `found.accuracy` is `found.overall["accuracy"]`.

    Means over classes treat undefined values as scikit-learn does. In `macro_precision`, `macro_recall`, `macro_f1` and
    `average_precision` they count as 0 (`zero_division=0`), and the interval allows them anything from 0 to 1.
    `balanced_accuracy` is the mean recall over the classes that occur. For two classes, `roc_auc` is that of class 1.
    For more, it is the mean of one-vs-rest over the classes that occur, undefined if only one does. For two classes,
    `brier` is the mean squared error of class 1's probability, in [0, 1]. For more, it sums over all probabilities and
    is in [0, 2].
    `brier` and `ece` are undefined if the scores are not probabilities.

    Attributes:
        classes: the K class names.
        n: number of samples.
        n_groups: number of independent groups; n if no groups are known.
        confusion: int64 (K, K), rows the truth and columns the answer; read-only.
        overall: an estimate for each key of `mien.metrics.registry.OVERALL`; without probabilities, only for those
            that need none.
        per_class: the metrics of each class by its name.
    """

    classes: tuple[str, ...]
    n: int
    n_groups: int
    confusion: Int64
    overall: Mapping[str, Estimate]
    per_class: Mapping[str, ClassMetrics]

    def __getattr__(self, key: str) -> Estimate:
        """Return an overall metric by its key."""
        return _attribute(self, "overall", key)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict: undefined values are None, the confusion matrix is a list of rows."""
        return {
            "classes": list(self.classes),
            "n": self.n,
            "n_groups": self.n_groups,
            "confusion": self.confusion.tolist(),
            **{key: estimate.to_dict() for key, estimate in self.overall.items()},
            "per_class": {name: row.to_dict() for name, row in self.per_class.items()},
        }


def _attribute(of: object, field: str, key: str) -> Estimate:
    # Through __dict__: while an object is being copied or unpickled, it has no fields yet.
    found: Mapping[str, Estimate] = of.__dict__.get(field, {})
    if key not in found:
        raise AttributeError(f"{type(of).__name__} has no metric '{key}'; it has {', '.join(found)}")
    return found[key]


def classification_metrics(
    truth: npt.ArrayLike,
    probabilities: npt.ArrayLike | None,
    classes: Sequence[str],
    answers: npt.ArrayLike | None = None,
    groups: npt.ArrayLike | None = None,
    seed: int = 0,
) -> ClassificationMetrics:
    """Compute every registered metric of N answers among K >= 2 classes.

    Args:
        truth: (N,) integers in [0, K), the true class of each sample.
        probabilities: (N, K) finite floats, higher for likelier. The Brier score and the calibration error need rows in
            [0, 1] that sum to 1; ROC AUC, average precision and the default answers only depend on their order. None,
            or all nan, if there are only answers: metrics that need probabilities are then left out.
        classes: the K class names, all different.
        answers: (N,) integers in [0, K), the answered classes; by default the likeliest class, the first one on ties.
        groups: (N,) numbers or names; samples of one group (copies of an image, images of a person) are not
            independent. By default each sample is.
        seed: seed of the bootstrap, which is used if a group has more than one sample.

    Raises:
        InputError: if there are no samples, shapes differ, labels are not integers in [0, K), class names repeat or are
            too few, or probabilities are not finite numbers.

    Examples:
        >>> found = classification_metrics([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], ["happy", "sad"])
        >>> print(found.accuracy)
        0.667 [0.208, 0.939]
    """
    samples = check_samples(truth, probabilities, classes, answers, groups)
    replicates = _replicates(samples, seed)
    observed = Resamples(samples, np.ones((1, samples.n_groups), np.int64))
    per_class = {
        name: ClassMetrics(
            {
                key: _estimate_class(metric, c, observed, replicates)
                for key, metric in PER_CLASS.items()
                if metric.is_defined(samples)
            },
            int(samples.support[c]),
        )
        for c, name in enumerate(classes)
    }
    overall = {
        key: _estimate(metric, observed, replicates) for key, metric in OVERALL.items() if metric.is_defined(samples)
    }
    return ClassificationMetrics(tuple(classes), samples.n, samples.n_groups, samples.confusion, overall, per_class)


def _replicates(samples: Samples, seed: int) -> dict[AnyMetric, Float64]:
    """Return the bootstrap replicates of every metric whose interval needs them."""
    registered: list[AnyMetric] = [*OVERALL.values(), *PER_CLASS.values()]
    metrics = [metric for metric in registered if metric.is_defined(samples)]
    is_grouped = samples.n_groups < samples.n
    statistics: dict[AnyMetric, Callable[[Resamples], Float64]] = {
        metric: metric.compute for metric in metrics if metric.compute and (is_grouped or metric.estimate is None)
    }
    if not statistics:
        return {}
    return bootstrap_replicates(samples, statistics, resample_groups(samples.n_groups, seed=seed))


def _estimate(metric: Metric, observed: Resamples, replicates: Mapping[AnyMetric, Float64]) -> Estimate:
    samples = observed.samples
    if metric.estimate is not None:
        found = metric.estimate(samples)
    elif metric.compute is not None:
        found = _without_interval(metric.compute(observed)[0])
    else:
        raise ValueError(f"metric '{metric.key}' has neither compute nor estimate")
    if metric not in replicates:
        return found
    return widen_by_bootstrap(found, replicates[metric], metric.groups(samples), metric.bounds(samples.n_classes))


def _estimate_class(
    metric: ClassMetric, c: int, observed: Resamples, replicates: Mapping[AnyMetric, Float64]
) -> Estimate:
    samples = observed.samples
    found = metric.estimate(samples, c) if metric.estimate else _without_interval(metric.compute(observed)[0, c])
    if metric not in replicates:
        return found
    return widen_by_bootstrap(found, replicates[metric][:, c], metric.groups(samples)[c], UNIT)


def _without_interval(value: float) -> Estimate:
    return Estimate(float(value), float(value), float(value))
