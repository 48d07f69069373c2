"""Which field of a face is compared with labels, and what it says."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mien.inference.answer_fields import choose_field, renormalise, two_way
from mien.labels import EXPRESSIONS

Floats = npt.NDArray[np.float64]

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=7)


@given(hnp.arrays(np.float64, SHAPES, elements=st.floats(0, 1)))
def test_probabilities_of_some_classes_are_renormalised(rows: Floats) -> None:
    found = renormalise(rows)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert (found > 0).all()
    assert (found.argmax(axis=1) == np.maximum(rows, 1e-12).argmax(axis=1)).all()


@pytest.mark.parametrize(
    ("labels", "answers", "classes", "field"),
    [
        (EXPRESSIONS, ("happy", "sad", "neither"), ("sad", "happy"), "two_way"),
        (EXPRESSIONS, ("happy", "sad", "neither"), ("fear", "happy"), "expressions"),
        (EXPRESSIONS, ("happy", "sad", "neither"), ("neither", "happy", "sad"), "answer"),
        (("a", "b", "c"), ("a", "b", "c"), ("a", "b"), "probabilities"),
        (("a", "b", "c"), ("a", "b", "c"), ("a", "d"), None),
    ],
)
def test_the_field_to_compare_with_labels(
    labels: tuple[str, ...], answers: tuple[str, ...], classes: tuple[str, ...], field: str | None
) -> None:
    assert choose_field(labels, answers, classes) == field


def test_happy_against_sad() -> None:
    assert two_way({"happy": 0.2, "sad": 0.8}) == pytest.approx({"happy": 0.2, "sad": 0.8})
    assert two_way({"sad": 0.1, "neutral": 0.6, "happy": 0.3}) == pytest.approx({"happy": 0.75, "sad": 0.25})
    assert two_way({"happy": 0.0, "sad": 0.0, "neutral": 1.0}) == {"happy": 0.5, "sad": 0.5}
    assert two_way({"happy": 0.5, "neutral": 0.5}) is None
    assert two_way({"cat": 0.5, "dog": 0.5}) is None


@given(st.floats(0, 1), st.floats(0, 1))
def test_happy_against_sad_is_a_probability(happy: float, sad: float) -> None:
    found = two_way({"happy": happy, "sad": sad})
    assert found is not None
    assert sum(found.values()) == pytest.approx(1)
    assert all(0 <= value <= 1 for value in found.values())
    assert happy <= sad or found["happy"] >= found["sad"]
