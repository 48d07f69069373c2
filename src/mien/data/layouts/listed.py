"""Find the files that a table of labels names."""

import re
from dataclasses import replace
from itertools import islice
from pathlib import Path, PurePosixPath

from mien.data.layouts.found import BadEntry, FoundData, FoundSample, plain
from mien.data.layouts.names import NameIndex
from mien.data.layouts.parts import find_parts
from mien.data.layouts.tables import LabelTable
from mien.data.layouts.words import SPLIT_NAMES
from mien.io.sniffing import is_image_name
from mien.io.sources import FileSource
from mien.text import pluralize, shorten

_PART_NAME = re.compile(r"(train|valid|val|test)_\d", re.IGNORECASE)


def from_table(table: LabelTable, source: FileSource, root: PurePosixPath) -> FoundData:
    """Return the samples of a table, with a bad entry for each row whose file is not there.

    Args:
        table: the parsed table.
        source: where the files are.
        root: the folder in the source that relative names of the table count from.
    """
    found = FoundData(source, vote_names=tuple(map(plain, table.vote_names)))
    found.bad_entries = [BadEntry(f"row {bad.number}", bad.reason) for bad in table.bad]
    if table.guessed:
        found.notes.append(f"reads column {table.guessed}")
    names = _Names(source, root)
    for row in table.rows:
        name = row.file if row.image is not None else names.find(row.file, row.split)
        if row.image is not None:
            found.pixels[name or ""] = row.image
        elif name is None:
            found.bad_entries.append(
                BadEntry(f"row {row.number}", f"file '{shorten(row.file.strip())}' does not exist")
            )
            continue
        found.samples.append(FoundSample(name or "", row.label and plain(row.label), row.split, row.group, row.votes))
    _split_by_name(found)
    if names.guessed:
        found.notes.append(f"finds {pluralize(names.guessed, 'file')} of the table by the name alone, in other folders")
    return found


def _split_by_name(found: FoundData) -> None:
    """Take the part of each file from its name, if all are named `train_00001.jpg` or `test_0001.jpg`, as in RAF-DB."""
    parts = [_PART_NAME.match(PurePosixPath(sample.name).name) for sample in found.samples]
    names = {match[1].lower() for match in parts if match}
    if not all(parts) or len(names) < 2 or any(sample.split for sample in found.samples):
        return
    found.samples = [
        replace(sample, split=SPLIT_NAMES[match[1].lower()])
        for sample, match in zip(found.samples, parts, strict=True) if match
    ]  # fmt: skip
    found.notes.append(
        "reads the part of each file from its name, " + " or ".join(f"{name}_…" for name in sorted(names))
    )


class _Names:
    """Finds the files that a table names: as it names them, in another Unicode form, or by the end of the path."""

    def __init__(self, source: FileSource, root: PurePosixPath) -> None:
        self.guessed = 0
        self._source, self._root = source, root
        self._exact = set(source.names)
        self._index = NameIndex(source.names, filter(is_image_name, source.names))
        self._splits_by_name: dict[str, frozenset[str | None]] = {}
        self._parts = find_parts({PurePosixPath(name).name for name in source.folders})

    def find(self, named: str, split: str | None) -> str | None:
        """Return the name of a file in the source, or the path itself of one outside; None if there is none.

        Spaces around a name, and backslashes as other than folders, count only if a file is called so.
        """
        if (exact := (self._root / named).as_posix()) in self._exact:
            return exact
        named = named.strip()
        if Path(named).is_absolute():
            return named if _outside_file(named, self._source) else None
        name = _inside(self._root, named)
        if name in self._exact or _outside_file(name, self._source):
            return name
        if (found := self._index.same(name)) is not None:
            return found
        alike = self._index.alike(name)
        if len(alike) > 1 and split is not None:  # the same number in each part, as in FER+
            alike = list(islice((one for one in alike if split in self._splits(one)), 2))
        if len(alike) != 1:
            return None
        self.guessed += 1
        return alike[0]

    def _splits(self, name: str) -> frozenset[str | None]:
        """Return the parts of the data that the folders above a file name."""
        if name not in self._splits_by_name:
            self._splits_by_name[name] = frozenset(map(self._parts.get, PurePosixPath(name).parts[:-1]))
        return self._splits_by_name[name]


def _inside(root: PurePosixPath, name: str) -> str:
    return (root / name.replace("\\", "/")).as_posix()


def _outside_file(name: str, source: FileSource) -> bool:
    """Whether a folder's table names a file outside the folder (`../images/a.jpg`); an archive's may not."""
    try:
        return source.path.is_dir() and (source.path / name).is_file()
    except (OSError, ValueError):  # not permitted, or not a possible name
        return False
