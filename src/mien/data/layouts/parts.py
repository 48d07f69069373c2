"""Recognise folders that are named like parts of a dataset: train, validation, test."""

from collections import defaultdict
from collections.abc import Collection

from mien.data.layouts.words import EVALUATION, NEUTRAL, SPLIT_NAMES, bare, is_neutral, words_of

_KNOWN = SPLIT_NAMES.keys() | EVALUATION


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
        if word and (all(map(is_neutral, rest)) or len(alike[rest]) > 1)
    }  # fmt: skip
    several = len({_part(word) for word in likely.values()}) > 1
    found = {name: word for name, word in likely.items() if several or not words[name][1]}
    validated = any(SPLIT_NAMES.get(word) == "validation" for word in found.values())
    return {name: SPLIT_NAMES.get(word) or ("test" if validated else "validation") for name, word in found.items()}


def find_parts_and_classes(names: Collection[str]) -> dict[str, tuple[str, str]]:
    """Return part and class of folders that are named by both, if all are; else nothing.

    Examples:
        >>> find_parts_and_classes(["train_happy", "train_sad", "test_happy", "test_sad"])["test_happy"]
        ('test', 'happy')
        >>> find_parts_and_classes(["train", "test"])
        {}
    """
    parts = find_parts(names)
    if parts.keys() != set(names) or "train" not in parts.values():
        return {}
    found = {name: (part, "_".join(_part_word(name)[1])) for name, part in parts.items()}
    labels = {label for _, label in found.values()}
    named = len(labels) > 1 and not any(all(map(is_neutral, label.split("_"))) for label in labels)
    return found if named and len(set(found.values())) == len(found) else {}


def looks_like_part(name: str) -> bool:
    """Return whether a class name has the word of a part in it.

    Examples:
        >>> looks_like_part("test"), looks_like_part("happy")
        (True, False)
    """
    return _part_word(name)[0] is not None


def is_part(name: str) -> bool:
    """Return whether a folder is named as a part and nothing else.

    Examples:
        >>> is_part("Train"), is_part("train_set")
        (True, False)
    """
    return bare(name) in SPLIT_NAMES


def _part(word: str) -> str:
    return SPLIT_NAMES.get(word, "evaluation")


def _part_word(name: str) -> tuple[str | None, tuple[str, ...]]:
    """Split a name into the one word of a part in it, None without one, and its other words."""
    if (whole := bare(name)) in _KNOWN:
        return whole, ()
    words = words_of(name)
    for place, word in enumerate(words):
        for neutral in NEUTRAL:  # trainset, testdata, Trainingsdaten
            stem = word.removesuffix(neutral)
            if stem != word and (stem in _KNOWN or stem.removesuffix("s") in _KNOWN):
                words[place] = stem if stem in _KNOWN else stem.removesuffix("s")
    parts = [word for word in words if word in _KNOWN]
    if len(parts) != 1:
        return None, ()
    return parts[0], tuple(word for word in words if word not in _KNOWN)
