"""The interval of what is left holds the truth, whatever the order of the list is worth."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.data.fixes.estimate import (
    Draws,
    Remaining,
    draw_order,
    estimate_remaining,
    hypergeometric_interval,
    interleave,
)

RATES: list[Callable[[float], float]] = [lambda place: 0.9 * 0.01**place, lambda place: 0.2, lambda place: 0.4 * place]


@pytest.mark.parametrize("rate", RATES)
def test_the_interval_holds_in_95_percent_of_sessions(rate: Callable[[float], float]) -> None:
    rng = np.random.default_rng(0)
    names = [str(number) for number in range(300)]
    held = []
    for session in range(300):
        truth = {name: bool(rng.random() < rate(place / 300)) for place, name in enumerate(names)}
        drawn = draw_order(names, session)
        order, by_chance = interleave(names, drawn, issues=60)
        seen = {name: truth[name] for name in order[:180]}
        found = estimate_remaining(Draws(names, drawn), seen, by_chance)
        left = sum(truth[name] for name in order[180:])
        assert found.wrong is not None
        held.append(found.low <= left <= found.high)
    assert sum(held) >= 285


@given(st.integers(1, 60), st.integers(2, 7), st.integers(0, 9))
def test_every_image_is_shown_once_and_some_by_chance(count: int, every: int, seed: int) -> None:
    names = [str(number) for number in range(count)]
    drawn = draw_order(names, seed)
    order, by_chance = interleave(names, drawn, every=every)
    assert sorted(order) == sorted(names)
    assert draw_order(reversed(names), seed) == drawn
    assert len(by_chance) == count // every


def test_the_end_and_the_beginning_are_said() -> None:
    names = [str(number) for number in range(40)]
    draws = Draws(names, draw_order(names))
    nothing = estimate_remaining(draws, {}, ())
    assert (nothing.wrong, nothing.high, nothing.enough) == (None, 40, False)
    assert nothing.sentence == "too few images are left to estimate how many are wrong: look at all of them"
    first = replace(nothing, doubtful=1, coming=12).sentence
    assert first.startswith("1 doubtful image to look at first; images picked at random after them then tell how")
    assert "estimated after some more images picked at random" in replace(nothing, coming=12).sentence
    assert "about 1 is still wrong (" in Remaining(40, 1.2, 0, 3, 20, 100).sentence
    assert "about 0 are still wrong (" in Remaining(40, 0.4, 0, 3, 20, 100).sentence
    everything = estimate_remaining(draws, dict.fromkeys(names, False), ())
    assert (everything.wrong, everything.high, everything.enough) == (0, 0, True)


def test_what_was_looked_at_for_other_reasons_is_no_sample() -> None:
    names = [str(number) for number in range(100)]
    drawn = draw_order(names)
    by_chance = set(drawn[:12])
    seen = dict.fromkeys(drawn[:12], False)
    before = estimate_remaining(Draws(names, drawn), seen, by_chance)
    grid = dict.fromkeys(drawn[12:20], True)  # the next draws, but chosen from a grid because they are wrong
    after = estimate_remaining(Draws(names, drawn), seen | grid, by_chance)
    assert (before.sampled, after.sampled) == (12, 12)
    assert (after.low, after.undecided) == (0, 80)


def test_images_beside_the_draws_may_be_wrong() -> None:
    names = [str(number) for number in range(60)]
    seen = dict.fromkeys(names[:59], False)
    alone = estimate_remaining(Draws(names[:50], draw_order(names[:50]), reached=0), seen, names)
    both = estimate_remaining(Draws(names[:50], draw_order(names[:50]), names[50:], reached=0), seen, names)
    assert (alone.undecided, alone.high) == (0, 0)
    assert (both.undecided, both.high, both.used) == (1, 1, 60)


@given(st.data())
def test_the_exact_interval_agrees_with_scipy(data: st.DataObject) -> None:
    stats = pytest.importorskip("scipy.stats")
    total = data.draw(st.integers(1, 80))
    drawn = data.draw(st.integers(1, total))
    found = data.draw(st.integers(0, drawn))
    low, high = hypergeometric_interval(found, drawn, total)
    assert found <= low <= high <= total - (drawn - found)
    for wrong in range(found, total - (drawn - found) + 1):
        least = min(
            stats.hypergeom.sf(found - 1, total, wrong, drawn), stats.hypergeom.cdf(found, total, wrong, drawn)
        )  # fmt: skip
        if abs(least - 0.025) > 1e-9:  # as of one of 40: which side of the bound it is on is a matter of rounding
            assert (least > 0.025) == (low <= wrong <= high)
