"""Sentences of the page that depend on what was decided."""

from mien.data.fixes.queue import Item, answered
from mien.data.fixes.records import Fix
from mien.server.fix.words import left_undone, title_of, undone_in_words, why_shown


def test_an_undo_of_several_decisions_names_each() -> None:
    fixes = [Fix("1" * 64, "a.png", "keep", "sad", "sad"), Fix("2" * 64, "b.png", "leave-out", "", "sad")]
    assert undone_in_words(fixes) == "2 pictures are undecided again; they were: 1 kept as sad, 1 left out"


def test_the_end_says_what_was_left_undone() -> None:
    assert left_undone(False, 0) == []
    training, marks = left_undone(True, 3)
    assert training == "the training was stopped; the next one begins anew"
    assert marks.startswith("3 pictures that were marked in a grid have no decision yet")
    assert left_undone(False, 1)[0].startswith("1 picture that was marked in a grid has no decision yet")


def test_an_answer_that_is_hardly_more_than_a_toss_of_a_coin_is_no_answer() -> None:
    item = Item("a.png", "", "", "sad")
    assert title_of(answered(item, {"sad": 0.52, "happy": 0.48})) == "The model is not sure"
    assert title_of(answered(item, {"sad": 0.48, "happy": 0.52})) == "The model is not sure"
    assert title_of(answered(item, {"sad": 0.7, "happy": 0.3})) == "The model agrees, but is not sure"
    assert title_of(answered(item, {"sad": 0.3, "happy": 0.7})) == "The model answers otherwise"


def test_no_picture_is_for_an_estimate_that_cannot_come() -> None:
    item = Item("a.png", "", "", "sad", sampled=True)
    assert "picked at random, for the estimate" in why_shown(item, 1, 1)
    assert "random" not in why_shown(item, 1, 1, is_hopeless=True)
