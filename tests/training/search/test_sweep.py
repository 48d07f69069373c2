"""Sweep files, and the conclusions from a sweep."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.errors import ConfigError
from mien.metrics.significance import SIGNIFICANCE_LEVEL
from mien.training.search.effects import anova, effect_of, effects, mean_over_seeds
from mien.training.search.sweep import read_sweep

RECIPES = Path(__file__).parents[3] / "recipes"
SWEEP = """
title = "Which?"
seeds = [3, 5]
[base]
network = "stack"
epochs = 2
[grid]
activation = ["relu", "gelu"]
learning_rate = [0.001, 0.01, 0.1]
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "sweep.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_grid_becomes_one_run_per_combination_and_seed(tmp_path: Path) -> None:
    sweep = read_sweep(written(tmp_path, SWEEP))
    runs = sweep.runs()
    assert len(runs) == 2 * 2 * 3
    assert len({run.folder for run in runs}) == 12
    assert {run.seed for run in runs[:6]} == {3}  # a whole seed first
    first = runs[0]
    assert (first.config.network, first.config.epochs, first.config.seed) == ("stack", 2, 3)
    assert (first.config.activation, first.config.learning_rate) == ("relu", 0.001)
    assert first.folder == "activation=relu_learning_rate=0.001_seed=3"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[base]\nepochs = 1", r"\[grid\] is missing"),
        ('[grid]\nactivation = "relu"', r"\[grid\] activation: must be a list of at least two values"),
        ('[grid]\nactivation = ["relu"]', "at least two values"),
        ('[grid]\nactivatoin = ["relu", "tanh"]', "unknown setting 'activatoin'"),
        ('sedes = 2\n[grid]\nactivation = ["relu", "tanh"]', "unknown entry 'sedes'; known are title, seeds"),
        ("[grid]\nepochs = [1, 0]", "`epochs=0`: must lie between"),
        ("[grid]\nepochs = [1, 2]\n[base]\nepochs = 1", r"epochs: is in \[base\] and in \[grid\]"),
        ("[grid]\nseed = [1, 2]", "seeds = "),
        ("seeds = 0\n[grid]\nepochs = [1, 2]", "seeds: must be a count"),
        ("seeds = [1, 1]\n[grid]\nepochs = [1, 2]", "seeds: must be a count"),
        ("title = 3\n[grid]\nepochs = [1, 2]", "title: must be text"),
        ("grid = 3", "must be tables"),
        ("[grid]\nwidth = [1, 1]", "stored under one name"),
        ("[grid", "is not valid TOML"),
    ],
)
def test_a_wrong_sweep_is_one_line_that_names_the_file(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        read_sweep(written(tmp_path, text))
    assert str(caught.value).startswith(str(tmp_path / "sweep.toml"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "count"), [("activations", 6), ("augmentation", 3)])
def test_the_shipped_sweeps_are_sound(name: str, count: int) -> None:
    found = read_sweep(RECIPES / f"{name}.toml")
    assert len(found.runs()) == count * 3
    assert {run.config.network for run in found.runs()} == {"stack"}


@given(st.lists(st.floats(0, 1), min_size=2, max_size=8))
def test_the_interval_holds_the_mean_and_is_students(values: list[float]) -> None:
    from scipy import stats  # type: ignore[import-untyped]

    found = mean_over_seeds(values)
    assert found.low <= found.mean <= found.high
    assert found.n == len(values)
    if np.std(values) > 1e-6:
        low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
        assert (found.low, found.high) == pytest.approx((low, high))


def test_one_seed_has_no_interval() -> None:
    assert str(mean_over_seeds([0.8])) == "0.8000 (n = 1)"
    assert "no conclusion from one seed" in str(effect_of("a", ["x", "y"], np.array([[0.8], [0.9]])))


def test_two_levels_give_the_p_value_of_a_paired_t_test() -> None:
    from scipy import stats

    table = np.random.default_rng(0).normal([[0.8], [0.82]], 0.01, (2, 6))
    assert effect_of("a", ["x", "y"], table).p_value == pytest.approx(stats.ttest_rel(*table).pvalue)


def test_differences_between_blocks_are_removed() -> None:
    """A seed that is hard for all must not hide a small difference that every seed shows."""
    rng = np.random.default_rng(1)
    hardness = rng.normal(0, 0.1, 5)
    table = np.array([[0.80], [0.82]]) + hardness + rng.normal(0, 0.001, (2, 5))
    assert effect_of("a", ["x", "y"], table).significant
    shuffled = np.stack([table[0], rng.permutation(table[1])])
    assert not effect_of("a", ["x", "y"], shuffled).significant


def test_noise_is_significant_once_in_twenty_times() -> None:
    rng = np.random.default_rng(2)
    wrong = sum(anova(rng.normal(0.8, 0.01, (6, 3)))[0] < SIGNIFICANCE_LEVEL for _ in range(300))
    assert 3 <= wrong <= 29  # 15 expected; the chance of less or more is below one in a thousand


def test_the_sentence_names_the_best_what_equals_it_and_what_is_worse() -> None:
    rng = np.random.default_rng(3)
    table = np.array([[0.90], [0.899], [0.80]]) + rng.normal(0, 0.002, (3, 3))
    said = str(effect_of("activation", ["gelu", "relu", "tanh"], table))
    assert said.startswith("activation has a significant effect")
    assert any(f"{one} has the highest mean, not significantly better than" in said for one in ("gelu", "relu"))
    assert "tanh is significantly worse" in said
    flat = str(effect_of("activation", ["gelu", "relu", "tanh"], rng.normal(0.8, 0.01, (3, 3)).round(3)))
    assert "has no significant effect" in flat


def test_each_factor_is_tested_across_the_others() -> None:
    rng = np.random.default_rng(4)
    grid: Mapping[str, Any] = {"activation": ("relu", "tanh"), "optimizer": ("adam", "sgd", "adamw")}
    runs = [
        ({"activation": a, "optimizer": o}, seed, 0.8 - 0.05 * (a == "tanh") + float(rng.normal(0, 0.004)))
        for a in grid["activation"] for o in grid["optimizer"] for seed in range(3)
    ]  # fmt: skip
    activation, optimizer = effects(runs, grid)
    assert (activation.blocks, optimizer.blocks) == (9, 6)
    assert activation.significant
    assert not optimizer.significant
    assert activation.means["relu"] - activation.means["tanh"] == pytest.approx(0.05, abs=0.01)
    fewer = effects(runs[1:], grid)[0]
    assert fewer.blocks == 8  # the block that lacks a run is left out
