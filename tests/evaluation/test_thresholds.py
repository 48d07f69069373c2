"""Costs are counted rightly, the cheapest threshold is the cheapest, and chance is called not significant."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.errors import ConfigError
from mien.evaluation.scoring import Predictions
from mien.evaluation.thresholds import measure_thresholds
from mien.report.sections.thresholds import thresholds_section

CLASSES = ("happy", "sad")


def scored(scores: list[float], truth: list[int], classes: tuple[str, str] = CLASSES) -> Predictions:
    """Scores of the second class."""
    second = np.array(scores)
    shares = np.stack([1 - second, second], axis=1)
    names = tuple(f"{number}.png" for number in range(len(truth)))
    return Predictions(classes, names, np.array(truth), (second >= 0.5).astype(int), shares)


def test_errors_are_counted_by_what_was_answered() -> None:
    found = measure_thresholds(scored([0.1, 0.6, 0.4, 0.9], [0, 0, 1, 1]), {"sad": 5})
    assert found.present.wrong == {"sad": 1, "happy": 1}
    assert found.present.recall == {"sad": 0.5, "happy": 0.5}
    assert found.present.accuracy == 0.5
    assert found.present.cost == 100 * (5 + 1) / 4
    # above 0.6 no happy one is called sad, and one sad one is missed
    assert 0.6 < found.cheapest.threshold <= 0.9
    assert (found.cheapest.wrong, found.cheapest.cost) == ({"sad": 0, "happy": 1}, 25)
    assert found.positive == "sad"


def test_the_other_order_of_classes_says_the_same() -> None:
    straight = measure_thresholds(scored([0.15, 0.65, 0.45, 0.95], [0, 0, 1, 1]), {"sad": 5})
    turned = measure_thresholds(
        scored([0.85, 0.35, 0.55, 0.05], [1, 1, 0, 0], ("sad", "happy")), {"sad": 5}, positive="sad"
    )
    assert turned.to_dict() == straight.to_dict()


@given(
    pairs=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=1, max_size=30),
    cost=st.floats(0, 20),
    present=st.floats(0.01, 0.99),
)
def test_no_threshold_is_cheaper_than_the_cheapest(pairs: list[tuple[float, int]], cost: float, present: float) -> None:
    scores, truth = map(list, zip(*pairs, strict=True))
    found = measure_thresholds(scored(scores, truth), {"sad": cost}, present)
    assert 0 < found.cheapest.threshold < 1
    assert found.cheapest.cost <= min(found.curve.min(), found.present.cost) + 1e-9
    if found.cheapest.cost == found.present.cost:
        assert found.cheapest.threshold == present
    low, high = found.saved
    assert low <= high


def test_a_threshold_that_cannot_be_bettered_stays() -> None:
    found = measure_thresholds(scored([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1]), present=0.37)
    assert found.cheapest.threshold == 0.37
    assert found.saved == (0, 0)
    assert "is the cheapest on these images" in thresholds_section(found).conclusion


def test_chance_is_called_not_significant() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 60)
    noise = scored(list(np.clip(0.5 + rng.normal(0, 0.2, 60), 0, 1)), list(truth))
    found = measure_thresholds(noise)
    assert found.cheapest.cost < found.present.cost
    assert found.saved[0] <= 0
    assert "No threshold is shown to be cheaper" in thresholds_section(found).conclusion
    shifted = scored(list(np.clip(0.25 + 0.2 * truth + rng.normal(0, 0.02, 60), 0, 1)), list(truth))
    clear = measure_thresholds(shifted)
    assert 0.25 < clear.cheapest.threshold < 0.45
    assert clear.saved[0] > 10
    assert "would have saved" in thresholds_section(clear).conclusion.split("(95 % interval")[0]
    assert thresholds_section(clear).conclusion.startswith("A threshold of ")


def test_the_saving_has_its_interval_and_a_shipped_model_no_advice_to_write() -> None:
    found = measure_thresholds(scored([0.1, 0.6, 0.4, 0.9], [0, 0, 1, 1]), {"sad": 5})
    low, high = found.saved
    section = thresholds_section(found, writable=False)
    assert found.cheapest.cost < found.present.cost
    assert f"(95 % interval {low:.2f} to {high:.2f})" in section.conclusion
    advice = "--choose-threshold"
    assert advice not in str(section.parts[-1]) and advice in str(thresholds_section(found).parts[-1])


def test_copies_of_one_image_make_the_interval_wider() -> None:
    rng = np.random.default_rng(1)
    truth = np.repeat(rng.integers(0, 2, 30), 10)
    scores = np.repeat(rng.random(30), 10)
    alone = scored(list(scores), list(truth))
    grouped = Predictions(
        CLASSES, alone.names, alone.truth, alone.answers, alone.probabilities, groups=np.repeat(np.arange(30), 10)
    )
    (low, high), (group_low, group_high) = measure_thresholds(alone).saved, measure_thresholds(grouped).saved
    assert group_high - group_low > 2 * (high - low)


def test_only_one_class_occurs() -> None:
    found = measure_thresholds(scored([0.1, 0.9], [1, 1]))
    assert found.cheapest.threshold < 0.1
    assert found.to_dict()["rows"][0]["recall"] == {"sad": 1.0, "happy": None}


def test_a_cost_of_an_unknown_class() -> None:
    with pytest.raises(ConfigError, match=r"^`costs={'gloomy': .*}`: no such class; the data has happy, sad$"):
        measure_thresholds(scored([0.1, 0.9], [0, 1]), {"gloomy": 2})


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.2, 0.25, 0.5, 0.7, 1.0]), st.integers(0, 1)), min_size=1, max_size=30),
    st.floats(0.1, 10),
)
def test_every_cost_is_what_counting_gives(rows: list[tuple[float, int]], cost: float) -> None:
    scores, truth = [score for score, _ in rows], [label for _, label in rows]
    found = measure_thresholds(scored(scores, truth), {"happy": 1, "sad": cost})
    for threshold, value in zip(found.grid, found.curve, strict=True):
        wrong_sad = sum(score >= threshold and label == 0 for score, label in rows)
        wrong_happy = sum(score < threshold and label == 1 for score, label in rows)
        assert value == pytest.approx(100 * (wrong_sad * cost + wrong_happy) / len(rows))


def test_a_saving_that_chance_explains_is_no_advice() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 30)
    found = measure_thresholds(scored(list(rng.uniform(0.3, 0.7, 30)), list(truth)))
    assert found.saved[0] <= 0 < found.present.cost - found.cheapest.cost
    said = thresholds_section(found).conclusion
    assert said.startswith("No threshold is shown to be cheaper than the one in use, 0.5")
    assert "(95 % interval" in said
