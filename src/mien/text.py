"""Phrases for sentences and tables that any room may use. Numbers are formatted by `mien.metrics.formatting`."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from html import escape

#: Two names this alike (difflib's ratio, 0 to 1) may be one name and its misspelling.
_ALIKE = 0.6


def join_words(words: Sequence[str]) -> str:
    """Join words as a sentence lists them; none give an empty string.

    Examples:
        >>> join_words(["happy", "sad", "neither"])
        'happy, sad and neither'
    """
    return " and ".join(part for part in (", ".join(words[:-1]), *words[-1:]) if part)


def pluralize(count: int, noun: str) -> str:
    """Return a count with its noun, which takes a plain `s` in the plural.

    Examples:
        >>> pluralize(1, "image"), pluralize(1234, "image")
        ('1 image', '1,234 images')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known name that a word is most likely a misspelling of, or None; case does not count.

    Examples:
        >>> nearest("hapy", ["happy", "sad"]), nearest("cat", ["happy", "sad"])
        ('happy', None)
    """
    names: dict[str, str] = {}
    for name in known:
        names.setdefault(name.casefold(), name)
    found = get_close_matches(word.casefold(), names, 1, _ALIKE)
    return names[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the end of an error's sentence that suggests the nearest known name; empty if none is near.

    Examples:
        >>> "has no class 'hapy'" + did_you_mean("hapy", ["happy", "sad"])
        "has no class 'hapy'; did you mean 'happy'?"
    """
    name = nearest(word, known)
    return f"; did you mean '{name}'?" if name else ""


def capitalise(text: str) -> str:
    """Return a sentence with a capital first letter; the rest stays as it is.

    Examples:
        >>> capitalise("the new model of Ada")
        'The new model of Ada'
    """
    return text[:1].upper() + text[1:]


def html_table(columns: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "") -> str:
    """Return a table as an HTML element for notebooks; every text is escaped.

    Args:
        columns: the header cells.
        rows: the rows, each with as many cells as there are columns.
        caption: a sentence above the table; empty for none.

    Examples:
        >>> html_table(["class"], [["<sad>"]])
        '<table><tr><th>class</th></tr><tr><td style="text-align: left">&lt;sad&gt;</td></tr></table>'
    """
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join(
        "<tr>" + "".join(f'<td style="text-align: left">{escape(cell)}</td>' for cell in row) + "</tr>" for row in rows
    )
    return f"<table>{title}<tr>{head}</tr>{body}</table>"


def first_line(error: BaseException, limit: int = 160) -> str:
    """Return the first line of an error's text, at most so many characters; the name of its class if it has none.

    Examples:
        >>> first_line(ValueError("no such tensor\\nat node 3")), first_line(ValueError())
        ('no such tensor', 'ValueError')
    """
    return (str(error).strip() or type(error).__name__).splitlines()[0][:limit]
