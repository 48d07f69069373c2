"""The interval of what is left holds the truth, whatever the order of the list is worth."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.data.fixes.estimate import Draws, Remaining, draw_order, estimate_remaining, interleave

RATES: list[Callable[[float], float]] = [lambda place: 0.9 * 0.01**place, lambda place: 0.2, lambda place: 0.4 * place]


def shown(ranked: Sequence[str], drawn: Sequence[str], issues: int = 0) -> Draws:
    """Return the order in which images are shown, some drawn by chance."""
    order, by_chance = interleave(ranked, drawn, issues)
    return Draws(order, [place for place, name in enumerate(order) if name in by_chance])


@pytest.mark.parametrize("rate", RATES)
def test_the_interval_holds_in_95_percent_of_sessions(rate: Callable[[float], float]) -> None:
    rng = np.random.default_rng(0)
    names = [str(number) for number in range(300)]
    held = []
    for session in range(300):
        truth = {name: bool(rng.random() < rate(place / 300)) for place, name in enumerate(names)}
        drawn = draw_order(names, session)
        draws = [shown(names, drawn, issues=60)]
        seen = {name: truth[name] for name in draws[0].order[:180]}
        found = estimate_remaining(draws, seen, names)
        left = sum(truth[name] for name in draws[0].order[180:])
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
    names = [str(number) for number in range(60)]
    draws = [shown(names, draw_order(names))]
    nothing = estimate_remaining(draws, {}, names)
    assert (nothing.wrong, nothing.high, nothing.enough) == (None, 60, False)
    assert nothing.sentence == "too few images are left to estimate how many are wrong: look at all of them"
    first = replace(nothing, doubtful=1, coming=12).sentence
    assert first.startswith("1 doubtful image to look at; images picked at random, which come in between")
    assert replace(nothing, coming=12).sentence.endswith(
        "10 more images that are picked at random; they come one by one"
    )
    last = estimate_remaining(draws, dict.fromkeys(draws[0].names[:9], False), names)
    assert replace(last, coming=3).sentence.endswith("1 more image that is picked at random; it comes soon")
    assert "about 1 is still wrong (" in Remaining(40, 1.2, 0, 3, 20, 100).sentence
    assert "about 0 are still wrong (95 % interval 0 to 3): enough" in Remaining(40, 0.4, 0, 3, 20, 100).sentence
    assert "(95 % interval 0 to 40: too few were picked" in Remaining(40, 5.6, 0, 40, 10, 200).sentence
    everything = estimate_remaining(draws, dict.fromkeys(names, False), names)
    assert (everything.wrong, everything.high, everything.enough) == (0, 0, True)


@given(st.data())
def test_only_a_wrong_image_that_was_drawn_raises_what_may_be_wrong(data: st.DataObject) -> None:
    """In whatever order one decides: many at once, some put off, and in another order after a training."""
    names = [str(number) for number in range(data.draw(st.integers(44, 70)))]
    wrong = {name: data.draw(st.booleans(), label=f"{name} is wrong") for name in names[:20]}
    draws = [shown(names, draw_order(names, data.draw(st.integers(0, 9))))]
    todo = data.draw(st.permutations(names)) if data.draw(st.booleans()) else list(draws[0].order)
    seen: dict[str, bool] = {}
    before = estimate_remaining(draws, seen, names)
    for name in todo:
        seen[name] = wrong.get(name, False)
        after = estimate_remaining(draws, seen, names)
        by_chance = any(name in each.names for each in draws)
        if not (seen[name] and by_chance):
            assert after.high <= max(before.high - seen[name], 0), name
            assert before.wrong is None or after.wrong is None or after.wrong <= before.wrong + 1e-9
        assert after.sampled >= before.sampled, "the number that are missing never rises"
        if len(seen) == len(names) // 2:
            rest = [other for other in reversed(names) if other not in seen]
            draws.append(shown(rest, draw_order(rest, 10)))
            after = estimate_remaining(draws, seen, names)
        before = after


def test_what_was_looked_at_for_other_reasons_is_no_sample() -> None:
    names = [str(number) for number in range(100)]
    draws = [shown(names, draw_order(names))]
    seen = dict.fromkeys(draws[0].names[:12], False)
    before = estimate_remaining(draws, seen, names)
    grid = dict.fromkeys([name for name in names if name not in draws[0].names][:8], True)
    after = estimate_remaining(draws, seen | grid, names)
    assert (before.sampled, after.sampled) == (12, 12)
    assert (after.high, after.undecided) == (before.high - 8, 80), "those that are known are no longer left"


def test_the_best_guess_is_no_more_than_the_share_of_those_that_were_drawn() -> None:
    """One wrong of ten that were drawn from 160: of the 40 that are left after grids, not all of 16 are."""
    names = [str(number) for number in range(200)]
    draws = [shown(names, draw_order(names), issues=40)]
    drawn = draws[0].names
    grids = [name for name in names if name not in drawn][:140]
    seen = dict.fromkeys([*grids, *drawn[:10]], False) | {drawn[4]: True}
    found = estimate_remaining(draws, seen, names)
    assert (found.undecided, found.sampled) == (50, 10)
    assert found.wrong == pytest.approx(1.5 / 11 * 50)
    assert found.high == 50


def test_images_that_were_put_off_end_the_sample_unless_a_wrong_one_follows() -> None:
    names = [str(number) for number in range(100)]
    draws = [shown(names, draw_order(names))]
    first, *others = draws[0].names[:13]
    seen = dict.fromkeys(others, False)
    assert estimate_remaining(draws, seen, names).sampled == 0
    found = estimate_remaining(draws, seen | {others[-1]: True}, names)
    both = estimate_remaining(draws, seen | {others[-1]: True, first: True}, names)
    assert found.sampled == both.sampled == 13
    assert found.high == both.high + 1, "it may be wrong, too"
    assert estimate_remaining(draws, seen | {others[-1]: True, first: False}, names).high < both.high


def test_a_decision_that_is_taken_back_is_left_whatever_order_it_was_shown_in() -> None:
    names = [str(number) for number in range(60)]
    draws = [shown(names, draw_order(names))]
    seen = dict.fromkeys(draws[0].order[:50], False)
    rest = [name for name in names if name not in seen]
    draws.append(shown(rest, draw_order(rest, 1)))
    seen |= dict.fromkeys(rest, False)
    del seen[draws[0].order[0]]
    found = estimate_remaining(draws, seen, names)
    assert (found.undecided, found.low, found.high, found.used) == (1, 0, 1, 60)


@given(st.data())
def test_if_all_are_drawn_the_interval_is_that_of_clopper_and_pearson(data: st.DataObject) -> None:
    stats = pytest.importorskip("scipy.stats")
    total = data.draw(st.integers(11, 80))
    drawn = data.draw(st.integers(10, total - 1))
    found = data.draw(st.integers(0, drawn))
    names = [str(number) for number in range(total)]
    seen = {name: place < found for place, name in enumerate(data.draw(st.permutations(names[:drawn])))}
    remaining = estimate_remaining([Draws(names, range(drawn))], seen, names)
    low, high = remaining.low + found, remaining.high + found
    assert found <= low <= high <= total - (drawn - found)
    for wrong in range(found, total - (drawn - found) + 1):
        least = min(
            stats.hypergeom.sf(found - 1, total, wrong, drawn), stats.hypergeom.cdf(found, total, wrong, drawn)
        )  # fmt: skip
        if abs(least - 0.025) > 1e-9:  # as of one of 40: which side of the bound it is on is a matter of rounding
            assert (least > 0.025) == (low <= wrong <= high)
