"""Find label issues by confident learning on out-of-sample predictions, if the model can judge the labels at all."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mien.arrays import Float64, Int64
from mien.metrics.estimates import Estimate
from mien.metrics.formatting import format_percent, format_percent_interval
from mien.metrics.intervals import wilson_interval

#: With fewer samples of a class, its mean self-confidence is not estimated and the class is not suggested.
MIN_SAMPLES = 5


@dataclass(frozen=True)
class LabelIssue:
    """Sample `index` is labelled `given`, but class `suggested` is more probable by `margin`."""

    index: int
    given: int
    suggested: int
    margin: float


@dataclass(frozen=True)
class LabelCheck:
    """Whether a model could check the labels of a dataset, and how often it agrees with them.

    Attributes:
        model: its name.
        checked: number of labels that it was asked about.
        agreed: number of these that it would give, too.
        chance: the fraction that it would agree with if it gave the same answers to images at random, in [0, 1].
        reason: why labels could not be checked without asking it; None if it was asked.

    Examples:
        >>> LabelCheck("mien", checked=200, agreed=188, chance=0.5).sentence
        "the model 'mien' agrees with 188 of 200 labels (94 %, interval 90 – 97 %; by chance 50 %)"
    """

    model: str
    checked: int = 0
    agreed: int = 0
    chance: float = 0.0
    reason: str | None = None

    @property
    def agreement(self) -> Estimate:
        """The fraction of labels that the model would give, too, with its 95 % interval."""
        return Estimate(self.agreed / max(self.checked, 1), *wilson_interval(self.agreed, self.checked))

    @property
    def unchecked(self) -> str | None:
        """Why labels were not checked; None if they were.

        A model that agrees no more often than chance cannot tell which labels are wrong.
        """
        if self.reason is None and self.agreement.low <= self.chance:
            return f"the model '{self.model}' {self.agrees}, so it cannot tell which are wrong"
        return self.reason

    @property
    def sentence(self) -> str:
        """What was found, or why nothing was."""
        if self.unchecked:
            return f"labels were not checked: {self.unchecked}"
        return f"the model '{self.model}' {self.agrees}"

    @property
    def agrees(self) -> str:
        """How often the model agrees with the labels, and how often by chance, for a sentence about it."""
        share, interval = format_percent(self.agreement.value, 0), format_percent_interval(self.agreement, 0)
        by_chance = format_percent(self.chance, 0)
        count = f"{self.agreed:,} of {self.checked:,} labels"
        return f"agrees with {count} ({share}, interval {interval}; by chance {by_chance})"

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict."""
        return {
            "model": self.model, "checked": self.checked, "agreed": self.agreed, "chance": self.chance,
            "unchecked": self.unchecked,
        }  # fmt: skip


def measure_agreement(model: str, probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> LabelCheck:
    """Measure how often a model's most probable class is the label, and how often it would be by chance.

    Chance is that of Cohen's kappa (1960): the same answers and the same labels, paired at random.

    Args:
        model: its name.
        probabilities: float (N, K), as for `find_label_issues`.
        labels: int (N,).

    Examples:
        >>> found = measure_agreement("mien", [[0.75, 0.25], [0.25, 0.75]], [0, 1])
        >>> found.agreed, found.chance
        (2, 0.5)
    """
    rows, given = np.asarray(probabilities, np.float64), np.asarray(labels, np.int64)
    if not len(rows):
        return LabelCheck(model, reason="there is no image that it could look at")
    answers = rows.argmax(axis=1)
    shares = [np.bincount(one, minlength=rows.shape[1]) / len(rows) for one in (answers, given)]
    return LabelCheck(model, len(rows), int((answers == given).sum()), float(shares[0] @ shares[1]))


def find_label_issues(probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> list[LabelIssue]:
    """Return likely label errors, largest margin first.

    A sample is an issue if another class is more probable than its label and reaches that class's mean
    self-confidence: the mean probability that the class's own samples have for it (confident learning:
    Northcutt, Jiang and Chuang, JAIR 2021). So a class that the model is rarely sure of has a low threshold. If
    several classes qualify, the most probable is suggested. Classes of fewer than MIN_SAMPLES are never suggested.

    Args:
        probabilities: float (N, K), rows sum to 1, from a model that was not trained on these samples.
        labels: int (N,), the given class of each sample, in [0, K).

    Returns:
        One `LabelIssue` per issue; its margin is in (0, 1].

    Examples:
        >>> find_label_issues([[0.75, 0.25]] * 5 + [[0.25, 0.75]] * 5 + [[0.75, 0.25]], [0] * 5 + [1] * 6)
        [LabelIssue(index=10, given=1, suggested=0, margin=0.5)]
    """
    rows, given = np.asarray(probabilities, np.float64), np.asarray(labels, np.int64)
    if not len(rows):
        return []
    own = rows[np.arange(len(rows)), given]
    candidates = np.where(rows >= _thresholds(rows, own, given), rows, -1.0)
    candidates[np.arange(len(rows)), given] = -1.0
    suggested = candidates.argmax(axis=1)
    margin = candidates[np.arange(len(rows)), suggested] - own
    order = np.argsort(-margin, kind="stable")
    return [LabelIssue(int(i), int(given[i]), int(suggested[i]), float(margin[i])) for i in order if margin[i] > 0]


def _thresholds(rows: Float64, own: Float64, given: Int64) -> Float64:
    """Return each class's mean self-confidence, float64 (K,); infinite for classes that are too small."""
    counts = np.bincount(given, minlength=rows.shape[1])
    totals = np.bincount(given, own, minlength=rows.shape[1])
    means: Float64 = np.where(counts >= MIN_SAMPLES, totals / np.maximum(counts, 1), np.inf)
    return means
