from typing import Any

import pytest

from mien.training.config import TrainConfig
from mien.training.loop.schedule import Epoch, best_epoch, is_frozen, learning_rate, plateaus, why_stop


def history(*losses: float, seconds: float = 10.0) -> list[Epoch]:
    return [Epoch(i + 1, loss, 0.5, loss, 0.5, 1e-3, seconds, 100.0, 0.01) for i, loss in enumerate(losses)]


def test_cosine_falls_from_the_rate_to_nothing() -> None:
    config = TrainConfig(schedule="cosine", epochs=10, learning_rate=0.1)
    rates = [learning_rate(config, history(*[1.0] * done), within, 0.0) for done in range(10) for within in (0.0, 0.5)]
    assert rates[0] == pytest.approx(0.1)
    assert rates == sorted(rates, reverse=True)
    assert learning_rate(config, history(*[1.0] * 9), 0.999, 0.0) < 1e-5


def test_warm_up_grows_to_the_rate() -> None:
    config = TrainConfig(schedule="cosine", epochs=100, learning_rate=0.1, warmup_epochs=2.0)
    rates = [learning_rate(config, history(*[1.0] * done), within, 0.0) for done in (0, 1) for within in (0.0, 0.5)]
    assert rates == sorted(rates)
    assert rates[0] < 0.01
    assert learning_rate(config, history(1, 1), 0.0, 0.0) == pytest.approx(0.1, rel=0.01)


def test_plateau_reduces_after_patience_and_counts_again() -> None:
    config = TrainConfig(schedule="plateau", plateau_patience=2, plateau_factor=0.1, learning_rate=1.0)
    assert plateaus(config, history(3, 2, 1)) == 0
    assert plateaus(config, history(3, 2, 2, 2)) == 1
    assert plateaus(config, history(3, 2, 2, 2, 2, 2)) == 2
    assert plateaus(config, history(3, 2, 2, 2, 1, 1)) == 1
    assert learning_rate(config, history(3, 2, 2, 2), 0.3, 0.0) == pytest.approx(0.1)


def test_a_minutes_budget_ends_the_cosine_and_the_run() -> None:
    config = TrainConfig(schedule="cosine", epochs=1000, minutes=1.0, learning_rate=1.0)
    assert learning_rate(config, history(1, 1, 1), 0.0, 0.0) == pytest.approx(0.5, abs=0.01)
    assert why_stop(config, history(1, 1, 1)) is None
    assert why_stop(config, history(1, 1, 1, 1, 1, 1)) == "1 minutes used"


def test_patience_stops_only_after_so_many_worse_epochs() -> None:
    config = TrainConfig(patience=2, epochs=100)
    assert why_stop(config, history(3, 2, 2.5)) is None
    assert why_stop(config, history(3, 2, 2.5, 2.1)) == "no better validation loss for 2 epochs"
    assert why_stop(config, history(3, 2, 2.5, 1.9)) is None


def test_the_best_epoch_is_the_first_of_equals() -> None:
    assert best_epoch(history(2, 1, 1, 3)) == 1
    assert why_stop(TrainConfig(epochs=3), history(3, 2, 1)) == "3 epochs done"


TUNED: dict[str, Any] = {
    "start_from": "mien", "freeze_epochs": 3, "head_learning_rate": 0.5, "epochs": 13, "learning_rate": 0.1,
}  # fmt: skip


def test_the_schedule_begins_when_the_trunk_is_unfrozen() -> None:
    config = TrainConfig(schedule="cosine", **TUNED)
    from_scratch = TrainConfig(schedule="cosine", epochs=10, learning_rate=0.1)
    for done in range(13):
        past = history(*[1.0] * done)
        assert is_frozen(config, past) == (done < 3)
        expected = 0.5 if done < 3 else learning_rate(from_scratch, past[3:], 0.5, 0.0)
        assert learning_rate(config, past, 0.5, 0.0) == pytest.approx(expected)


def test_warm_up_and_plateaus_count_from_unfreezing() -> None:
    warm = TrainConfig(warmup_epochs=2.0, **TUNED)
    rates = [learning_rate(warm, history(*[1.0] * done), 0.0, 0.0) for done in (3, 4, 5)]
    assert rates == pytest.approx([0.1 * 1e-3 / 2, 0.05, 0.1])
    config = TrainConfig(plateau_patience=2, **TUNED)
    assert plateaus(config, history(1, 2, 2, 2, 2)) == 0
    assert plateaus(config, history(1, 2, 2, 2, 2, 2)) == 1


def test_a_minutes_budget_is_spent_in_both_phases() -> None:
    config = TrainConfig(schedule="cosine", minutes=1.0, **{**TUNED, "epochs": 1000})
    assert learning_rate(config, history(1, 1, 1), 0.0, 15.0) == pytest.approx(0.05, abs=0.001)
    assert why_stop(config, history(1, 1, 1, 1, 1)) is None
    assert why_stop(config, history(1, 1, 1, 1, 1, 1)) == "1 minutes used"
    assert why_stop(config, history(1, 1, seconds=40)) == "1 minutes used"


def test_patience_begins_at_unfreezing() -> None:
    config = TrainConfig(patience=2, **TUNED)
    assert why_stop(config, history(1, 2, 2)) is None
    assert why_stop(config, history(1, 2, 2, 2)) is None
    assert why_stop(config, history(1, 2, 2, 2, 2)) == "no better validation loss for 2 epochs"
    assert why_stop(config, history(3, 2, 2, 2, 1, 2)) is None
