"""Ranks and rank-based areas against scipy and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats  # type: ignore[import-untyped]
from sklearn import metrics as sk

from mien.metrics.ranking import average_precision, average_ranks, ranking_areas, roc_auc

SCORES = st.lists(st.one_of(st.integers(0, 4).map(float), st.floats(-1e6, 1e6)), min_size=1, max_size=60)


@given(SCORES)
def test_ranks_are_those_of_scipy(scores: list[float]) -> None:
    np.testing.assert_array_equal(average_ranks(scores), stats.rankdata(scores, method="average"))


@given(st.integers(2, 60), st.integers(0, 2**32 - 1), st.sampled_from([2, 5, 1000]))
def test_the_roc_auc_is_the_rank_sum_of_mann_and_whitney(n: int, seed: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    positive, scores = np.arange(n) % 2 == 0, rng.integers(0, levels, n) / levels
    u = stats.mannwhitneyu(scores[positive], scores[~positive]).statistic
    assert roc_auc(positive, scores) == pytest.approx(u / positive.sum() / (~positive).sum())


def test_areas_of_resamplings_are_those_of_repeated_samples() -> None:
    """A count of 3 is the sample three times: the same areas as scikit-learn's with these weights."""
    rng = np.random.default_rng(1)
    positive, scores = np.arange(40) % 3 == 0, rng.integers(0, 8, 40) / 8
    counts = rng.integers(0, 4, (5, 40))
    aucs, precisions = ranking_areas(positive, scores, counts)
    for row, auc, precision in zip(counts, aucs, precisions, strict=True):
        assert auc == pytest.approx(sk.roc_auc_score(positive, scores, sample_weight=row))
        assert precision == pytest.approx(sk.average_precision_score(positive, scores, sample_weight=row))
        repeated = np.repeat(np.arange(40), row)
        assert auc == pytest.approx(roc_auc(positive[repeated], scores[repeated]))
        assert precision == pytest.approx(average_precision(positive[repeated], scores[repeated]))
