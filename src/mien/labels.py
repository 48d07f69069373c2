"""Ordered label names, and the parsing of `--classes` and `--map`."""

import csv
from collections.abc import Iterable, Sequence

from mien.errors import ConfigError

#: The seven expressions, in the order of FER2013's folder names (Goodfellow et al., 2013).
EXPRESSIONS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")

#: The same seven in the order of the `emotion` column of `fer2013.csv`.
FER2013_CODES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")

#: The answer of a model with an answer rule if none of its labels meets the rule.
NEITHER = "neither"

#: Letters of a class name: a folder's name has no more on any system.
MAX_LETTERS = 255


def parse_classes(text: str) -> tuple[str, ...]:
    """Parse `happy,sad` into an ordered tuple of at least two different names; quote one that has a comma.

    Raises ConfigError for an empty or repeated name, or fewer than two.

    Examples:
        >>> parse_classes("happy, sad")
        ('happy', 'sad')
        >>> parse_classes('happy,"sad, crying"')
        ('happy', 'sad, crying')
    """
    return _check_names(_fields(text), text)


def parse_rename(pairs: Iterable[str]) -> dict[str, str]:
    """Parse `OLD=NEW` pairs into a mapping from a name in the data to the wanted one.

    Raises ConfigError for a pair of another form, or a name mapped twice.

    Examples:
        >>> parse_rename(["smile=happy", "frown=sad,cry=sad"])
        {'smile': 'happy', 'frown': 'sad', 'cry': 'sad'}
    """
    rename: dict[str, str] = {}
    for pair in (part for text in pairs for part in _fields(text)):
        old, sign, new = (piece.strip() for piece in pair.partition("="))
        if not (old and sign and new):
            raise ConfigError(f"`rename={pair!r}`: write it as OLD=NEW, like smile=happy")
        if rename.setdefault(old, new) != new:
            raise ConfigError(f"`rename={pair!r}`: '{old}' is already mapped to '{rename[old]}'")
    return rename


def check_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """Return `labels` as a tuple; ConfigError unless they are two or more different names of at most MAX_LETTERS.

    Examples:
        >>> check_labels(["happy", "sad"])
        ('happy', 'sad')
    """
    names = tuple(labels)
    return _check_names(names, ", ".join(names))


def _fields(text: str) -> tuple[str, ...]:
    """Split a text at its commas, but those inside double quotes; ConfigError for a line break outside of them."""
    try:
        return tuple(name.strip() for row in csv.reader([text], skipinitialspace=True) for name in row)
    except csv.Error:
        raise ConfigError(f"'{text:.80}': a name with a line break stands in double quotes") from None


def _check_names(names: tuple[str, ...], text: str) -> tuple[str, ...]:
    if longest := max((name for name in names if len(name) > MAX_LETTERS), key=len, default=""):
        raise ConfigError(f"class '{longest:.20}…': has {len(longest):,} letters; give at most {MAX_LETTERS}")
    if len(names) < 2 or not all(name.strip() for name in names):
        raise ConfigError(f"classes '{text}': give at least two names separated by commas, like happy,sad")
    if len(set(names)) != len(names):
        raise ConfigError(f"classes '{text}': a name is repeated; name each class once")
    return names
