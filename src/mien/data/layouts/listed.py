"""Find the files that a table of labels names."""

from collections import defaultdict
from pathlib import Path, PurePosixPath

from mien.data.layouts.found import BadEntry, FoundData, FoundSample, is_image, plain
from mien.data.layouts.parts import find_parts
from mien.data.layouts.tables import LabelTable
from mien.io.sources import FileSource
from mien.text import pluralize


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
            found.bad_entries.append(BadEntry(f"row {row.number}", f"file '{row.file}' does not exist"))
            continue
        found.samples.append(FoundSample(name or "", row.label and plain(row.label), row.split, row.group, row.votes))
    if names.guessed:
        found.notes.append(f"finds {pluralize(names.guessed, 'file')} of the table by the name alone, in other folders")
    return found


class _Names:
    """Finds the files that a table names: as it names them, in another Unicode form, or by the base name alone."""

    def __init__(self, source: FileSource, root: PurePosixPath) -> None:
        self.guessed = 0
        self._source, self._root = source, root
        self._exact = set(source.names)
        self._by_form = {plain(name): name for name in source.names}
        self._parts = find_parts({PurePosixPath(name).name for name in source.folders})
        self._by_base: dict[str, list[str]] = defaultdict(list)
        for name in filter(lambda name: is_image(PurePosixPath(name)), source.names):
            path = PurePosixPath(plain(name))
            self._by_base[path.name].append(name)
            self._by_base[path.stem].append(name)

    def find(self, named: str, split: str | None) -> str | None:
        """Return the name of a file in the source, or the path itself of one outside; None if there is none."""
        if Path(named).is_absolute():
            return named if _outside_file(named, self._source) else None
        name = _inside(self._root, named)
        if name in self._exact or _outside_file(name, self._source):
            return name
        if (found := self._by_form.get(plain(name))) is not None:
            return found
        alike = self._by_base.get(PurePosixPath(plain(name)).name, [])
        if len(alike) > 1 and split is not None:  # the same number in each part, as in FER+
            alike = [one for one in alike if split in map(self._parts.get, PurePosixPath(one).parts[:-1])]
        if len(alike) != 1:
            return None
        self.guessed += 1
        return alike[0]


def _inside(root: PurePosixPath, name: str) -> str:
    return (root / name.replace("\\", "/")).as_posix()


def _outside_file(name: str, source: FileSource) -> bool:
    """Whether a folder's table names a file outside the folder (`../images/a.jpg`); an archive's may not."""
    try:
        return source.path.is_dir() and (source.path / name).is_file()
    except (OSError, ValueError):  # not permitted, or not a possible name
        return False
