"""Read the known layouts of labelled data: class folders, split folders and tables, in a folder or an archive.

Names and labels are those of the source; `mien.data.dataset` renames and selects classes.
"""

from dataclasses import replace
from pathlib import Path, PurePosixPath

from mien.data.layouts.folders import TABLE_NAME, find_root, from_folders
from mien.data.layouts.found import BadEntry, FoundData, is_image
from mien.data.layouts.listed import from_table
from mien.data.layouts.parts import SPLIT_NAMES, find_parts
from mien.data.layouts.tables import read_table
from mien.errors import DataError, ImageError
from mien.io.sources import FileSource, FolderSource, is_folder, is_junk, open_source

#: Names of the table inside a folder of a part; Roboflow writes the first.
_PART_TABLES = frozenset({"_classes.csv", TABLE_NAME, "label.csv"})


def read_layout(path: Path) -> FoundData:
    """Read a labelled folder, archive or CSV; DataError if it is none of these."""
    if path.suffix.lower() in (".csv", ".tsv") and not is_folder(path):
        source = FolderSource(path.parent, listed=False)  # the table says which of its files count
        return from_table(read_table(_table_bytes(path), str(path)), source, PurePosixPath())
    return _from_source(open_source(path), path)


def _table_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None


def _from_source(source: FileSource, path: Path) -> FoundData:
    root, notes = find_root(source)
    prefix = "" if root == PurePosixPath() else f"{root}/"
    top_files = [name for name in source.names if name.startswith(prefix) and "/" not in name[len(prefix) :]]
    tables = [name for name in top_files if name.lower().endswith(".csv")]
    preferred = [name for name in tables if PurePosixPath(name).name == TABLE_NAME]
    found = from_folders(source, prefix)
    if preferred and found.samples:
        found = _prefer_table(preferred[0], found, path, root)
    elif not found.samples:
        found = _from_tables(preferred or tables, found, path, root)
    found.notes[:0] = notes
    found.bad_entries += [BadEntry(refused.name, refused.reason) for refused in source.refused]
    if not found.samples and not found.bad_entries:
        _refuse_one_class(path, found.parts, top_files)
    return found


def _prefer_table(table: str, folders: FoundData, path: Path, root: PurePosixPath) -> FoundData:
    """Read `labels.csv` beside class folders, if it is about their files; else keep the folders and say so."""
    name = PurePosixPath(table).name
    try:
        found = _read_table(table, folders.source, path, root)
    except DataError as error:
        reason = str(error).partition(": ")[2]
        folders.notes.append(f"reads the class folders; {name} beside them is no table of labels ({reason})")
        return folders
    if len(found.samples) > len(found.bad_entries):
        found.notes.append(f"reads {name}; to read the class folders beside it, move {name} away")
        return found
    folders.notes.append(f"reads the class folders; most rows of {name} beside them name no file of the folder")
    return folders


def _from_tables(tables: list[str], folders: FoundData, path: Path, root: PurePosixPath) -> FoundData:
    """Read the one table at the root, or those of the parts (`train/_classes.csv`, `train.csv` beside `train/`)."""
    source, prefix = folders.source, "" if root == PurePosixPath() else f"{root}/"
    by_part = _tables_of_parts(source, prefix, tables)
    if by_part and len(tables) != 1:
        read = {table: _read_table(table, source, path, place) for table, (_, place) in by_part.items()}
        names = {one.vote_names for one in read.values()}
        if len(names) > 1:
            raise DataError(f"{path}: the tables of its parts have different columns of votes; give each the same")
        found = FoundData(source, vote_names=names.pop())
        for table, one in read.items():
            part = by_part[table][0]
            found.samples += [replace(sample, split=sample.split or part) for sample in one.samples]
            found.bad_entries += [BadEntry(f"{table} {bad.name}", bad.reason) for bad in one.bad_entries]
            found.notes += [note for note in one.notes if note not in found.notes]
        named = ", ".join(f"{table[len(prefix) :]} as {part}" for table, (part, _) in by_part.items())
        found.notes.append(f"reads {named}")
        return found
    if len(tables) > 1:
        raise DataError(f"{path}: has {len(tables)} CSV files and no class folders; give one of the CSV files")
    return _read_table(tables[0], source, path, root) if tables else folders


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


def _read_table(table: str, source: FileSource, path: Path, place: PurePosixPath) -> FoundData:
    try:
        data = source.read(table)
    except ImageError as error:
        raise DataError(str(error)) from None
    return from_table(read_table(data, f"{path}/{table}"), source, place)


def _refuse_one_class(path: Path, parts: set[str], top_files: list[str]) -> None:
    """Raise DataError if there are images, but no class folders around them."""
    if parts:
        fix = one_class_hint(path) or "put class folders into each, like train/happy/ and train/sad/"
        raise DataError(f"{path}: has parts ({', '.join(sorted(parts))}), but no class folders in them; {fix}")
    if any(map(is_image, map(PurePosixPath, top_files))):
        fix = one_class_hint(path) or "move them into one folder per class, like happy/ and sad/"
        raise DataError(f"{path}: has images, but not in class folders; {fix}")


def one_class_hint(path: Path) -> str | None:
    """Return what to give instead of a folder that is itself one class; None if no class folder lies beside it."""
    if not path.is_dir():
        return None
    here = path.resolve()
    try:
        beside = sorted(one for one in here.parent.iterdir() if one != here and one.is_dir() and not is_junk(one.name))
        other = next((one.name for one in beside if _has_image(one)), None)
    except OSError:  # the folder above may not be listed
        return None
    return other and f"if it is one class, as {other} beside it, give the folder above, {_above(path)}"


def _above(path: Path) -> Path:
    return path.parent if path.name not in ("", "..") else path / ".."


def _has_image(folder: Path) -> bool:
    """Whether a folder, or a part in it, has an image."""
    folders = [folder, *(one for one in folder.iterdir() if one.name.lower() in SPLIT_NAMES and one.is_dir())]
    return any(is_image(one) for place in folders for one in place.iterdir())
