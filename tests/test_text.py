"""Phrases for sentences and tables."""

import pytest

from mien.text import did_you_mean, join_words, nearest, pluralize


def test_words_are_joined_as_a_sentence_lists_them() -> None:
    assert [join_words("abc"[:n]) for n in range(4)] == ["", "a", "a and b", "a, b and c"]


def test_counts_agree_with_their_nouns() -> None:
    assert [pluralize(n, "image") for n in (0, 1, 2, 12_345)] == ["0 images", "1 image", "2 images", "12,345 images"]


@pytest.mark.parametrize(
    ("word", "expected"),
    [("hapy", "happy"), ("HAPPY", "happy"), ("sadd", "sad"), ("surprize", "Surprise"), ("dog", None), ("", None)],
)
def test_a_misspelt_word_has_a_nearest_name_and_an_unlike_word_has_none(word: str, expected: str | None) -> None:
    assert nearest(word, iter(["happy", "sad", "Surprise"])) == expected


def test_nothing_is_suggested_if_nothing_is_near() -> None:
    assert did_you_mean("dog", ["happy", "sad"]) == ""
    assert did_you_mean("hapy", []) == ""
