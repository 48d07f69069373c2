"""Paired tests and differences: published values, plain definitions, and simulations with a known truth."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats  # type: ignore[import-untyped]

from mien.errors import InputError
from mien.metrics.classification import classification_metrics
from mien.metrics.intervals import paired_difference_interval
from mien.metrics.registry import compared_metrics
from mien.metrics.samples import check_samples
from mien.metrics.significance import accuracy_difference, holm_correction, metric_differences, paired_accuracy_test


def hits(both: int, only_first: int, only_second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    counts = (both, only_first, only_second, neither)
    return np.repeat([True, True, False, False], counts), np.repeat([True, False, True, False], counts)


@given(st.integers(0, 24), st.integers(0, 24), st.integers(0, 50))
def test_few_discordant_pairs_are_tested_exactly(b: int, c: int, rest: int) -> None:
    if not 0 < b + c < 25:
        return
    found = paired_accuracy_test(*hits(rest, b, c, rest))
    assert found.method == "McNemar, exact"
    assert (found.only_first, found.only_second) == (b, c)
    tail = sum(math.comb(b + c, k) for k in range(min(b, c) + 1)) / 2 ** (b + c)
    assert found.p_value == pytest.approx(min(1.0, 2 * tail))


@given(st.integers(0, 400), st.integers(0, 400))
def test_many_are_tested_by_mid_p(b: int, c: int) -> None:
    if b + c < 25:
        return
    found = paired_accuracy_test(*hits(5, b, c, 0))
    few, n = min(b, c), b + c
    outcome = math.comb(n, few) / 2**n
    tail = sum(math.comb(n, k) for k in range(few + 1)) / 2**n
    assert found.method == "McNemar, mid-p"
    assert found.p_value == pytest.approx(min(1.0, 2 * tail - outcome))


def test_a_published_example() -> None:
    """Fagerland, Lydersen and Laake 2013: airway hyper-responsiveness before and after, 1 and 7 discordant pairs."""
    found = paired_accuracy_test(*hits(1, 1, 7, 12))
    assert found.p_value == pytest.approx(0.0703, abs=5e-5)


def test_equal_classifiers_have_a_p_value_of_one() -> None:
    assert paired_accuracy_test(*hits(10, 0, 0, 3)).p_value == 1
    assert paired_accuracy_test(*hits(10, 0, 0, 4), np.arange(14) // 2).p_value == 1


def test_a_hundred_thousand_discordant_pairs_neither_overflow_nor_vanish() -> None:
    assert 0 < paired_accuracy_test(*hits(0, 50_400, 49_600, 0)).p_value < 0.02
    assert paired_accuracy_test(*hits(0, 60_000, 40_000, 0)).p_value == pytest.approx(0, abs=1e-300)


def test_copies_of_a_discordant_image_count_once() -> None:
    first, second = hits(100, 1, 9, 10)
    once = paired_accuracy_test(first, second)
    times = [12 if one != two else 1 for one, two in zip(first, second, strict=True)]
    groups = np.repeat(np.arange(len(first)), times)
    ungrouped = paired_accuracy_test(first.repeat(times), second.repeat(times))
    grouped = paired_accuracy_test(first.repeat(times), second.repeat(times), groups)
    assert ungrouped.p_value < 1e-6
    assert grouped.method == "sign-flip permutation by group"
    assert grouped.p_value == pytest.approx(once.p_value, abs=0.01)
    assert paired_accuracy_test(first.repeat(times), second.repeat(times), groups) == grouped


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemars_test_is_a_binomial_test(b: int, c: int) -> None:
    """scipy's exact test; mid-p takes half of the outcome's probability off each tail."""
    if b + c == 0:
        return
    found = paired_accuracy_test(*hits(5, b, c, 5))
    exact = stats.binomtest(b, b + c).pvalue
    if found.method == "McNemar, mid-p":
        assert found.p_value == pytest.approx(min(1.0, exact - stats.binom.pmf(b, b + c, 0.5) * (1 if b != c else 0)))
    else:
        assert found.p_value == pytest.approx(exact)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_its_definition(p_values: list[float]) -> None:
    """The k-th smallest of m is multiplied by m - k + 1, and none is below a smaller one's."""
    m, ordered = len(p_values), sorted(p_values)
    multiplied = [min(1.0, (m - k) * p) for k, p in enumerate(ordered)]
    expected = {p: max(multiplied[: ordered.index(p) + 1 + ordered.count(p) - 1]) for p in p_values}
    assert holm_correction(p_values) == pytest.approx([expected[p] for p in p_values])


def test_holm_by_hand() -> None:
    assert holm_correction([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm_correction([0.5, 0.9]) == [1.0, 1.0]
    assert holm_correction([0.02]) == [0.02]
    assert holm_correction([]) == []


@pytest.mark.parametrize(("first", "second"), [([True], [True, False]), ([], [])])
def test_two_rows_of_one_length(first: list[bool], second: list[bool]) -> None:
    with pytest.raises(InputError, match="paired_accuracy_test"):
        paired_accuracy_test(np.array(first, bool), np.array(second, bool))


# Differences


def drawn(n: int, skill: float, truth: np.ndarray, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(3), n) + skill * np.eye(3)[truth]
    return np.asarray(probabilities / probabilities.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("size", [1, 3])
def test_a_difference_is_that_of_the_two_evaluations(size: int) -> None:
    truth, groups = np.random.default_rng(0).integers(0, 3, 300), np.arange(300) // size
    both = [drawn(300, skill, truth, seed) for skill, seed in ((0.3, 1), (0.8, 2))]
    first, second = (check_samples(truth, p, list("abc"), groups=groups) for p in both)
    found = metric_differences(first, second)
    one, two = (classification_metrics(truth, p, list("abc"), groups=groups) for p in both)
    assert list(found) == [metric.key for metric in compared_metrics()]
    for name, estimate in found.items():
        assert estimate.value == pytest.approx(getattr(two, name).value - getattr(one, name).value), name
        assert estimate.low < estimate.value < estimate.high
        assert (estimate.low > 0) == (name != "brier"), name
    turned = metric_differences(second, first)
    for name, estimate in found.items():
        assert (turned[name].low, turned[name].high) == pytest.approx((-estimate.high, -estimate.low), abs=1e-9), name


def test_accuracy_of_independent_samples_has_newcombes_interval() -> None:
    truth = np.random.default_rng(0).integers(0, 3, 200)
    first, second = (check_samples(truth, drawn(200, skill, truth, 3), list("abc")) for skill in (0.3, 0.5))
    one, two = first.truth == first.answers, second.truth == second.answers
    expected = paired_difference_interval(int((one & two).sum()), int((one & ~two).sum()), int((two & ~one).sum()), 200)
    found = metric_differences(first, second)["accuracy"]
    assert (found.low, found.high) == pytest.approx(expected)


def test_equal_answers_leave_room_for_a_difference() -> None:
    truth = np.arange(30) % 2
    same = check_samples(truth, np.eye(2)[truth], ["a", "b"])
    for name, estimate in metric_differences(same, same).items():
        assert estimate.value == 0
        assert estimate.low <= -0.1 < 0.1 <= estimate.high, name


def test_an_undefined_metric_has_no_difference() -> None:
    only_one = check_samples(np.zeros(30, int), np.tile([0.6, 0.4], (30, 1)), ["a", "b"])
    found = metric_differences(only_one, only_one)
    assert math.isnan(found["roc_auc"].value)
    assert math.isnan(found["roc_auc"].low)
    assert found["accuracy"].value == 0


def test_hits_may_be_means_over_draws() -> None:
    before = np.array([True] * 80 + [False] * 20)
    after = np.r_[np.full(80, 0.9), np.full(20, 0.1)]
    found = accuracy_difference(before, after)
    assert found.value == pytest.approx(0.74 - 0.8)
    assert (found.low, found.high) == pytest.approx(paired_difference_interval(72, 8, 2, 100))


def test_only_the_same_samples_are_compared() -> None:
    truth = np.arange(30) % 2
    same = check_samples(truth, np.eye(2)[truth], ["a", "b"])
    for odd in (
        check_samples(1 - truth, np.eye(2)[truth], ["a", "b"]),
        check_samples(truth[:20], np.eye(2)[truth[:20]], ["a", "b"]),
        check_samples(truth, np.eye(2)[truth], ["a", "b"], groups=np.arange(30) // 2),
    ):
        with pytest.raises(InputError, match="same samples"):
            metric_differences(same, odd)


def test_of_two_equally_good_classifiers_one_in_twenty_pairs_is_significant() -> None:
    rng = np.random.default_rng(3)
    called = covered = 0
    repeats = 400
    for _ in range(repeats):
        easy = rng.random(300) < 0.5  # images that both get right more often
        first, second = (rng.random(300) < np.where(easy, 0.97, 0.7) for _ in range(2))
        called += paired_accuracy_test(first, second).p_value < 0.05
        counts = int((first & second).sum()), int((first & ~second).sum()), int((second & ~first).sum())
        low, high = paired_difference_interval(*counts, 300)
        covered += low <= 0 <= high
    assert called / repeats < 0.05 + 2 * math.sqrt(0.05 * 0.95 / repeats)
    assert 0.93 - 0.022 < covered / repeats < 0.97 + 0.022
