"""Ordered label names, and how a person's own names are turned into them."""

from collections.abc import Iterable, Sequence

from mien.errors import ConfigError

#: The seven expressions, in the order of FER2013's folder names (Goodfellow et al., 2013).
EXPRESSIONS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")

#: The same seven in the order of the `emotion` column of `fer2013.csv`.
FER2013_CODES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")

#: What a model with an answer rule says when it answers none of its labels.
NEITHER = "neither"


def parse_classes(text: str) -> tuple[str, ...]:
    """Read `happy,sad` as an ordered tuple of at least two different names.

    Raises ConfigError for an empty or repeated name, or fewer than two.
    """
    names = tuple(name.strip() for name in text.split(","))
    if len(names) < 2 or not all(names):
        raise ConfigError(f"classes '{text}': give at least two names separated by commas, like happy,sad")
    if len(set(names)) != len(names):
        raise ConfigError(f"classes '{text}': a name stands twice; name each class once")
    return names


def parse_rename(pairs: Iterable[str]) -> dict[str, str]:
    """Read `["smile=happy", "frown=sad,cry=sad"]` as a mapping from the source's name to the wanted one.

    Raises ConfigError for a part that is not `name=name`, or a name mapped twice.
    """
    rename: dict[str, str] = {}
    for pair in (part for text in pairs for part in text.split(",")):
        old, sign, new = (piece.strip() for piece in pair.partition("="))
        if not (old and sign and new):
            raise ConfigError(f"map '{pair}': write it as OLD=NEW, like smile=happy")
        if rename.setdefault(old, new) != new:
            raise ConfigError(f"map '{pair}': '{old}' is already mapped to '{rename[old]}'")
    return rename


def check_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """Return `labels` as a tuple; ConfigError unless they are two or more different, non-empty names."""
    for name in labels:
        if "," in name:
            raise ConfigError(f"class name '{name}': a class name may not contain a comma")
    return parse_classes(",".join(labels))
