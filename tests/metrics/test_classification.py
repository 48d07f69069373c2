"""Metrics against scikit-learn, intervals against published values, their definitions and simulation."""

import json
import math
import re
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats  # type: ignore[import-untyped]
from sklearn import metrics as sk
from sklearn.exceptions import UndefinedMetricWarning

from mien.errors import InputError
from mien.metrics.classification import ClassificationMetrics, classification_metrics
from mien.metrics.estimates import Estimate, grouped_proportion
from mien.metrics.intervals import (
    auc_interval,
    f1_interval,
    mean_auc_interval,
    mean_f1_interval,
    mean_proportion_interval,
    wilson_interval,
)
from mien.metrics.ranking import average_precision, precision_recall_curve, roc_auc, roc_curve

MACRO = (
    "accuracy", "balanced_accuracy", "macro_precision", "macro_recall", "macro_f1", "roc_auc", "average_precision",
)  # fmt: skip
OF_CLASS = ("precision", "recall", "f1", "roc_auc", "average_precision")


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """Truth, scores, answers and names; classes may be missing, scores tied or constant."""
    k = draw(st.integers(2, 5))
    n = draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    true_of = draw(st.lists(st.integers(0, k - 1), min_size=1, max_size=k))
    answers_of = draw(st.lists(st.integers(0, k - 1), min_size=1, max_size=k))
    levels = draw(st.sampled_from([1, 2, 5, 1000]))  # 1: constant; 2 and 5: many ties
    scores = rng.integers(0, levels, (n, k)) / levels
    return rng.choice(true_of, n), scores, rng.choice(answers_of, n), [f"class {c}" for c in range(k)]


def all_estimates(result: ClassificationMetrics) -> dict[str, Estimate]:
    found = {name: getattr(result, name) for name in MACRO}
    for name, row in result.per_class.items():
        found |= {f"{name} {estimate}": getattr(row, estimate) for estimate in OF_CLASS}
    return found


def sk_auc(positive: np.ndarray, scores: np.ndarray) -> float:
    """scikit-learn's AUC; nan, without its warning, if one side is empty."""
    return float(sk.roc_auc_score(positive, scores)) if 0 < positive.sum() < len(positive) else math.nan


# --- the metrics -------------------------------------------------------------------------------------------


@settings(max_examples=100)
@given(cases())
def test_metrics_are_those_of_scikit_learn(case: Any) -> None:
    truth, scores, answers, names = case
    labels = list(range(len(names)))
    result = classification_metrics(truth, scores, names, answers)

    assert result.n == len(truth)
    np.testing.assert_array_equal(result.confusion, sk.confusion_matrix(truth, answers, labels=labels))
    assert result.accuracy.value == pytest.approx(sk.accuracy_score(truth, answers))
    with warnings.catch_warnings():
        # It warns of answers that never occur, and of a single class; its value is still the definition.
        warnings.simplefilter("ignore", UserWarning)
        assert result.balanced_accuracy.value == pytest.approx(sk.balanced_accuracy_score(truth, answers))
    options = {"labels": labels, "average": "macro", "zero_division": 0}
    assert result.macro_precision.value == pytest.approx(sk.precision_score(truth, answers, **options))
    assert result.macro_recall.value == pytest.approx(sk.recall_score(truth, answers, **options))
    assert result.macro_f1.value == pytest.approx(sk.f1_score(truth, answers, **options))

    options = {"labels": labels, "average": None, "zero_division": np.nan}
    rows = list(result.per_class.values())
    same = pytest.approx
    assert [r.precision.value for r in rows] == same(sk.precision_score(truth, answers, **options), nan_ok=True)
    assert [r.recall.value for r in rows] == same(sk.recall_score(truth, answers, **options), nan_ok=True)
    assert [r.f1.value for r in rows] == same(sk.f1_score(truth, answers, **options), nan_ok=True)
    assert [r.support for r in rows] == [int((truth == c).sum()) for c in labels]
    aucs = [sk_auc(truth == c, scores[:, c]) for c in labels]
    assert [r.roc_auc.value for r in rows] == same(aucs, nan_ok=True)
    expected = aucs[1] if len(names) == 2 else np.mean([aucs[c] for c in np.unique(truth)])
    assert result.roc_auc.value == same(expected, nan_ok=True)

    precisions = [r.average_precision.value for r in rows]
    one_hot = np.eye(len(names), dtype=int)[truth]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # if a class never occurs, scikit-learn warns and counts 0
        expected = [sk.average_precision_score(one_hot[:, c], scores[:, c]) for c in labels]
        assert result.average_precision.value == same(sk.average_precision_score(one_hot, scores, average="macro"))
    assert precisions == same([e if (truth == c).any() else math.nan for c, e in enumerate(expected)], nan_ok=True)
    assert math.isnan(result.brier.value) == (not np.allclose(scores.sum(axis=1), 1))


@settings(max_examples=100)
@given(cases())
def test_brier_is_that_of_scikit_learn(case: Any) -> None:
    truth, scores, _, names = case
    totals = scores.sum(axis=1, keepdims=True)
    probabilities = np.where(totals > 0, scores / np.where(totals > 0, totals, 1), 1 / len(names))
    found = classification_metrics(truth, probabilities, names).brier
    if len(names) == 2:
        expected = sk.brier_score_loss(truth, probabilities[:, 1], pos_label=1, labels=[0, 1])
    else:
        expected = sk.brier_score_loss(truth, probabilities, labels=list(range(len(names))))
    assert found.value == pytest.approx(expected)
    assert 0 <= found.low <= found.value <= found.high <= (1 if len(names) == 2 else 2)
    assert found.high - found.low > 0.01


def test_macro_auc_is_that_of_scikit_learn_when_every_class_occurs() -> None:
    rng = np.random.default_rng(3)
    truth = np.arange(90) % 3
    probabilities = rng.dirichlet(np.ones(3), 90)
    expected = sk.roc_auc_score(truth, probabilities, multi_class="ovr", average="macro")
    assert classification_metrics(truth, probabilities, ["a", "b", "c"]).roc_auc.value == pytest.approx(expected)


@settings(max_examples=150)
@given(st.lists(st.tuples(st.booleans(), st.one_of(st.integers(0, 3).map(float), st.floats(-1e9, 1e9))), min_size=1))
def test_roc_curve_and_auc_are_those_of_scikit_learn(samples: list[tuple[bool, float]]) -> None:
    positive, scores = np.array([p for p, _ in samples]), np.array([s for _, s in samples])
    curve = roc_curve(positive, scores)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        expected = sk.roc_curve(positive, scores)
    for ours, theirs in zip(curve, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    area = roc_auc(positive, scores)
    assert area == pytest.approx(sk_auc(positive, scores), nan_ok=True)
    if not math.isnan(area):
        assert area == pytest.approx(np.trapezoid(curve[1], curve[0]))


@settings(max_examples=150)
@given(st.lists(st.tuples(st.booleans(), st.one_of(st.integers(0, 3).map(float), st.floats(-1e9, 1e9))), min_size=1))
def test_precision_recall_curve_and_average_precision_are_those_of_scikit_learn(
    samples: list[tuple[bool, float]],
) -> None:
    positive, scores = np.array([p for p, _ in samples]), np.array([s for _, s in samples])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # no positives
        expected = sk.precision_recall_curve(positive, scores)
    for ours, theirs in zip(precision_recall_curve(positive, scores), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    found = average_precision(positive, scores)
    if positive.any():
        assert found == pytest.approx(sk.average_precision_score(positive, scores))
    else:
        assert math.isnan(found)


def test_answers_default_to_the_likeliest_class_and_the_first_on_ties() -> None:
    result = classification_metrics([0, 1, 1], [[0.5, 0.5], [0.5, 0.5], [0.1, 0.9]], ["happy", "sad"])
    assert result.confusion.tolist() == [[1, 0], [1, 1]]


def test_rows_are_the_truth_and_columns_the_answer() -> None:
    result = classification_metrics([0, 0, 0, 1], np.zeros((4, 2)), ["happy", "sad"], answers=[1, 1, 0, 1])
    assert result.confusion.tolist() == [[1, 2], [0, 1]]
    assert result.per_class["happy"].recall.value == pytest.approx(1 / 3)
    assert result.per_class["sad"].precision.value == pytest.approx(1 / 3)


@settings(max_examples=60)
@given(cases(), st.randoms(use_true_random=False))
def test_the_order_of_samples_and_of_classes_does_not_matter(case: Any, random: Any) -> None:
    truth, scores, answers, names = case
    before = all_estimates(classification_metrics(truth, scores, names, answers))
    samples, order = list(range(len(truth))), list(range(len(names)))
    random.shuffle(samples)
    random.shuffle(order)
    place = np.argsort(order)  # the new number of each old class
    after = all_estimates(
        classification_metrics(
            place[truth][samples],
            scores[:, order][samples],
            [names[c] for c in order],
            place[answers][samples],
        )
    )
    assert before.keys() == after.keys()
    for name, estimate in before.items():
        if name == "roc_auc" and len(names) == 2:
            continue  # class 1's by definition, and these scores are not each other's complements
        for part in ("value", "low", "high"):
            assert getattr(after[name], part) == pytest.approx(getattr(estimate, part), nan_ok=True), name


# --- the intervals -----------------------------------------------------------------------------------------


@settings(max_examples=150)
@given(cases())
def test_intervals_contain_their_estimate_stay_in_range_and_never_collapse(case: Any) -> None:
    truth, scores, answers, names = case
    for name, estimate in all_estimates(classification_metrics(truth, scores, names, answers)).items():
        if math.isnan(estimate.value):
            assert math.isnan(estimate.low), name
            assert math.isnan(estimate.high), name
        else:
            assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1, name
            assert estimate.high - estimate.low > 0.01, name  # 40 samples are not more precise


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        (20, 20, 0.8389, 1.0),
        (0, 20, 0.0, 0.1611),
        (81, 263, 0.2553, 0.3662),  # Newcombe 1998, Statistics in Medicine 17:857, table I, method 3
        (15, 148, 0.0624, 0.1605),
        (1, 29, 0.0061, 0.1718),
        (0, 0, 0.0, 1.0),
    ],
)
def test_wilson_gives_the_published_values(successes: int, n: int, low: float, high: float) -> None:
    assert wilson_interval(successes, n) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 2000), st.data())
def test_wilson_is_that_of_scipy(n: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, n))
    expected = stats.binomtest(successes, n).proportion_ci(0.95, method="wilson")
    assert wilson_interval(successes, n) == pytest.approx((expected.low, expected.high), abs=1e-6)


@pytest.mark.parametrize(("successes", "n"), [(2, 1), (-1, 3), (math.nan, 3), (1, math.nan), (1, math.inf)])
def test_wilson_refuses_impossible_counts(successes: float, n: float) -> None:
    with pytest.raises(InputError, match="successes"):
        wilson_interval(successes, n)


def test_f1_limits_are_the_f1_of_wilsons_limits_of_the_jaccard_index() -> None:
    low, high = f1_interval(true_positives=30, errors=10)
    assert (low / (2 - low), high / (2 - high)) == pytest.approx(wilson_interval(30, 40))


@pytest.mark.parametrize(("auc", "m", "n"), [(0.8, 30, 60), (0.97, 12, 9), (1.0, 20, 20), (0.5, 500, 3)])
def test_auc_limits_solve_newcombes_equation(auc: float, m: int, n: int) -> None:
    low, high = auc_interval(auc, m, n)
    for t in {low, high} - {1.0}:
        bracket = 1 + ((m + n) / 2 - 1) * ((1 - t) / (2 - t) + t / (1 + t))
        assert abs(auc - t) == pytest.approx(1.959964 * math.sqrt(t * (1 - t) / (m * n) * bracket), rel=1e-6)
    assert 0 < low < auc <= high <= 1


def test_auc_of_one_positive_and_one_negative_is_one_wilson_trial() -> None:
    assert auc_interval(1.0, 1, 1) == pytest.approx(wilson_interval(1, 1))


@pytest.mark.parametrize(("auc", "m", "n"), [(1.1, 3, 3), (math.nan, 3, 3), (0.5, 0, 3), (0.5, 3, 0)])
def test_auc_interval_refuses_impossible_areas(auc: float, m: int, n: int) -> None:
    with pytest.raises(InputError, match="AUC"):
        auc_interval(auc, m, n)


def test_the_mean_of_one_proportion_has_its_own_interval() -> None:
    assert mean_proportion_interval(np.array([17]), np.array([23])) == pytest.approx(wilson_interval(17, 23))


def test_perfect_proportions_of_equal_size_count_as_one_sample() -> None:
    assert mean_proportion_interval(np.full(4, 25), np.full(4, 25)) == pytest.approx(wilson_interval(100, 100))


def test_a_mean_is_as_uncertain_as_its_smallest_class_makes_it() -> None:
    low, high = mean_proportion_interval(np.array([5, 9000]), np.array([10, 10_000]))
    textbook = 2 * 1.96 * math.sqrt(0.5 * 0.5 / 10) / 2  # the large class adds next to nothing
    assert high - low == pytest.approx(textbook, rel=0.1)


def test_classes_answered_twice_over_are_no_better_known() -> None:
    """Equal rows correlate fully: their mean area is exactly as uncertain as the one area."""
    rng = np.random.default_rng(8)
    positive = np.arange(60) % 3 == 0
    scores = rng.standard_normal(60) + positive
    once = mean_auc_interval(positive[None], scores[None])
    assert mean_auc_interval(np.stack([positive] * 4), np.stack([scores] * 4)) == pytest.approx(once)
    assert once == pytest.approx(
        auc_interval(roc_auc(positive, scores), 20, 40), abs=0.02
    )  # the same variance, taken at one point


def test_macro_f1_interval_narrows_with_the_square_root_of_the_samples() -> None:
    confusion = np.array([[70, 20, 10], [15, 60, 25], [5, 5, 40]])
    narrow, wide = mean_f1_interval(confusion * 100), mean_f1_interval(confusion)
    assert (wide[1] - wide[0]) / (narrow[1] - narrow[0]) == pytest.approx(10, rel=0.05)


def test_an_undefined_metric_counts_as_zero_and_may_be_anything() -> None:
    """Class "neither" is never answered: a third of the macro precision is unknown."""
    truth, answers = np.arange(300) % 3, np.arange(300) % 3 % 2
    result = classification_metrics(truth, np.zeros((300, 3)), ["happy", "sad", "neither"], answers)
    assert math.isnan(result.per_class["neither"].precision.value)
    assert result.macro_precision.value == pytest.approx((0.5 + 1 + 0) / 3)
    assert result.macro_precision.high > result.macro_precision.value + 1 / 3


def covered(estimate: Estimate, true: float) -> bool:
    return estimate.low <= true <= estimate.high


def binomial(n: int, p: float) -> list[float]:
    """Probabilities of 0 to n successes."""
    log_choose = [math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) for i in range(n + 1)]
    return [math.exp(log_choose[i] + i * math.log(p) + (n - i) * math.log(1 - p)) for i in range(n + 1)]


@pytest.mark.parametrize("p", [0.6, 0.95])
@pytest.mark.parametrize("n", [50, 200, 2000])
def test_wilson_covers_by_exact_arithmetic(n: int, p: float) -> None:
    limits = [wilson_interval(i, n) for i in range(n + 1)]
    coverage = sum(w for w, (low, high) in zip(binomial(n, p), limits, strict=True) if low <= p <= high)
    assert 0.93 <= coverage <= 0.97


@pytest.mark.parametrize("p", [0.6, 0.95])
@pytest.mark.parametrize("n", [50, 200])
def test_f1_interval_covers_by_exact_arithmetic(n: int, p: float) -> None:
    """Two even classes: TP is binomial given TP + FP + FN, which is itself binomial in n."""
    in_union = p / 2 + 1 - p
    coverage = 0.0
    for union, weight in enumerate(binomial(n, in_union)):
        for hits, chance in enumerate(binomial(union, p / 2 / in_union)):
            low, high = f1_interval(hits, union - hits)
            coverage += weight * chance * (low <= p <= high)
    assert 0.93 <= coverage <= 0.97


@pytest.mark.parametrize("p", [0.6, 0.95])
@pytest.mark.parametrize("n", [50, 200, 2000])
def test_nominal_95_percent_covers_the_truth_about_95_times_in_100(n: int, p: float) -> None:
    """Two even classes answered rightly with probability p: the accuracies and every F1 are p."""
    rng = np.random.default_rng(n)
    repeats = 1000
    seen = np.zeros(4)
    for _ in range(repeats):
        truth = rng.integers(0, 2, n)
        answers = truth ^ (rng.random(n) >= p)
        result = classification_metrics(truth, np.zeros((n, 2)), ["happy", "sad"], answers)
        estimates = [result.accuracy, result.per_class["sad"].f1, result.macro_f1, result.balanced_accuracy]
        seen += [covered(estimate, p) for estimate in estimates]
    coverage = seen / repeats
    slack = 2 * math.sqrt(0.05 * 0.95 / repeats)  # of the simulation, two standard errors
    assert (coverage >= 0.93 - slack).all(), coverage
    assert (coverage <= 0.97 + slack).all(), coverage


def test_intervals_of_seven_classes_cover_the_truth() -> None:
    """Seven classes at n = 200, where MOVER on the classes' own intervals covers 88 to 90 %."""
    rng = np.random.default_rng(7)
    k, n, p, repeats = 7, 200, 0.95, 400
    shift = 2.3262  # AUC = Phi(shift / sqrt 2) = 0.95
    seen = np.zeros(4)
    for _ in range(repeats):
        truth = rng.integers(0, k, n)
        answers = np.where(rng.random(n) < p, truth, (truth + rng.integers(1, k, n)) % k)
        scores = rng.standard_normal((n, k)) + shift * (truth[:, None] == np.arange(k))
        result = classification_metrics(truth, scores, [str(c) for c in range(k)], answers)
        estimates = [result.balanced_accuracy, result.macro_precision, result.macro_f1, result.roc_auc]
        seen += [covered(estimate, p) for estimate in estimates]
    coverage = seen / repeats
    assert (coverage >= 0.92).all(), coverage
    assert (coverage[:3] <= 0.98).all(), coverage


def test_intervals_of_average_precision_and_brier_cover_the_truth() -> None:
    """Calibrated probabilities of two classes, uniform: the Brier score is 1 / 6, the average precision 5 / 6.

    A positive has the density 2 q at q; above q, a fraction (1 + q) / 2 is positive: the mean over positives is 5 / 6.
    """
    rng = np.random.default_rng(11)
    seen = np.zeros(3)
    repeats = 400
    for _ in range(repeats):
        sad = rng.random(150)
        truth = (rng.random(150) < sad).astype(np.int64)
        found = classification_metrics(truth, np.stack([1 - sad, sad], axis=1), ["happy", "sad"])
        assert found.per_class["sad"].support
        seen += [
            covered(found.brier, 1 / 6),
            covered(found.per_class["sad"].average_precision, 5 / 6),
            covered(found.average_precision, 5 / 6),
        ]
    assert (seen / repeats > 0.92).all(), seen / repeats


# --- words and errors --------------------------------------------------------------------------------------


def test_an_estimate_prints_itself() -> None:
    assert str(Estimate(0.92749, 0.913, 0.9386)) == "0.927 [0.913, 0.939]"
    assert str(Estimate(math.nan, math.nan, math.nan)) == "undefined"


def test_to_dict_is_json_and_undefined_is_null() -> None:
    result = classification_metrics([0, 0], [[0.9, 0.1], [0.8, 0.2]], ["happy", "sad"])
    plain = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert plain["classes"] == ["happy", "sad"]
    assert plain["n"] == 2
    assert plain["confusion"] == [[2, 0], [0, 0]]
    assert plain["accuracy"]["value"] == 1
    assert plain["roc_auc"] == {"value": None, "low": None, "high": None}
    assert plain["per_class"]["sad"]["recall"] == {"value": None, "low": None, "high": None}
    assert plain["per_class"]["happy"]["support"] == 2


def test_the_confusion_matrix_cannot_be_changed() -> None:
    result = classification_metrics([0, 1], [[0.9, 0.1], [0.2, 0.8]], ["happy", "sad"])
    with pytest.raises(ValueError, match="read-only"):
        result.confusion[0, 0] = 5


GOOD: dict[str, Any] = {"truth": [0, 1], "probabilities": [[0.9, 0.1], [0.2, 0.8]], "classes": ["a", "b"]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"truth": []}, "shape is (0,)"),
        ({"truth": [], "probabilities": np.zeros((0, 2))}, "no samples"),
        ({"probabilities": []}, "shape is (0,)"),
        ({"truth": [0]}, "2 samples"),
        ({"truth": [[0, 1]]}, "shape is (1, 2)"),
        ({"truth": [0, 2]}, "from 0 to 2"),
        ({"truth": [-1, 1]}, "from -1 to 1"),
        ({"truth": np.array([2**63, 1], dtype=np.uint64)}, "9223372036854775808"),
        ({"truth": [0.0, 1.0]}, "float64"),
        ({"truth": ["a", "b"]}, "give integers"),
        ({"truth": [[0], [1, 2]]}, "truth"),
        ({"answers": [0, 5]}, "answers"),
        ({"answers": [0]}, "answers"),
        ({"probabilities": [[0.9, 0.1], [0.2, math.nan]]}, "finite"),
        ({"probabilities": [[0.9, 0.1], [math.inf, 0.8]]}, "finite"),
        ({"probabilities": [[0.9, 0.1], [0.2]]}, "probabilities"),
        ({"probabilities": [["x", "y"], ["z", "w"]]}, "probabilities"),
        ({"probabilities": [0.1, 0.9]}, "one column per class"),
        ({"classes": ["a", "b", "c"]}, "(N, 3)"),
        ({"classes": ["a", "a"]}, "different"),
        ({"classes": ["a"]}, "at least two"),
    ],
)
def test_a_wrong_input_is_named_in_one_line(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)) as error:
        classification_metrics(**(GOOD | change))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("is_positive", "scores"),
    [([], []), ([True], [0.1, 0.2]), ([True], [math.nan]), ([2], [0.5]), ([0.5], [1])],
)
def test_roc_refuses_wrong_inputs(is_positive: Any, scores: Any) -> None:
    with pytest.raises(InputError):
        roc_auc(is_positive, scores)
    with pytest.raises(InputError):
        roc_curve(is_positive, scores)


# --- groups ------------------------------------------------------------------------------------------------


def copied(n: int, times: int, seed: int = 0) -> tuple[Any, Any, Any]:
    """Truth, probabilities and group of n images, each repeated `times` times."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, n)
    probabilities = rng.dirichlet(np.ones(3), n) + 0.6 * np.eye(3)[truth]
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return truth.repeat(times), probabilities.repeat(times, axis=0), np.arange(n).repeat(times)


def test_copies_of_an_image_do_not_narrow_the_intervals() -> None:
    names = ["a", "b", "c"]
    once = classification_metrics(*copied(150, 1)[:2], names)
    truth, probabilities, groups = copied(150, 5)
    ungrouped, grouped = (
        classification_metrics(truth, probabilities, names),
        classification_metrics(truth, probabilities, names, groups=groups),
    )
    assert (once.n_groups, ungrouped.n_groups, grouped.n_groups, grouped.n) == (150, 750, 150, 750)
    estimates = all_estimates(once) | {"brier": once.brier}
    for name, estimate in (all_estimates(grouped) | {"brier": grouped.brier}).items():
        width = estimate.high - estimate.low
        assert estimate.value == pytest.approx(estimates[name].value), name
        assert width == pytest.approx(estimates[name].high - estimates[name].low, rel=0.3), name
    assert ungrouped.accuracy.high - ungrouped.accuracy.low < 0.5 * (grouped.accuracy.high - grouped.accuracy.low)


@settings(max_examples=30)
@given(cases(), st.integers(1, 12))
def test_intervals_by_group_are_never_narrower_and_stay_in_range(case: Any, size: int) -> None:
    truth, scores, answers, names = case
    groups = np.arange(len(truth)) // size
    alone = all_estimates(classification_metrics(truth, scores, names, answers))
    for name, estimate in all_estimates(classification_metrics(truth, scores, names, answers, groups)).items():
        assert estimate.value == pytest.approx(alone[name].value, nan_ok=True), name
        if not math.isnan(estimate.value):
            assert 0 <= estimate.low <= alone[name].low <= alone[name].high <= estimate.high <= 1, name


def test_all_right_is_not_certain_however_the_images_are_grouped() -> None:
    truth = np.ones(20, dtype=np.int64)
    probabilities = np.tile([0.0, 1.0], (20, 1))
    for groups in (None, np.arange(20), np.arange(20) // 2, np.zeros(20)):
        found = classification_metrics(truth, probabilities, ["happy", "sad"], groups=groups)
        assert found.accuracy.value == 1
        assert found.accuracy.low <= 0.8389
        assert found.per_class["sad"].f1.low < 0.92
    assert (found.accuracy.low, found.accuracy.high) == (0, 1)  # one group tells nothing


def test_the_same_seed_gives_the_same_intervals_and_the_order_of_groups_does_not_matter() -> None:
    truth, probabilities, groups = copied(40, 3)
    found = [
        classification_metrics(truth, probabilities, list("abc"), groups=g).to_dict()
        for g in (groups, groups, groups * 7 - 3)
    ]
    assert found[0] == found[1] == found[2]
    names = np.array([f"person {group:03}" for group in groups])
    assert classification_metrics(truth, probabilities, list("abc"), groups=names).to_dict() == found[0]


def test_every_sample_needs_a_group() -> None:
    with pytest.raises(InputError, match=r"groups: shape is \(1,\)"):
        classification_metrics(**GOOD, groups=[3])


def test_a_proportion_has_wilsons_interval_and_a_wider_one_by_group() -> None:
    hits = np.arange(60) % 6 != 0
    assert (grouped_proportion(hits).low, grouped_proportion(hits).high) == pytest.approx(wilson_interval(50, 60))
    expected = classification_metrics(
        np.ones(60, int), np.zeros((60, 2)), ["a", "b"], hits.astype(int), np.arange(60) // 3
    ).accuracy
    assert grouped_proportion(hits, np.arange(60) // 3) == expected
    assert math.isnan(grouped_proportion(np.zeros(0, bool)).value)


def test_the_names_of_groups_change_no_interval() -> None:
    rng = np.random.default_rng(0)
    truth, group = rng.integers(0, 2, 60), rng.integers(0, 25, 60)
    probabilities = np.stack([1 - (score := rng.uniform(0, 1, 60)), score], axis=1)
    numbered = classification_metrics(truth, probabilities, ("happy", "sad"), groups=group)
    named = classification_metrics(truth, probabilities, ("happy", "sad"), groups=[f"person {7 * g}" for g in group])
    assert numbered.to_dict() == named.to_dict()


def test_answers_alone_have_no_metric_that_needs_probabilities() -> None:
    truth, answers = [0, 1, 1, 0, 1], [0, 1, 0, 0, 1]
    whole = classification_metrics(truth, np.eye(2)[answers], ["a", "b"], answers)
    for unknown in (None, np.full((5, 2), np.nan)):
        found = classification_metrics(truth, unknown, ["a", "b"], answers, groups=[0, 0, 1, 1, 2])
        assert set(whole.overall) - set(found.overall) == {"roc_auc", "average_precision", "brier", "ece"}
        assert set(found.per_class["a"].metrics) == {"precision", "recall", "f1"}
        assert found.accuracy.value == whole.accuracy.value
        with pytest.raises(AttributeError, match="has no metric 'roc_auc'"):
            _ = found.roc_auc
    with pytest.raises(InputError, match="and so are answers"):
        classification_metrics(truth, None, ["a", "b"])
    with pytest.raises(InputError, match="some are nan"):
        classification_metrics(truth, [[0.5, 0.5]] * 4 + [[np.nan, 0.5]], ["a", "b"], answers)
