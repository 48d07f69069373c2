"""Phrases for sentences and tables, and text of strangers made safe for a line, HTML and JSON.

CSV: `mien.io.cells`. Numbers are formatted by `mien.metrics.formatting`.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from html import escape
from itertools import islice
from typing import Any

#: Two names this alike (difflib's ratio, 0 to 1) may be one name and its misspelling.
_ALIKE = 0.6
#: Longer words, in characters, are no misspellings; comparing them takes time that grows with the square of it.
_LONGEST_WORD = 100
#: What no file of ours holds unescaped: controls other than tab and newline, marks that turn the direction of writing,
#: other ends of lines, and bytes of file names that are not UTF-8 (Python keeps them as surrogates).
UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufff9-\ufffb\ud800-\udfff]"
)
#: Spaces and joiners of letters and emoji, which only look like one of these to `str.isprintable`.
_SHOWN = frozenset("\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u200c\u200d"
                   "\u202f\u205f\u3000")  # fmt: skip


def one_line(text: str) -> str:
    r"""Return a text on one line that a terminal shows and does not obey: whatever else is in it is escaped.

    Examples:
        >>> print(one_line("two\nlines, \x1b[2J and caf\udce9"))
        two\nlines, \x1b[2J and caf\udce9
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char in _SHOWN else char.encode("unicode_escape").decode() for char in text
    )


def shorten(text: str, most: int = 80) -> str:
    """Return a text that a sentence quotes, cut if it is longer than `most` characters.

    Examples:
        >>> shorten("happy"), shorten("happiness", most=5)
        ('happy', 'happi…')
    """
    return text if len(text) <= most else f"{text[:most]}…"


def html_text(text: str) -> str:
    r"""Return a text for HTML, also inside an attribute: on one line, without markup.

    Examples:
        >>> html_text("<b>\u202egpj.exe")
        '&lt;b&gt;\\u202egpj.exe'
    """
    return escape(one_line(text))


def dump_json(value: Any, indent: int | None = None) -> str:
    r"""Return JSON that a terminal may show: what it would obey is escaped, and every reader of JSON gives it back.

    Examples:
        >>> dump_json({"file": "\x9b2J é caf\udce9"})
        '{"file": "\\u009b2J é caf\\udce9"}'
    """
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return UNSAFE.sub(lambda one: f"\\u{ord(one[0]):04x}", text)


def join_words(words: Sequence[str]) -> str:
    """Join words as a sentence lists them; none give an empty string.

    Examples:
        >>> join_words(["happy", "sad", "neither"])
        'happy, sad and neither'
    """
    return " and ".join(part for part in (", ".join(words[:-1]), *words[-1:]) if part)


def list_counts(counts: Mapping[str, int], most: int = 20) -> str:
    """List counts by name, as after the files of a dataset; of more than `most`, the others are counted.

    Examples:
        >>> list_counts({"happy": 3, "sad": 4}), list_counts({"a": 1, "b": 2, "c": 3}, most=1)
        ('happy 3  sad 4', 'a 1  and 2 more')
    """
    shown = [f"{name} {count}" for name, count in islice(counts.items(), most)]
    return "  ".join(shown + [f"and {len(counts) - most:,} more"] * (len(counts) > most))


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
    if len(word) > _LONGEST_WORD:
        return None
    names: dict[str, str] = {}
    for name in known:
        if len(name) <= _LONGEST_WORD:
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


def first_line(error: BaseException, limit: int = 160) -> str:
    """Return the first line of an error's text, at most so many characters; the name of its class if it has none.

    Examples:
        >>> first_line(ValueError("no such tensor\\nat node 3")), first_line(ValueError())
        ('no such tensor', 'ValueError')
    """
    return (str(error).strip() or type(error).__name__).splitlines()[0][:limit]
