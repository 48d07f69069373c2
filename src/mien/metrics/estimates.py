"""The figures of a classifier as values: each with its 95 % interval, of one class, and all of an evaluation.

A helper of `mien.metrics.classification`, which computes them.
"""

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from mien.arrays import Int64


@dataclass(frozen=True)
class Estimate:
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


UNDEFINED = Estimate(math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class ClassMetrics:
    """The figures of one class against the rest.

    Undefined are: the precision of a class never answered, the recall and the average precision of a class that never
    occurs, the F1 of a class that does neither, and the ROC AUC where the class or the rest never occurs.
    """

    precision: Estimate
    recall: Estimate
    f1: Estimate
    roc_auc: Estimate
    average_precision: Estimate
    support: int  # how many samples truly are of this class

    def to_dict(self) -> dict[str, Any]:
        """All fields, ready for JSON."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}


@dataclass(frozen=True, eq=False)
class ClassificationMetrics:
    """All figures of N answers among K classes.

    The means over classes treat undefined figures as scikit-learn does. In `macro_precision`, `macro_recall`,
    `macro_f1` and `average_precision`, the mean of the classes', they count as 0 (`zero_division=0`), and the interval
    allows them anything from 0 to 1. `balanced_accuracy` is the mean recall over the classes that occur. `roc_auc` is
    class 1's for two classes; for more, the mean of one-vs-rest over the classes that occur, and undefined when only
    one does. `brier` (Brier 1950) is the mean squared error of class 1's probability for two classes, in [0, 1]; for
    more, of all probabilities summed, in [0, 2]; undefined where the scores are no probabilities.
    """

    classes: tuple[str, ...]
    n: int
    n_groups: int  # how many of the samples are independent draws; n where nothing is known of groups
    confusion: Int64  # (K, K), rows the truth, columns the answer; read-only
    accuracy: Estimate
    balanced_accuracy: Estimate
    macro_precision: Estimate
    macro_recall: Estimate
    macro_f1: Estimate
    roc_auc: Estimate
    average_precision: Estimate
    brier: Estimate
    per_class: dict[str, ClassMetrics]

    def to_dict(self) -> dict[str, Any]:
        """All fields, ready for JSON: undefined figures are None, the confusion matrix a list of rows."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}


def _plain(x: Any) -> Any:
    """`x` as JSON types."""
    if isinstance(x, Estimate | ClassMetrics):
        return x.to_dict()
    if isinstance(x, np.ndarray | tuple):
        return np.asarray(x).tolist()
    if isinstance(x, dict):
        return {name: _plain(value) for name, value in x.items()}
    return x


def interval_words(figure: Estimate) -> str:
    """Return a figure's interval as `0.913 – 0.939`, or a dash where it is undefined."""
    return "–" if math.isnan(figure.value) else f"{figure.low:.3f} – {figure.high:.3f}"


def points(figure: Estimate) -> str:
    """Return a difference in points, hundredths: `+1.2 [-0.3, +2.7]`, or `undefined`."""
    if math.isnan(figure.value):
        return "undefined"
    return f"{100 * figure.value:+.1f} [{100 * figure.low:+.1f}, {100 * figure.high:+.1f}]"
