"""Read the known layouts of labelled data: class folders, split folders and tables, in a folder or an archive.

Names and labels are those of the source; `mien.data.dataset` renames and selects classes.
"""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from mien.data.fixes.records import FILE_NAME
from mien.data.layouts.folders import TABLE_NAME, find_root, from_folders
from mien.data.layouts.found import BadEntry, FoundData, FoundSample
from mien.data.layouts.listed import from_table
from mien.data.layouts.parts import is_part
from mien.data.layouts.source_tables import from_tables, read_source_table, search_tables
from mien.data.layouts.tables import LIST_SUFFIXES, TABLE_SUFFIXES, read_table
from mien.data.layouts.tree import Tree
from mien.data.layouts.words import names_nothing
from mien.errors import DataError
from mien.io.archives import MAX_LARGE_BYTES, first_packed
from mien.io.bounded import read_bytes
from mien.io.code_pages import STANDARD_CODE_PAGE
from mien.io.folders import is_junk
from mien.io.sniffing import is_image_name
from mien.io.sources import FileSource, FolderSource, is_folder, open_source


def read_layout(path: Path) -> FoundData:
    """Read a labelled folder, archive, CSV or list; DataError if it is none of these."""
    if path.suffix.lower() in TABLE_SUFFIXES | LIST_SUFFIXES and not is_folder(path):
        source = FolderSource(path.parent, listed=False)  # the table says which of its files count
        return from_table(read_table(_table_bytes(path), str(path)), source, PurePosixPath())
    return _from_source(_open(path), path)


def read_unsorted(path: Path) -> FoundData:
    """Return all images of a folder or an archive, without labels; DataError if it has none."""
    source = _open(path)
    found = FoundData(source, [FoundSample(name, None) for name in source.names if is_image_name(name)])
    if not found.samples:
        raise DataError(f"{path}: no images found in it")
    return found


def _open(path: Path) -> FileSource:
    """Open a source; files of decisions about its images are not among its files."""
    source = open_source(path)
    source.names = [name for name in source.names if not name.endswith(FILE_NAME)]
    return source


def _table_bytes(path: Path) -> bytes:
    try:
        return read_bytes(path, MAX_LARGE_BYTES)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None


def _from_source(source: FileSource, path: Path) -> FoundData:
    tree = Tree(source)
    root, notes = find_root(tree)
    prefix = "" if root == PurePosixPath() else f"{root}/"
    top_files = [name for name in source.names if name.startswith(prefix) and "/" not in name[len(prefix) :]]
    tables = [name for name in top_files if PurePosixPath(name).suffix.lower() in TABLE_SUFFIXES]
    preferred = [name for name in tables if PurePosixPath(name).name.lower() == TABLE_NAME]
    found = from_folders(tree, prefix)
    problem = None
    if _doubtful(found):
        searched = None if found.samples else from_tables(preferred or tables, found, path, root)
        if searched is None or not (searched.samples or searched.bad_entries):
            searched, problem = search_tables(source, path, found.samples)
            notes = notes if searched is None else []
        found = searched or found
    elif preferred:
        found = _prefer_table(preferred[0], found, path, root)
    if len(found.classes) < 2 and not found.bad_entries and not source.refused:
        _refuse_unlabelled(path, found, problem)
    if source.code_page != STANDARD_CODE_PAGE:
        notes.append(
            f"reads the names in the archive as {source.code_page}; if they look wrong, give the unpacked folder"
        )
    if packed := first_packed(source.names):
        notes.append(f"does not read {packed} in it; to use its images, unpack it")
    found.notes[:0] = notes
    found.bad_entries += [BadEntry(refused.name, refused.reason) for refused in source.refused]
    return found


def _doubtful(found: FoundData) -> bool:
    """Whether class folders may be none: fewer than two, or all named by numbers or words like `images`."""
    return len(found.classes) < 2 or all(name.isdecimal() or names_nothing(name) for name in found.classes)


def _prefer_table(table: str, folders: FoundData, path: Path, root: PurePosixPath) -> FoundData:
    """Read `labels.csv` beside class folders, if it is about their files; else keep the folders and say so."""
    name = PurePosixPath(table).name
    try:
        found = read_source_table(table, folders.source, path, root)
    except DataError as error:
        reason = str(error).partition(": ")[2]
        folders.notes.append(f"reads the class folders; {name} beside them is no table of labels ({reason})")
        return folders
    if len(found.samples) > len(found.bad_entries):
        found.notes.append(f"reads {name}; to read the class folders beside it, move {name} away")
        return found
    folders.notes.append(f"reads the class folders; most rows of {name} beside them name no file of the folder")
    return folders


def _refuse_unlabelled(path: Path, found: FoundData, problem: str | None) -> None:
    """Raise DataError if nothing labelled was found, or one folder named `images`; say where the labels may be."""
    places = [PurePosixPath(name) for name in found.source.names]
    if found.classes and not names_nothing(next(iter(found.classes))):
        return
    fix = problem or _unread_labels(places) or one_class_hint(path)
    if found.classes:
        (name,) = found.classes
        fix = fix or "move them into one folder per class, like happy/ and sad/, or add labels.csv"
        raise DataError(f"{path}: has images in {name}, but not in class folders; {fix}")
    if found.parts:
        fix = fix or "put class folders into each, like train/happy/ and train/sad/"
        raise DataError(f"{path}: has parts ({', '.join(sorted(found.parts))}), but no class folders in them; {fix}")
    if any(map(is_image_name, found.source.names)):
        fix = fix or "move them into one folder per class, like happy/ and sad/"
        raise DataError(f"{path}: has images, but not in class folders; {fix}")
    if packed := first_packed(found.source.names):
        raise DataError(f"{path}: has no labelled images, but {packed}; unpack it and give the folder")
    if endings := sorted({place.suffix or "without an ending" for place in places}):
        named = ", ".join(endings[:4]) + (", …" if len(endings) > 4 else "")
        raise DataError(
            f"{path}: no labelled images found; expected class folders like happy/ and sad/, or a CSV "
            f"(its files are {named})"
        )


def _unread_labels(places: Sequence[PurePosixPath]) -> str | None:
    """Say in which files the labels are, if they are in a form that is not read."""
    names = {place.name for place in places}
    export = "export it again as folders (Roboflow: Folder Structure)"
    if any(name.endswith("_exp.npy") for name in names):  # Mollahosseini et al., 2017
        return "AffectNet's labels are in *_exp.npy; write them into labels.csv as file,label"
    if any(name.endswith(".coco.json") for name in names):
        return f"its labels are boxes of COCO; {export}"
    if any(place.suffix == ".txt" and place.parent.name == "labels" for place in places):
        return f"its labels are boxes of YOLO; {export}"
    return None


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
    folders = [folder, *(one for one in folder.iterdir() if is_part(one.name) and one.is_dir())]
    return any(is_image_name(one.name) for place in folders for one in place.iterdir())
