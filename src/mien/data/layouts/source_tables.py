"""Choose and read the tables of labels in a folder or an archive: at its root, one for each part, or anywhere."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from mien.data.layouts.found import BadEntry, FoundData, FoundSample
from mien.data.layouts.listed import from_table
from mien.data.layouts.parts import find_parts
from mien.data.layouts.tables import LIST_SUFFIXES, TABLE_SUFFIXES, is_list, read_table
from mien.errors import DataError, ImageError
from mien.io.sniffing import is_image_name
from mien.io.sources import FileSource
from mien.text import pluralize

#: Names of the table inside a folder of a part; Roboflow writes the first.
_PART_TABLES = frozenset({"_classes.csv", "labels.csv", "label.csv"})
#: No more tables than this are looked at to find the one with the labels.
_MAX_SEARCHED = 50


def from_tables(tables: list[str], folders: FoundData, path: Path, root: PurePosixPath) -> FoundData:
    """Read the one table at the root, or those of the parts (`train/_classes.csv`, `train.csv` beside `train/`).

    Raises DataError if none of them can be read, or several can and are no parts.
    """
    source, prefix = folders.source, "" if root == PurePosixPath() else f"{root}/"
    by_part = _tables_of_parts(source, prefix, tables)
    if not by_part or len(tables) == 1:
        by_part = dict.fromkeys(tables, ("", root))
    if not by_part:
        return folders
    read: dict[str, FoundData] = {}
    problems: dict[str, str] = {}
    for table, (_, place) in by_part.items():
        try:
            read[table] = read_source_table(table, source, path, place)
        except DataError as error:
            problems[table] = str(error)
    if not read:
        raise DataError(next(iter(problems.values())))
    whole = [table for table in read if not by_part[table][0]]
    usable = [table for table in whole if read[table].samples]
    if len(usable) > 1:
        raise DataError(
            f"{path}: has {len(usable)} tables of labels and no class folders; give one of them, such as {usable[0]}"
        )
    if whole:  # of several of no use, the one that says most why
        kept = usable[0] if usable else max(whole, key=lambda table: len(read[table].bad_entries))
        read = {kept: read[kept]}
    found = _joined(read, by_part, prefix)
    left = [table[len(prefix) :] for table in tables if table not in read]
    left += [table[len(prefix) :] for table in problems if table not in tables]
    if left:
        found.notes.append(f"leaves out {', '.join(left)}")
    _note_unnamed(found, prefix)
    return found


def search_tables(
    source: FileSource, path: Path, samples: Sequence[FoundSample]
) -> tuple[FoundData | None, str | None]:  # fmt: skip
    """Read the table or the tables of one folder that label most images of a source, wherever they lie.

    Returns what they say, and why the first table is of no use if none is. Both are None if the tables say what the
    class folders say.

    Args:
        source: the files.
        path: the source as it was named.
        samples: what the folders say.
    """
    by_folder: dict[PurePosixPath, list[str]] = defaultdict(list)
    for name in source.names:
        suffix = PurePosixPath(name).suffix.lower()
        if suffix in TABLE_SUFFIXES or (suffix in LIST_SUFFIXES and is_list(_bytes(source, name))):
            by_folder[PurePosixPath(name).parent].append(name)
    best: FoundData | None = None
    problem = None
    for folder, tables in list(by_folder.items())[:_MAX_SEARCHED]:
        try:
            found = from_tables(tables, FoundData(source), path, folder)
        except DataError as error:
            problem = problem or str(error).removeprefix(f"{path}/")
            continue
        if len(found.samples) > max(len(found.bad_entries), len(best.samples) if best else 0):
            best = found
            named = tables[0] if len(tables) == 1 else f"tables in {folder}" if folder.name else "tables"
        elif found.bad_entries:
            problem = problem or f"{tables[0]}: {found.bad_entries[0].name}: {found.bad_entries[0].reason}"
    if best is None:
        return None, problem
    labels = {sample.name: sample.label for sample in samples}
    if sum(labels.get(sample.name) == sample.label for sample in best.samples) * 2 > len(labels) > 0:
        return None, None
    best.notes.insert(0, f"takes the labels from {named}, not from folders")
    return best, None


def _tables_of_parts(
    source: FileSource, prefix: str, tables: list[str]
) -> dict[str, tuple[str, PurePosixPath]]:  # fmt: skip
    """Return the table of each part, with the part's name and folder: inside the folder, or named like it beside it."""
    tops = [name[len(prefix) :] for name in source.folders if name.startswith(prefix) and name != prefix.rstrip("/")]
    folders = find_parts([name for name in tops if "/" not in name])
    found: dict[str, tuple[str, PurePosixPath]] = {}
    for folder, part in folders.items():
        place = PurePosixPath(f"{prefix}{folder}")
        inside = [one for one in source.names if one.lower().endswith(".csv") and PurePosixPath(one).parent == place]
        known = [one for one in inside if PurePosixPath(one).name.lower() in _PART_TABLES]
        if len(known or inside) == 1:
            found[(known or inside)[0]] = (part, place)
    if found:
        return found
    beside = find_parts([PurePosixPath(table).stem for table in tables])
    by_part = {part: PurePosixPath(f"{prefix}{folder}") for folder, part in folders.items()}
    root = PurePosixPath(prefix)
    return {
        table: (beside[stem], by_part.get(beside[stem], root))
        for table in tables if (stem := PurePosixPath(table).stem) in beside
    }  # fmt: skip


def _joined(read: dict[str, FoundData], by_part: dict[str, tuple[str, PurePosixPath]], prefix: str) -> FoundData:
    """Join the tables of the parts; each may have its columns of votes in another order."""
    if len(read) == 1 and not by_part[next(iter(read))][0]:
        return next(iter(read.values()))
    source = next(iter(read.values())).source
    votes = tuple(dict.fromkeys(name for one in read.values() for name in one.vote_names))
    found = FoundData(source, vote_names=votes)
    for table, one in read.items():
        part = by_part[table][0] or None
        for sample in one.samples:
            given = dict(zip(one.vote_names, sample.votes or (), strict=False))
            shares = tuple(given.get(name, 0.0) for name in votes) if given else None
            found.samples.append(replace(sample, split=sample.split or part, votes=shares))
        found.bad_entries += [BadEntry(f"{table} {bad.name}", bad.reason) for bad in one.bad_entries]
        found.pixels.update(one.pixels)
        found.notes += [note for note in one.notes if note not in found.notes]
    named = ", ".join(f"{table[len(prefix) :]} as {by_part[table][0]}" for table in read)
    found.notes.append(f"reads {named}")
    return found


def _note_unnamed(found: FoundData, prefix: str) -> None:
    """Note how many images of the source the table does not name."""
    named = {sample.name for sample in found.samples}
    left = [
        name[len(prefix) :] for name in found.source.names
        if name.startswith(prefix) and name not in named and is_image_name(name)
    ]  # fmt: skip
    if left and named and not found.pixels:
        found.notes.append(f"leaves out {pluralize(len(left), 'image')} that the table does not name, like {left[0]}")


def read_source_table(table: str, source: FileSource, path: Path, place: PurePosixPath) -> FoundData:
    """Read one table of a source, whose relative names count from the folder `place`; DataError if it is none."""
    return from_table(read_table(_bytes(source, table), f"{path}/{table}"), source, place)


def _bytes(source: FileSource, name: str) -> bytes:
    try:
        return source.read(name)
    except ImageError as error:
        raise DataError(str(error)) from None
