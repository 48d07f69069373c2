"""One entry in the registry is enough: the metric appears wherever metrics are shown, and the numbers are right."""

import math
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from sklearn import metrics as sk

from mien.arrays import Float64
from mien.cli.output.tables import metrics_table
from mien.evaluation.comparison import Comparison, compare_predictions
from mien.evaluation.groups import measure_groups
from mien.evaluation.groups_file import Groups
from mien.evaluation.predictions import saved_predictions
from mien.evaluation.scoring import Predictions
from mien.metrics.bootstrap import Resamples
from mien.metrics.classification import ClassificationMetrics, classification_metrics
from mien.metrics.intervals import wilson_interval
from mien.metrics.registry import OVERALL, PER_CLASS, ClassMetric, Metric, compared_metrics
from mien.report.comparison import difference_table
from mien.report.comparison import metrics_table as comparison_table
from mien.report.document import Table
from mien.report.report import Evaluation
from mien.report.sections.groups import groups_section
from mien.report.sections.performance import headline, metrics_section

CLASSES = ("happy", "sad", "neither")


def predictions(seed: int = 0, skill: float = 0.6, n: int = 300) -> Predictions:
    truth = np.random.default_rng(0).integers(0, 3, n)
    probabilities = np.random.default_rng(seed).dirichlet(np.ones(3), n) + skill * np.eye(3)[truth]
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    names = tuple(f"{number}.png" for number in range(n))
    return Predictions(CLASSES, names, truth, probabilities.argmax(axis=1), probabilities)


def kappa(resamples: Resamples) -> Float64:
    """Cohen's kappa (1960), agreement beyond chance, in [-1, 1]."""
    n = resamples.confusion.sum(axis=(1, 2))
    chance = (resamples.support * resamples.answered).sum(axis=1) / n**2
    return np.asarray((resamples.accuracy - chance) / (1 - chance))


def specificity(resamples: Resamples) -> Float64:
    """The true negative rate of each class."""
    n = resamples.confusion.sum(axis=(1, 2))[:, None]
    negatives = n - resamples.support
    return np.asarray((negatives - resamples.answered + resamples.hits) / negatives)


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> Metric:
    """Cohen's kappa, registered by one entry."""
    metric = Metric("kappa", "Cohen's kappa", "agreement beyond chance", kappa, bounds=lambda n_classes: (-1.0, 1.0))
    monkeypatch.setitem(OVERALL, metric.key, metric)
    return metric


def printed(found: ClassificationMetrics) -> str:
    screen = Console(width=160)
    with screen.capture() as capture:
        screen.print(metrics_table(found, "Metrics"))
    return capture.get()


def tables(parts: tuple[object, ...]) -> list[Table]:
    return [part for part in parts if isinstance(part, Table)]


def compared(*found: Predictions) -> Comparison:
    return compare_predictions(
        [saved_predictions(one, Path(f"model-{number}"), "test", "m") for number, one in enumerate(found)]
    )


def test_a_registered_metric_appears_everywhere(added: Metric) -> None:
    scored = predictions()
    found = scored.metrics
    shown = str(found.kappa)

    assert Evaluation(scored, "test").to_dict()["kappa"] == found.kappa.to_dict()  # metrics.json
    assert any("Cohen's kappa" in line and shown in line for line in printed(found).splitlines())

    (row,) = (row for row in tables(metrics_section(scored, found).parts)[0].rows if row[0] == "Cohen's kappa")
    assert row[1:] == (f"{found.kappa.value:.3f}", f"{found.kappa.low:.3f} – {found.kappa.high:.3f}", added.meaning)

    comparison = compared(scored, predictions(1, 0.9))
    assert {"Cohen's kappa"} == {row[0] for row in comparison_table(comparison).rows if row[1] == shown}
    assert "Cohen's kappa" in {row[0] for row in difference_table(comparison).rows}
    assert comparison.differences[0].to_dict()["differences"]["kappa"]["low"] > 0

    by_group = measure_groups(scored, Groups({"camera": ("old", "new") * 150}))
    assert "Cohen's kappa" in tables(groups_section(by_group).parts)[0].columns
    assert "kappa" in {gap.metric for gap in by_group.groupings[0].gaps}
    assert by_group.to_dict()["groupings"][0]["groups"][0]["kappa"]["value"] is not None


def test_a_metric_that_is_no_longer_registered_is_gone() -> None:
    assert "kappa" not in predictions().metrics.to_dict()
    with pytest.raises(AttributeError, match="has no metric 'kappa'; it has accuracy"):
        _ = predictions().metrics.kappa


def test_a_registered_metric_has_the_right_value_and_a_plausible_interval(added: Metric) -> None:
    scored = predictions(n=200)
    found = scored.metrics.kappa
    assert found.value == pytest.approx(sk.cohen_kappa_score(scored.truth, scored.answers))
    assert -1 <= found.low < found.value < found.high <= 1
    accuracy = scored.metrics.accuracy
    assert found.high - found.low == pytest.approx(1.5 * (accuracy.high - accuracy.low), rel=0.1)  # at even classes
    copies = np.arange(100).repeat(2)
    wider = classification_metrics(scored.truth, scored.probabilities, CLASSES, groups=copies).kappa
    assert wider.value == found.value
    assert classification_metrics(scored.truth, scored.probabilities, CLASSES, groups=copies).kappa == wider


def test_the_interval_of_a_metric_without_its_own_is_wilsons_for_a_proportion(monkeypatch: pytest.MonkeyPatch) -> None:
    """Accuracy once more, by its resamplings alone."""
    monkeypatch.setitem(OVERALL, "again", Metric("again", "again", "again", lambda resamples: resamples.accuracy))
    found = predictions(n=400).metrics
    assert found.again.value == found.accuracy.value
    hits = round(400 * found.accuracy.value)
    assert (found.again.low, found.again.high) == pytest.approx(wilson_interval(hits, 400), abs=0.005)


def test_a_registered_class_metric_appears_in_every_table_of_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PER_CLASS, "specificity", ClassMetric("specificity", "specificity", specificity))
    scored = predictions()
    found = scored.metrics
    for code, name in enumerate(CLASSES):
        expected = sk.recall_score(scored.truth != code, scored.answers != code)
        assert found.per_class[name].specificity.value == pytest.approx(expected)
    assert found.to_dict()["per_class"]["sad"]["specificity"]["high"] <= 1
    assert str(found.per_class["sad"].specificity) in printed(found)
    per_class = tables(metrics_section(scored, found).parts)[1]
    assert per_class.columns[-1] == "specificity"
    assert str(found.per_class["sad"].specificity) in {row[-1] for row in per_class.rows}


def test_every_entry_is_complete() -> None:
    for key, metric in OVERALL.items():
        assert key == metric.key
        assert metric.title and metric.meaning
        assert metric.compute or metric.estimate
    for key, class_metric in PER_CLASS.items():
        assert key == class_metric.key
        assert class_metric.mean in OVERALL
    assert [metric.key for metric in compared_metrics()] == [
        "accuracy", "balanced_accuracy", "macro_f1", "roc_auc", "average_precision", "brier",
    ]  # fmt: skip


@pytest.mark.parametrize("n_classes", [2, 3])
def test_values_of_resamplings_and_estimates_agree(n_classes: int) -> None:
    """One resampling that draws every sample once is the samples themselves."""
    rng = np.random.default_rng(5)
    truth = rng.integers(0, n_classes, 90)
    probabilities = rng.dirichlet(np.ones(n_classes), 90)
    names = list("abc"[:n_classes])
    found = classification_metrics(truth, probabilities, names)
    from mien.metrics.samples import check_samples

    samples = check_samples(truth, probabilities, names)
    once = Resamples(samples, np.ones((1, 90), np.int64))
    for key, metric in OVERALL.items():
        if metric.compute:
            assert metric.compute(once)[0] == pytest.approx(found.overall[key].value), key
    for key, class_metric in PER_CLASS.items():
        values = [found.per_class[name].metrics[key].value for name in names]
        assert class_metric.compute(once)[0] == pytest.approx(values), key


def test_the_headline_names_its_metrics() -> None:
    keys = headline(predictions().metrics)
    names = [key.name for key in keys]
    assert names == ["Accuracy", "Balanced accuracy", "Macro F1", "ROC-AUC", "Brier score", "ECE"]
    assert all(not math.isnan(float(key.value)) for key in keys)
