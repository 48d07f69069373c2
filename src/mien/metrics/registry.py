"""The metrics: one entry each says how a metric is computed, what it is called and where it is shown.

`metrics.json`, the terminal's table, the report, `mien compare` and the comparison of groups iterate over `OVERALL` and
`PER_CLASS`. To add a metric, add one entry here. Only `compute` needs arithmetic: without `estimate`, the confidence
interval comes from the bootstrap.
"""

from collections.abc import Callable
from dataclasses import dataclass

from mien.arrays import Float64, Int64
from mien.metrics import scores
from mien.metrics.bootstrap import Resamples
from mien.metrics.estimates import UNIT, Estimate
from mien.metrics.intervals import Interval
from mien.metrics.samples import Samples


@dataclass(frozen=True)
class Metric:
    """A metric of all classes together.

    Attributes:
        key: its name in `metrics.json` and as an attribute of `ClassificationMetrics`.
        title: its name in tables.
        meaning: what it says, as a phrase.
        compute: returns its value in each of B resamplings, (B,), nan if undefined. None if it cannot be resampled;
            then `estimate` must allow for groups, and the metric is not compared.
        estimate: returns its value with the interval for independent samples. By default the value is that of `compute`
            and the interval comes from the bootstrap.
        groups: returns the number of groups that inform it, for the interval of grouped samples.
        bounds: returns its range for K classes.
        lower_is_better: whether small values are good.
        in_headline: whether a report shows it at the top.
        in_comparison: whether `mien compare` shows it and its differences.
        in_groups: whether the table of groups shows it.
        in_gaps: whether the largest gap between groups is reported.
        needs_scores: whether it is computed from probabilities, so that answers alone do not have it.
    """

    key: str
    title: str
    meaning: str
    compute: Callable[[Resamples], Float64] | None
    estimate: Callable[[Samples], Estimate] | None = None
    groups: Callable[[Samples], float] = lambda samples: samples.n_groups
    bounds: Callable[[int], Interval] = lambda n_classes: UNIT
    lower_is_better: bool = False
    in_headline: bool = False
    in_comparison: bool = True
    in_groups: bool = True
    in_gaps: bool = True
    needs_scores: bool = False

    def is_defined(self, samples: Samples) -> bool:
        """Return whether these samples have what it is computed from."""
        return samples.has_scores or not self.needs_scores


@dataclass(frozen=True)
class ClassMetric:
    """A metric of one class against the rest.

    Attributes:
        key: its name in `metrics.json` and as an attribute of `ClassMetrics`.
        title: its name in tables.
        compute: returns its value for each class in each of B resamplings, (B, K), nan if undefined.
        estimate: returns its value for a class with the interval for independent samples. By default the value is that
            of `compute` and the interval comes from the bootstrap.
        groups: returns the number of groups that inform each class's value, (K,).
        mean: key of the overall metric that is its mean over the classes; empty for none.
        in_terminal: whether the terminal's table, which is narrow, has a column for it.
        needs_scores: whether it is computed from probabilities, so that answers alone do not have it.
    """

    key: str
    title: str
    compute: Callable[[Resamples], Float64]
    estimate: Callable[[Samples, int], Estimate] | None = None
    groups: Callable[[Samples], Int64] = scores.groups_involved
    mean: str = ""
    in_terminal: bool = True
    needs_scores: bool = False

    def is_defined(self, samples: Samples) -> bool:
        """Return whether these samples have what it is computed from."""
        return samples.has_scores or not self.needs_scores


OVERALL: dict[str, Metric] = {
    metric.key: metric
    for metric in (
        Metric(
            "accuracy", "accuracy", "fraction of right answers",
            compute=lambda resamples: resamples.accuracy,
            estimate=scores.accuracy,
            in_headline=True,
        ),
        Metric(
            "balanced_accuracy", "balanced accuracy", "mean recall: accuracy if every class were equally frequent",
            compute=lambda resamples: scores.mean_of_defined(resamples.recall),
            estimate=scores.balanced_accuracy,
            groups=lambda samples: scores.pooled_groups(scores.groups_with_class(samples)),
            in_headline=True,
        ),
        Metric(
            "macro_precision", "macro precision", "how often an answer is right, mean over the classes",
            compute=lambda resamples: scores.mean_with_zeros(resamples.precision),
            estimate=scores.macro_precision,
            groups=lambda samples: scores.pooled_groups(scores.groups_answered(samples)),
            in_comparison=False, in_gaps=False,
        ),
        Metric(
            "macro_recall", "macro recall", "how much of a class is found, mean over the classes",
            compute=lambda resamples: scores.mean_with_zeros(resamples.recall),
            estimate=scores.macro_recall,
            groups=lambda samples: scores.pooled_groups(scores.groups_with_class(samples)),
            in_comparison=False, in_groups=False, in_gaps=False,
        ),
        Metric(
            "macro_f1", "macro F1", "harmonic mean of precision and recall, mean over the classes",
            compute=lambda resamples: scores.mean_with_zeros(resamples.f1),
            estimate=scores.macro_f1,
            groups=lambda samples: scores.pooled_groups(scores.groups_involved(samples)),
            in_headline=True,
        ),
        Metric(
            "roc_auc", "ROC-AUC", "how often an image of a class scores higher than another; 0.5 is chance",
            compute=scores.resampled_roc_auc,
            estimate=scores.macro_roc_auc,
            groups=lambda samples: (
                float(scores.groups_on_both_sides(samples)[1])
                if samples.n_classes == 2
                else scores.pooled_groups(scores.groups_on_both_sides(samples))
            ),
            in_headline=True, needs_scores=True,
        ),
        Metric(
            "average_precision", "average precision", "mean precision over all recalls",
            compute=lambda resamples: scores.mean_with_zeros(resamples.average_precision),
            estimate=scores.macro_average_precision,
            groups=lambda samples: scores.pooled_groups(scores.groups_with_class(samples)),
            in_gaps=False, needs_scores=True,
        ),
        Metric(
            "brier", "Brier score", "squared error of the probabilities; 0 is best",
            compute=lambda resamples: resamples.mean_loss,
            estimate=scores.brier_score,
            bounds=scores.brier_bounds,
            lower_is_better=True, in_headline=True, in_gaps=False, needs_scores=True,
        ),
        Metric(
            "ece", "ECE", "expected calibration error: how far confidence is from accuracy; 0 is best",
            compute=None,
            estimate=scores.calibration_error,
            lower_is_better=True, in_headline=True, in_gaps=False, needs_scores=True,
        ),
    )
}  # fmt: skip

PER_CLASS: dict[str, ClassMetric] = {
    metric.key: metric
    for metric in (
        ClassMetric(
            "precision", "precision", lambda resamples: resamples.precision, scores.precision, scores.groups_answered,
            mean="macro_precision",
        ),
        ClassMetric(
            "recall", "recall", lambda resamples: resamples.recall, scores.recall, scores.groups_with_class,
            mean="macro_recall",
        ),
        ClassMetric("f1", "F1", lambda resamples: resamples.f1, scores.f1, scores.groups_involved, mean="macro_f1"),
        ClassMetric(
            "roc_auc", "ROC-AUC", lambda resamples: resamples.roc_auc, scores.roc_auc, scores.groups_on_both_sides,
            mean="roc_auc", needs_scores=True,
        ),
        ClassMetric(
            "average_precision", "average precision", lambda resamples: resamples.average_precision,
            scores.average_precision, scores.groups_with_class, mean="average_precision", in_terminal=False,
            needs_scores=True,
        ),
    )
}  # fmt: skip


def compared_metrics() -> list[Metric]:
    """Return the metrics whose differences `mien compare` shows."""
    return [metric for metric in OVERALL.values() if metric.in_comparison and metric.compute is not None]
