"""Parts that are fair, repeatable, and never share a person or an image."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.data.split import PARTS, RATIOS, folds, merge_groups, split
from mien.errors import DataError

LABELS = st.sampled_from(["happy", "sad", "fear"])


@given(st.lists(st.tuples(LABELS, st.integers(0, 30)), min_size=1, max_size=200), st.integers(0, 5))
@settings(max_examples=150)
def test_groups_stay_whole_and_every_sample_has_a_part(samples: list[tuple[str, int]], seed: int) -> None:
    labels, groups = [s[0] for s in samples], [s[1] for s in samples]
    try:
        parts = split(labels, groups, seed)
    except DataError as error:
        assert "\n" not in str(error)
        assert "too few separate images" in str(error)
        return
    assert parts.shape == (len(samples),)
    assert parts.dtype == np.int64
    assert set(parts) == {0, 1, 2}
    part_of: dict[int, set[int]] = {}
    for group, part in zip(groups, parts.tolist(), strict=True):
        part_of.setdefault(group, set()).add(part)
    assert all(len(found) == 1 for found in part_of.values())
    for part in range(3):
        assert {label for label, p in zip(labels, parts, strict=True) if p == part} == set(labels)
    assert np.array_equal(parts, split(labels, groups, seed))


@given(st.integers(30, 400), st.integers(30, 400), st.integers(0, 99))
@settings(max_examples=60)
def test_shares_are_kept_per_class_when_all_are_single(happy: int, sad: int, seed: int) -> None:
    labels = ["happy"] * happy + ["sad"] * sad
    parts = split(labels, range(happy + sad), seed)
    for label, total in (("happy", happy), ("sad", sad)):
        counts = Counter(p for p, name in zip(parts.tolist(), labels, strict=True) if name == label)
        for number, ratio in enumerate(RATIOS):
            assert abs(counts[number] - ratio * total) < 2  # two parts may each be rounded up


@given(st.integers(0, 50))
@settings(max_examples=30)
def test_many_small_groups_come_close_to_70_20_10(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 6, 150)
    groups = np.repeat(np.arange(150), sizes)
    labels = rng.choice(["happy", "sad"], len(groups), p=[0.65, 0.35]).tolist()
    parts = split(labels, groups.tolist(), seed)
    happy = np.array(labels) == "happy"
    for number, ratio in enumerate(RATIOS):
        chosen = parts == number
        assert abs(chosen.mean() - ratio) < 0.03
        assert abs(happy[chosen].mean() - happy.mean()) < 0.08


@given(st.integers(2, 10), st.integers(10, 60), st.integers(0, 9))
@settings(max_examples=40)
def test_folds_are_of_equal_size(k: int, per_class: int, seed: int) -> None:
    labels = ["happy", "sad"] * per_class
    which = folds(labels, range(2 * per_class), seed, k)
    for label in ("happy", "sad"):
        counts = Counter(f for f, name in zip(which.tolist(), labels, strict=True) if name == label)
        assert max(counts.values()) - min(counts.values()) <= 1
        assert len(counts) == k


def test_the_seed_decides_and_nothing_else() -> None:
    labels, groups = ["happy", "sad"] * 50, list(range(100))
    first = split(labels, groups, 1)
    assert np.array_equal(first, split(labels, groups, 1))
    assert not np.array_equal(first, split(labels, groups, 2))
    state = np.random.get_state(legacy=False)["state"]["pos"]  # noqa: NPY002  # the global state must not be touched
    split(labels, groups, 1)
    assert np.random.get_state(legacy=False)["state"]["pos"] == state  # noqa: NPY002


@pytest.mark.parametrize("seed", range(20))
def test_a_part_of_no_share_stays_empty(seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = np.sort(rng.integers(0, 25, 120)).tolist()
    labels = rng.choice(["happy", "sad", "fear"], 120).tolist()
    assert set(split(labels, groups, seed, (0.8, 0.2, 0.0))) == {0, 1}


def test_three_images_of_a_class_are_enough_and_two_are_not() -> None:
    assert sorted(split(["happy", "sad"] * 3, range(6), 0)) == [0, 0, 1, 1, 2, 2]
    with pytest.raises(DataError, match=r"'sad' has too few separate images \(2\) to appear in 3 parts") as caught:
        split(["happy"] * 5 + ["sad"] * 2, range(7), 0)
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match=r"\(1\)"):
        split(["happy"] * 9 + ["sad"] * 9, [*range(9), *[9] * 9], 0)  # one person only is sad
    with pytest.raises(DataError, match="4 parts"):
        folds(["happy"] * 9 + ["sad"] * 3, range(12), 0, 4)


def test_named_groups_and_copies_are_joined() -> None:
    names = ["a", "b", "c", "d", "e", "f"]
    numbers = merge_groups(names, {"a": "p1", "c": "p1", "d": "p2"}, [("c", "b"), ("e", "f", "not there")])
    assert numbers == [0, 0, 0, 1, 2, 2]
    assert merge_groups([], {}, []) == []


@given(st.lists(st.lists(st.integers(0, 19), min_size=2, max_size=4), max_size=12))
@settings(max_examples=80)
def test_joining_is_transitive(copies: list[list[int]]) -> None:
    names = [str(i) for i in range(20)]
    numbers = merge_groups(names, {}, [[str(i) for i in group] for group in copies])
    reach = np.eye(20, dtype=bool)
    for group in copies:
        reach[np.ix_(group, group)] = True
    for _ in range(5):
        reach = (reach.astype(int) @ reach.astype(int)) > 0
    assert np.array_equal(np.equal.outer(numbers, numbers), reach)


def test_the_parts_have_names() -> None:
    assert PARTS == ("train", "validation", "test")
    assert sum(RATIOS) == pytest.approx(1)
