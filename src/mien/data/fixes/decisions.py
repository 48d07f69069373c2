"""Which decision counts for an image, when it was decided several times, by several people, or lies there twice."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mien.arguments import path_argument
from mien.data.fixes.records import COLUMNS, BadRow, Fix
from mien.data.fixes.store import fixes_path, read_fixes
from mien.errors import InputError
from mien.faces.choice import same_face


@dataclass(frozen=True)
class Fixes:
    """The decisions about the images of a dataset; `len()` counts the images, iterating gives what counts for each.

    A decision is about the content of a file: it counts for copies under other names, too, unless these were decided
    themselves. Of one person the latest row counts. Of several people all must agree; a row that `settles` their
    disagreement counts alone.

    Attributes:
        path: the file.
        rows: all decisions as they were made, in the order of the file.
        bad_rows: rows that cannot be read.
        cut_short: whether a last row was dropped that some end of a process had cut short.

    Examples:
        >>> Fixes(Path("mien-fixes.csv"), [Fix("0" * 64, "a.jpg", "keep", "sad")]).decision("0" * 64, "copy.jpg").label
        'sad'
    """

    path: Path
    rows: Sequence[Fix]
    bad_rows: Sequence[BadRow] = ()
    cut_short: bool = False
    _by_content: dict[str, dict[str, list[Fix]]] = field(init=False, repr=False, compare=False)
    _by_path: dict[str, set[str]] = field(init=False, repr=False, compare=False)
    _of_all: dict[str, tuple[dict[str, Fix], tuple[Fix, ...], bool]] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    def __post_init__(self) -> None:
        """Sort the rows by content and path."""
        found: dict[str, dict[str, list[Fix]]] = defaultdict(lambda: defaultdict(list))
        places: dict[str, set[str]] = defaultdict(set)
        for fix in dict.fromkeys(self.rows):
            found[fix.sha256][fix.path].append(fix)
            places[fix.path].add(fix.sha256)
        object.__setattr__(self, "_by_path", dict(places))
        object.__setattr__(self, "_by_content", {key: dict(paths) for key, paths in found.items()})

    def extended(self, rows: Sequence[Fix]) -> "Fixes":
        """Return the decisions with further rows; what is not about their images is not sorted again."""
        found = copy(self)
        contents, places = dict(self._by_content), dict(self._by_path)
        for fix in rows:
            paths = dict(contents.get(fix.sha256, {}))
            paths[fix.path] = [*paths.get(fix.path, []), fix]
            contents[fix.sha256] = paths
            places[fix.path] = {*places.get(fix.path, ()), fix.sha256}
        again = {fix.sha256 for fix in rows}
        of_all = {sha256: latest for sha256, latest in self._of_all.items() if sha256 not in again}
        changed = {"rows": (*self.rows, *rows), "_by_content": contents, "_by_path": places, "_of_all": of_all}
        for name, value in changed.items():
            object.__setattr__(found, name, value)
        return found

    def decision(self, sha256: str, path: str) -> Fix | None:
        """Return the decision that counts for a file; None if there is none, or people disagree."""
        found, agree = self._in_force(sha256, path)
        return found[-1] if found and agree else None

    def disagreement(self, sha256: str, path: str) -> tuple[Fix, ...]:
        """Return what people decided about a file if they do not agree, else nothing."""
        found, agree = self._in_force(sha256, path)
        return () if agree else found

    @property
    def conflicts(self) -> tuple[tuple[Fix, ...], ...]:
        """The decisions about each image about which people do not agree."""
        every = (self.disagreement(sha256, path) for sha256, path in self._keys())
        return tuple(found for found in every if found)

    @property
    def paths(self) -> frozenset[str]:
        """The names of all files about which there are rows."""
        return frozenset(self._by_path)

    def contents(self, path: str) -> frozenset[str]:
        """Return the sha256 of each content that a file had when it was decided."""
        return frozenset(self._by_path.get(path, ()))

    def paths_of(self, sha256: str) -> frozenset[str]:
        """Return the names under which a content was decided."""
        return frozenset(self._by_content.get(sha256, ()))

    def __iter__(self) -> Iterator[Fix]:
        """Iterate over the decisions that count, one per image."""
        every = (self.decision(sha256, path) for sha256, path in self._keys())
        return (found for found in every if found is not None)

    def __len__(self) -> int:
        """Count the images with a decision that counts."""
        return sum(1 for _ in self)

    def __bool__(self) -> bool:
        """Whether there is any row."""
        return bool(self.rows)

    @property
    def labels_unsorted(self) -> bool:
        """Whether images without a label were given one: then the decisions are the labels."""
        return any(not fix.was and fix.label for fix in self.rows)

    def to_rows(self) -> list[list[str]]:
        """Return what counts as JSON-serialisable rows, without times and names of people."""
        return [fix.to_cells()[:6] for fix in self]

    @classmethod
    def from_rows(cls, path: Path, rows: Any) -> "Fixes":
        """Return the decisions that `to_rows` described; ValueError if the value describes none."""
        if not isinstance(rows, list) or not all(isinstance(row, list) and len(row) == 6 for row in rows):
            raise ValueError("does not tell decisions")
        try:
            texts = [dict(zip(COLUMNS, [*map(str, row), "", "", ""], strict=True)) for row in rows]
            return cls(path, [Fix.from_cells(cells) for cells in texts])
        except InputError as error:
            raise ValueError(str(error)) from None

    def _keys(self) -> Iterable[tuple[str, str]]:
        return ((sha256, path) for sha256, paths in self._by_content.items() for path in paths)

    def _in_force(self, sha256: str, path: str) -> tuple[tuple[Fix, ...], bool]:
        """Return the latest decision of each person about a file, or about its copies, and whether they agree.

        The latest is the last.
        """
        paths = self._by_content.get(sha256)
        if paths is None:
            return (), True
        if sha256 not in self._of_all:  # once for all copies: there may be many
            of_all: dict[str, Fix] = {}
            for rows in paths.values():
                for fix in _latest_of_each(rows):
                    known = of_all.get(fix.who)
                    if known is None or fix.when > known.when:
                        of_all[fix.who] = fix
            self._of_all[sha256] = (of_all, *_standing(of_all.values()))
        of_all, found, agree = self._of_all[sha256]
        own = {fix.who: fix for fix in _latest_of_each(paths.get(path, ()))}
        if all(of_all[who] is fix for who, fix in own.items()):
            return found, agree
        return _standing((of_all | own).values())


def counts_in_words(kept: int, relabelled: int, left_out: int) -> str:
    """Say what was decided about so many images.

    Examples:
        >>> counts_in_words(137, 0, 26)
        '137 kept, 26 left out'
    """
    counts = ((kept, "kept"), (relabelled, "relabelled"), (left_out, "left out"))
    return ", ".join(f"{count} {word}" for count, word in counts if count)


def load(data: str | Path, fixes: str | Path | None = None) -> Fixes:
    """Return the decisions that people made with `mien fix` about a dataset.

    Args:
        data: the folder, zip or CSV.
        fixes: the file of decisions. Default: `mien-fixes.csv` in the folder, or `NAME.mien-fixes.csv` beside the
            zip or CSV.

    Raises:
        DataError: the file is not there, or holds no decisions.

    Examples:
        >>> import mien
        >>> len(mien.fixes.load("data"))  # doctest: +SKIP
        12
    """
    place = path_argument("data", data, "a folder, CSV or zip")
    return open_fixes(fixes_path(place) if fixes is None else path_argument("fixes", fixes, "a CSV of mien fix"))


def open_fixes(path: Path) -> Fixes:
    """Return the decisions in a file; DataError if it cannot be read."""
    found = read_fixes(path)
    return Fixes(path, found.fixes, found.bad_rows, found.cut_short)


def chosen_fixes(data: Path, fixes: "bool | str | Path | Fixes") -> Fixes | None:
    """Return the decisions to use for a dataset, None if there are none or they are not wanted.

    Args:
        data: the folder, zip or CSV.
        fixes: True: its own file, if it has one; False: none; a path: this file; or the decisions themselves.

    Raises:
        DataError: a file cannot be read, or is named and not there.
    """
    if isinstance(fixes, Fixes):
        return fixes if fixes.rows else None
    if isinstance(fixes, bool):
        path, there = fixes_path(data), False
        with suppress(PermissionError):  # reading the data says what may not be looked at
            there = fixes and path.exists()
        found = open_fixes(path) if there else None
        return found if found is not None and (found.rows or found.bad_rows or found.cut_short) else None
    return open_fixes(path_argument("fixes", fixes, "True, False or a CSV of mien fix"))


def _latest_of_each(rows: Sequence[Fix]) -> list[Fix]:
    """Return the last row of each person that was not undone, by time."""
    stacks: dict[str, list[Fix]] = defaultdict(list)
    for fix in sorted(rows, key=lambda fix: fix.when):
        if fix.decision != "undo":
            stacks[fix.who].append(fix)
        elif stacks[fix.who]:
            stacks[fix.who].pop()
    return [stack[-1] for stack in stacks.values() if stack]


def _standing(latest: Collection[Fix]) -> tuple[tuple[Fix, ...], bool]:
    """Return what counts of the latest decision of each person, in the order of time, and whether they agree."""
    found = sorted(latest, key=lambda fix: fix.when)
    found = found[max((number for number, fix in enumerate(found) if fix.settles), default=0) :]
    return tuple(found), not _disagree(found)


def _disagree(found: Sequence[Fix]) -> bool:
    if len({("" if fix.decision == "leave-out" else "used", fix.label) for fix in found}) > 1:
        return True
    boxes = [fix.face for fix in found if fix.face is not None]
    return not all(same_face(boxes[0], box) for box in boxes[1:])
