"""The order of images: what kind has its turn when, and how an estimate goes on after another model ranks them."""

from collections.abc import Iterable

import numpy as np
import pytest

from mien.data.fixes.estimate import EVERY, EVERY_ISSUE
from mien.data.fixes.order import Ranking
from mien.data.fixes.queue import Item
from mien.data.fixes.records import Fix

COUNT = 240
#: Images drawn by chance that come together after grids.
AT_ONCE = 5


def items_of(issues: int = 0, count: int = COUNT) -> list[Item]:
    kinds = ["no-face" if place < issues else "certain" for place in range(count)]
    return [Item(f"{place}.jpg", kind, "", "happy") for place, kind in enumerate(kinds)]


def keep(names: Iterable[str], wrong: Iterable[str] = ()) -> dict[str, Fix]:
    found = {name: Fix("0" * 64, name, "keep", "happy", "happy") for name in names}
    return found | {name: Fix("0" * 64, name, "leave-out", "", "happy") for name in wrong}


def answers(ranking: Ranking, seed: int) -> dict[str, dict[str, float]]:
    """Return answers that put the images in another order."""
    doubts = np.random.default_rng(seed).uniform(0, 0.4, COUNT).tolist()
    return {name: {"happy": 1 - doubt, "sad": doubt} for name, doubt in zip(ranking.items, doubts, strict=True)}


def test_few_images_are_drawn_among_issues_and_more_after_them() -> None:
    ranking = Ranking(items_of(issues=120), (), 0)
    places = [place for place, name in enumerate(ranking.order) if name in ranking.by_chance]
    assert places[:2] == [EVERY_ISSUE - 1, 2 * EVERY_ISSUE - 1]
    assert set(np.diff(places[2:]).tolist()) == {EVERY}


def test_another_models_order_begins_behind_what_was_decided_and_is_drawn_from_at_once() -> None:
    ranking = Ranking(items_of(), (), 0)
    decisions = keep(ranking.order[:100])
    before = ranking.order[:100]
    ranking.rerank(answers(ranking, 1), decisions)
    assert ranking.order[:100] == before
    assert sorted(ranking.order) == sorted(ranking.items)
    drawn = [place for place, name in enumerate(ranking.order[100:]) if name in ranking.by_chance]
    assert drawn[:3] == [EVERY - 1, 2 * EVERY - 1, 3 * EVERY - 1]


def test_the_estimate_goes_on_after_another_model() -> None:
    ranking = Ranking(items_of(), (), 0)
    decisions = keep(ranking.order[:100])
    before = ranking.remaining(decisions)
    assert before.wrong is not None
    drawn = ranking.by_chance.difference(decisions)
    for seed in (1, 2):
        ranking.rerank(answers(ranking, seed), decisions)
        assert ranking.remaining(decisions) == before
    assert ranking.by_chance.difference(decisions) != drawn, "what will be drawn may be known from grids"
    wrong = [name for name in ranking.order[100:115] if name not in ranking.by_chance][:10]
    decisions |= keep((), wrong)  # known by now, and no longer among those that are left
    after = ranking.remaining(decisions)
    assert (after.undecided, after.high) == (before.undecided - 10, before.high - 10)
    decisions |= keep(name for name in ranking.order[100:180] if name not in decisions)
    later = ranking.remaining(decisions)
    assert later.sampled == before.sampled + sum(name in ranking.by_chance for name in ranking.order[100:180])
    assert later.high < after.high


def test_a_decision_that_is_taken_back_may_be_wrong() -> None:
    ranking = Ranking(items_of(), (), 0)
    decisions = keep(ranking.order[:100])
    ranking.rerank(answers(ranking, 1), decisions)
    decisions |= keep(ranking.order[100:])
    assert ranking.remaining(decisions).high == 0
    del decisions[ranking.order[3]]
    found = ranking.remaining(decisions)
    assert (found.undecided, found.low, found.high) == (1, 0, 1)


def test_images_are_drawn_anew_if_grids_leave_few_of_those_to_draw_from() -> None:
    ranking = Ranking(items_of(), (), 0)
    decisions = keep(ranking.order[:60])
    assert not ranking.decided(decisions), "one after the other in order leaves as many as expected"
    before, drawn = ranking.remaining(decisions), ranking.by_chance.difference(decisions)
    put_off = next(name for name in ranking.order if name in drawn)
    rest = [name for name in ranking.order if name not in decisions and name not in drawn]
    decisions |= keep(rest[:100])
    assert ranking.decided(decisions)
    assert sorted(ranking.order) == sorted(ranking.items)
    anew = ranking.by_chance.difference(decisions)
    assert len(anew) < 0.6 * len(drawn)
    assert set(ranking.order[len(decisions) :][:AT_ONCE]) <= anew, "between grids nobody would see them"
    after = ranking.remaining(decisions)
    assert (after.sampled, after.undecided) == (before.sampled, before.undecided - 100)
    # The next one may have been put off because it is wrong: those drawn anew do not count before it.
    first, *others = (name for name in ranking.order if name in anew)
    assert first == put_off
    decisions |= keep(others)
    assert ranking.remaining(decisions).sampled == before.sampled
    decisions |= keep([put_off])
    later = ranking.remaining(decisions)
    assert later.sampled == before.sampled + len(anew)
    assert later.high < after.high


def test_after_grids_one_need_not_look_at_all_that_are_left() -> None:
    ranking = Ranking(items_of(), (), 0)
    decisions: dict[str, Fix] = {}
    while len(decisions) < COUNT - 60:
        decisions |= keep([name for name in ranking.order if name not in {*decisions, *ranking.by_chance}][:30])
        ranking.decided(decisions)
    while not (found := ranking.remaining(decisions)).enough:
        decisions |= keep([next(name for name in ranking.order if name not in decisions)])
        ranking.decided(decisions)
    assert found.undecided > 15, found.sentence


def test_a_grid_that_is_taken_back_is_drawn_from_again() -> None:
    ranking = Ranking(items_of(), (), 0)
    decisions = keep(ranking.order[:60])
    ranking.decided(decisions)
    before = ranking.remaining(decisions)
    grid = keep([name for name in ranking.order if name not in {*decisions, *ranking.by_chance}][:130])
    assert ranking.decided(decisions | grid)
    assert ranking.decided(decisions)
    assert ranking.remaining(decisions) == before
    waiting = [name for name in ranking.order if name in ranking.by_chance and name not in decisions]
    assert len(waiting) > (COUNT - 60) / (EVERY + 1)


@pytest.mark.parametrize(("issues", "drawn"), [(0, AT_ONCE), (120, 0)])
def test_doubtful_images_come_before_those_that_are_drawn_after_a_grid(issues: int, drawn: int) -> None:
    ranking = Ranking(items_of(issues), (), 0)
    decisions = keep([name for name in ranking.order if name not in ranking.by_chance][:100])
    assert ranking.decided(decisions)
    coming = ranking.order[len(decisions) :][:AT_ONCE]
    assert sum(name in ranking.by_chance for name in coming) == drawn
