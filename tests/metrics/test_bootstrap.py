"""The bootstrap by group: resamplings by hand and against known cases, and the coverage of its intervals."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats  # type: ignore[import-untyped]

from mien.errors import InputError
from mien.metrics.bootstrap import (
    bootstrap_interval,
    bootstrap_wilson_interval,
    percentile_interval,
    resample_groups,
    t_quantile,
)
from mien.metrics.classification import classification_metrics
from mien.metrics.intervals import wilson_interval, wilson_mean_interval


def test_groups_are_drawn_whole_and_as_many_as_there_are() -> None:
    seen = []

    def note(indices: np.ndarray) -> float:
        seen.append(indices)
        return 0.0

    bootstrap_interval(note, 5, ["a", "b", "a", "b", "c"], n_resamples=50)
    rows_of = {"a": (0, 2), "b": (1, 3), "c": (4,)}
    for indices in seen:
        counts = np.bincount(indices, minlength=5)
        assert all(len({counts[i] for i in rows}) == 1 for rows in rows_of.values())
        assert sum(counts[rows[0]] for rows in rows_of.values()) == 3


def test_every_group_is_drawn_once_on_average() -> None:
    counts = np.concatenate(list(resample_groups(20, n_resamples=5000, seed=1)))
    assert counts.shape == (5000, 20)
    assert (counts.sum(axis=1) == 20).all()
    np.testing.assert_allclose(counts.mean(axis=0), 1, atol=0.06)
    np.testing.assert_allclose(counts.var(axis=0), 1 - 1 / 20, atol=0.08)


def test_chunks_do_not_change_the_number_of_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.metrics.bootstrap.BLOCK_SIZE", 35)
    assert [len(rows) for rows in resample_groups(10, n_resamples=10)] == [3, 3, 3, 1]


def test_the_interval_of_a_mean_is_that_of_theory() -> None:
    values = np.random.default_rng(0).normal(5, 2, 400)
    low, high = bootstrap_interval(lambda i: float(values[i].mean()), 400, n_resamples=4000)
    reach = 1.97 * values.std(ddof=1) / 20
    assert (low, high) == pytest.approx((values.mean() - reach, values.mean() + reach), abs=0.02)
    assert bootstrap_interval(lambda i: float(values[i].mean()), 400, n_resamples=500) == bootstrap_interval(
        lambda i: float(values[i].mean()), 400, n_resamples=500
    )


def test_copies_do_not_narrow_the_interval() -> None:
    values = np.random.default_rng(0).normal(5, 2, 60)
    once = bootstrap_interval(lambda i: float(values[i].mean()), 60)
    often = np.repeat(values, 4)
    assert bootstrap_interval(lambda i: float(often[i].mean()), 240, np.repeat(np.arange(60), 4)) == pytest.approx(once)


def test_undefined_statistics() -> None:
    assert all(map(math.isnan, bootstrap_interval(lambda i: math.nan, 5)))
    assert percentile_interval(np.array([1.0, math.nan, 3.0] * 50), 40) == (1, 3)
    assert percentile_interval(np.array([1.0, 2.0]), 1) == (-math.inf, math.inf)


@pytest.mark.parametrize(("n", "groups"), [(0, None), (3, [1, 2]), (2, [[1, 2]])])
def test_wrong_inputs_are_refused(n: int, groups: object) -> None:
    with pytest.raises(InputError, match="give"):
        bootstrap_interval(lambda i: 0.0, n, groups)  # type: ignore[arg-type]


@settings(max_examples=60)
@given(st.integers(1, 300), st.data())
def test_the_mean_of_zeros_and_ones_has_wilsons_interval(n: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, n))
    p = hits / n
    assert wilson_mean_interval(p, p * (1 - p), n) == pytest.approx(wilson_interval(hits, n))
    wide, narrow = wilson_mean_interval(p, p * (1 - p), n), wilson_mean_interval(p, 0.2 * p * (1 - p), n)
    assert wide[0] <= narrow[0] + 1e-12
    assert narrow[1] - 1e-12 <= wide[1]


def test_few_groups_give_wide_intervals_and_one_group_none() -> None:
    assert bootstrap_wilson_interval(0.9, np.full(100, 0.9), 1) == (0, 1)
    widths = [
        high - low
        for low, high in (bootstrap_wilson_interval(1.0, np.ones(100), groups) for groups in (2, 5, 50, 5000))
    ]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 0.6
    assert widths[-1] < 0.001


def test_t_is_that_of_the_tables() -> None:
    table = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 9: 2.262, 30: 2.042, 1000: 1.962}
    for freedom, expected in table.items():
        assert t_quantile(freedom) == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize("freedom", [3, 4, 7, 20, 99, 5000])
def test_t_is_that_of_scipy(freedom: int) -> None:
    assert t_quantile(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=2e-3)


def test_the_plain_percentile_interval_is_that_of_scipy() -> None:
    """The same resamplings give the same percentiles."""
    values = np.random.default_rng(2).normal(size=50)
    means = values[np.random.default_rng(3).integers(0, 50, (2000, 50))].mean(axis=1)
    low, high = percentile_interval(means, 50, expand=False)
    assert (low, high) == pytest.approx(tuple(np.percentile(means, (2.5, 97.5))))
    drawn = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=9999, rng=np.random.default_rng(4))
    assert (low, high) == pytest.approx(tuple(drawn.confidence_interval), abs=0.03)
    wide = percentile_interval(means, 50)
    assert wide[0] < low < high < wide[1]


def clustered(p: float, groups: int, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth, answers and group: right with probability p, seven in ten of a group are copies of its first."""
    n = groups * size
    group, as_the_first = np.arange(n) // size, rng.random(n) < 0.7
    first_class, first_right = rng.integers(0, 2, groups), rng.random(groups) < p
    truth = np.where(as_the_first, first_class[group], rng.integers(0, 2, n))
    right = np.where(as_the_first, first_right[group], rng.random(n) < p)
    return truth, truth ^ ~right, group


@pytest.mark.parametrize("p", [0.6, 0.95])
def test_intervals_by_group_cover_the_truth_and_those_of_independent_samples_do_not(p: float) -> None:
    """Fifty groups of four; `benchmarks/interval_coverage.py` has more."""
    rng = np.random.default_rng(5)
    covered = np.zeros((2, 2))
    repeats = 120
    for _ in range(repeats):
        truth, answers, group = clustered(p, 50, 4, rng)
        for row, groups in enumerate((None, group)):
            found = classification_metrics(truth, np.zeros((200, 2)), ["happy", "sad"], answers, groups)
            estimates = (found.accuracy, found.per_class["sad"].f1)
            covered[row] += [estimate.low <= p <= estimate.high for estimate in estimates]
    assert (covered[0] / repeats < 0.9).all(), covered
    assert (covered[1] / repeats > 0.92).all(), covered
