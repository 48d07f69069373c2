"""Phrases for sentences and tables."""

from mien.text import html_table, join_words, pluralize


def test_words_are_joined_as_a_sentence_lists_them() -> None:
    assert [join_words("abc"[:n]) for n in range(4)] == ["", "a", "a and b", "a, b and c"]


def test_counts_agree_with_their_nouns() -> None:
    assert [pluralize(n, "image") for n in (0, 1, 2, 12_345)] == ["0 images", "1 image", "2 images", "12,345 images"]


def test_a_table_escapes_every_text() -> None:
    html = html_table(("<a>", "b"), [("&", "<script>")], "1 < 2")
    assert html.startswith("<table><caption>1 &lt; 2</caption><tr><th>&lt;a&gt;</th>")
    assert "<script>" not in html
    assert html.count("<td ") == 2
