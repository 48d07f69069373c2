"""Recognise folders that are named like parts of a dataset: train, validation, test."""

import re
from collections import defaultdict
from collections.abc import Collection

#: Common names of the three parts, and the name that mien uses.
SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "trn": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "publictest": "validation",
    "test": "test",
    "testing": "test",
    "tst": "test",
    "holdout": "test",
    "privatetest": "test",
}
#: `eval` is the validation part beside `train`, and the test part beside `train` and `val`.
_EVALUATION = frozenset({"eval", "evaluation"})
#: Words that say nothing about the class, such as `set` in `training_set`.
_NEUTRAL = frozenset(
    "set sets data dataset images image imgs img pictures photos faces face files folder part split samples fer".split()
)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")


def find_parts(names: Collection[str]) -> dict[str, str]:
    """Return the part that each folder is, by its name; folders that are no part are left out.

    A name counts if it is a part's (`valid`). Beside a name of another part, it also counts if it has other words that
    are neutral (`training_set`, `FER2013Test`), or that all of them have (`cats_train`, `cats_test`).

    Examples:
        >>> find_parts(["training_set", "test_set", "docs"])
        {'training_set': 'train', 'test_set': 'test'}
        >>> find_parts(["crash test", "happy"])
        {}
    """
    words = {name: _part_word(name) for name in names}
    alike: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for word, rest in words.values():
        if word:
            alike[rest].add(_part(word))
    likely = {
        name: word for name, (word, rest) in words.items()
        if word and (all(_is_neutral(one) for one in rest) or len(alike[rest]) > 1)
    }  # fmt: skip
    several = len({_part(word) for word in likely.values()}) > 1
    found = {name: word for name, word in likely.items() if several or not words[name][1]}
    validated = any(SPLIT_NAMES.get(word) == "validation" for word in found.values())
    return {name: SPLIT_NAMES.get(word) or ("test" if validated else "validation") for name, word in found.items()}


def looks_like_part(name: str) -> bool:
    """Return whether a class name has the word of a part in it.

    Examples:
        >>> looks_like_part("test"), looks_like_part("happy")
        (True, False)
    """
    return _part_word(name)[0] is not None


def _part(word: str) -> str:
    return SPLIT_NAMES.get(word, "evaluation")


def _is_neutral(word: str) -> bool:
    return word in _NEUTRAL or word.isdecimal()


def _part_word(name: str) -> tuple[str | None, tuple[str, ...]]:
    """Split a name into the one word of a part in it, None without one, and its other words."""
    known = SPLIT_NAMES.keys() | _EVALUATION
    if name.lower() in known:
        return name.lower(), ()
    words = [word.lower() for word in _WORD.findall(name)]
    for place, word in enumerate(words):
        for neutral in _NEUTRAL:  # trainset, testdata
            if word.endswith(neutral) and word.removesuffix(neutral) in known:
                words[place] = word.removesuffix(neutral)
    parts = [word for word in words if word in known]
    if len(parts) != 1:
        return None, ()
    return parts[0], tuple(word for word in words if word not in known)
