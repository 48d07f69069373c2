"""Say of the names of classes what may be meant otherwise."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence

from mien.data.layouts.words import is_expression

#: Names such as S005 and fold1.
_NUMBERED = re.compile(r"[A-Za-z]+[ _-]?\d+")


def class_notes(classes: Sequence[str]) -> list[str]:
    """Note classes that may be one under two names, and classes that are only numbers."""
    alike: dict[str, list[str]] = defaultdict(list)
    for name in classes:
        alike[re.sub(r"[\s_-]+", " ", unicodedata.normalize("NFKC", name)).strip().casefold()].append(name)
    notes = []
    for names in alike.values():
        if len(names) > 1:
            to = min(names, key=lambda name: (name != name.lower(), name))
            fix = {name: to for name in names if name != to}
            notes.append(f"classes {' and '.join(names)} count as different; `rename={fix!r}` makes them one")
    if len(classes) > 1 and all(name.isdecimal() for name in classes):
        fix = {classes[0]: "NAME"}
        notes.append(f"classes are numbers ({', '.join(classes)}); `rename={fix!r}` gives one a name")
    elif len(classes) > 1 and all(map(_NUMBERED.fullmatch, classes)) and not any(map(is_expression, classes)):
        notes.append(
            f"classes {classes[0]}, {classes[1]}{', …' * (len(classes) > 2)} are numbered; if they are persons or "
            "folds, give a CSV file,label,group instead"
        )
    return notes
