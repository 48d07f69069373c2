"""Read the known layouts of labelled data: class folders, split folders and tables, in a folder or an archive.

Names and labels are those of the source; `mien.data.dataset` renames and selects classes.
"""

from dataclasses import dataclass, field
from pathlib import Path, PurePath, PurePosixPath

from mien.data.tables import SPLIT_NAMES, LabelTable, read_table
from mien.errors import DataError, ImageError
from mien.io.image import IMAGE_SUFFIXES
from mien.io.sources import FileSource, FolderSource, is_folder, is_junk, open_source

TABLE_NAME = "labels.csv"


@dataclass(frozen=True)
class FoundSample:
    """A file as the source labels it; `label` is None if there are only `votes`, one per name in `vote_names`."""

    name: str
    label: str | None
    split: str | None = None
    group: str | None = None
    votes: tuple[float, ...] | None = None


@dataclass(frozen=True)
class BadEntry:
    """A row of a table or a member of an archive that gave no sample, and why."""

    name: str
    reason: str


@dataclass
class FoundData:
    """The contents of a source, before classes are renamed and selected.

    Attributes:
        source: where the files are read from.
        samples: every labelled file.
        vote_names: the classes of the vote columns of a table.
        bad_entries: rows and archive members that gave no sample.
        pixels: the encoded images that a table contains itself, by name.
        empty: classes without images.
        parts: folders named like parts, with images but no class folders in them.
        nested: files in a folder inside a class folder that is named like a class or a part itself.
    """

    source: FileSource
    samples: list[FoundSample] = field(default_factory=list)
    vote_names: tuple[str, ...] = ()
    bad_entries: list[BadEntry] = field(default_factory=list)
    pixels: dict[str, bytes] = field(default_factory=dict)
    empty: set[str] = field(default_factory=set)
    parts: set[str] = field(default_factory=set)
    nested: set[str] = field(default_factory=set)

    @property
    def classes(self) -> set[str]:
        """The class names that the source uses."""
        return {sample.label for sample in self.samples if sample.label} | set(self.vote_names)


def read_layout(path: Path) -> FoundData:
    """Read a labelled folder, archive or CSV; DataError if it is none of these."""
    if path.suffix.lower() in (".csv", ".tsv") and not is_folder(path):
        source = FolderSource(path.parent, listed=False)  # the table says which of its files count
        return _from_table(read_table(_table_bytes(path), str(path)), source, PurePosixPath())
    return _from_source(open_source(path), path)


def _table_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None


def _from_source(source: FileSource, path: Path) -> FoundData:
    root = _root(source)
    prefix = "" if root == PurePosixPath() else f"{root}/"
    top_files = [name for name in source.names if name.startswith(prefix) and "/" not in name[len(prefix) :]]
    tables = [name for name in top_files if name.lower().endswith(".csv")]
    preferred = [name for name in tables if PurePosixPath(name).name == TABLE_NAME]
    found = FoundData(source) if preferred else _from_folders(source, prefix)
    if not found.samples and tables:
        if len(tables) > 1 and not preferred:
            raise DataError(f"{path}: has {len(tables)} CSV files and no class folders; give one of the CSV files")
        table = (preferred or tables)[0]
        try:
            data = source.read(table)
        except ImageError as error:
            raise DataError(str(error)) from None
        found = _from_table(read_table(data, f"{path}/{table}"), source, root)
    found.bad_entries += [BadEntry(refused.name, refused.reason) for refused in source.refused]
    if not found.samples:
        _refuse_one_class(path, found.parts, top_files)
    return found


def _refuse_one_class(path: Path, parts: set[str], top_files: list[str]) -> None:
    """Raise DataError if there are images, but no class folders around them."""
    if parts:
        fix = one_class_hint(path) or "put class folders into each, like train/happy/ and train/sad/"
        raise DataError(f"{path}: has parts ({', '.join(sorted(parts))}), but no class folders in them; {fix}")
    if any(map(_is_image, map(PurePosixPath, top_files))):
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
    return any(_is_image(one) for place in folders for one in place.iterdir())


def _is_image(path: PurePath) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES


def _root(source: FileSource) -> PurePosixPath:
    """Return the folder that holds the data, below folders that only wrap one other (`data.zip/data/happy/…`)."""
    root = PurePosixPath()
    while True:
        files = [name for name in source.names if PurePosixPath(name).parent == root]
        inner = [PurePosixPath(name) for name in source.folders if PurePosixPath(name).parent == root]
        if files or len(inner) != 1:
            return root
        below = inner[0]
        if not any(PurePosixPath(name).parent == below for name in source.folders) and not any(
            PurePosixPath(name).parent == below and name.lower().endswith(".csv") for name in source.names
        ):
            return root
        if below.name.lower() in SPLIT_NAMES:
            return root
        root = below


def _from_folders(source: FileSource, prefix: str) -> FoundData:
    """Read class folders or split folders; files directly in the root belong to no class."""
    folders = [name[len(prefix) :] for name in source.folders if name.startswith(prefix) and name != prefix]
    split_folders = {name for name in folders if "/" not in name and name.lower() in SPLIT_NAMES}
    with_splits = {name for name in split_folders if any(other.startswith(f"{name}/") for other in folders)}
    depth = 2 if with_splits else 1
    found = FoundData(source)
    images: set[str] = set()
    filled: set[str] = set()
    for name in source.names:
        parts = name[len(prefix) :].split("/") if name.startswith(prefix) else []
        if len(parts) <= depth or (with_splits and parts[0] not in with_splits):
            continue
        label = parts[depth - 1]
        filled.add(label)
        found.samples.append(FoundSample(name, label, SPLIT_NAMES[parts[0].lower()] if with_splits else None))
        if _is_image(PurePosixPath(name)):
            images.add(label)
    # A folder without a single image name (docs/, scripts/) lies beside the class folders but is not one.
    found.samples = [sample for sample in found.samples if sample.label in images]
    if images and not with_splits and all(label.lower() in SPLIT_NAMES for label in images):
        return FoundData(source, parts=images)
    known = {label.lower() for label in images} | SPLIT_NAMES.keys()
    for sample in found.samples:
        if any(part.lower() in known for part in sample.name[len(prefix) :].split("/")[depth:-1]):
            found.nested.add(sample.name)
    paths = [name.split("/") for name in folders]
    found.empty = {p[-1] for p in paths if len(p) == depth and (not with_splits or p[0] in with_splits)}
    found.empty -= filled if len(images) > 1 else images  # with one class, it may be meant as the other
    return found


def _from_table(table: LabelTable, source: FileSource, root: PurePosixPath) -> FoundData:
    found = FoundData(source, vote_names=table.vote_names)
    found.bad_entries = [BadEntry(f"row {bad.number}", bad.reason) for bad in table.bad]
    known = set(source.names)
    for row in table.rows:
        name = row.file if row.image is not None or Path(row.file).is_absolute() else _inside(root, row.file)
        if row.image is not None:
            found.pixels[name] = row.image
        elif name not in known and not _outside_file(name, source):
            found.bad_entries.append(BadEntry(f"row {row.number}", f"file '{row.file}' does not exist"))
            continue
        found.samples.append(FoundSample(name, row.label, row.split, row.group, row.votes))
    return found


def _inside(root: PurePosixPath, name: str) -> str:
    return (root / name.replace("\\", "/")).as_posix()


def _outside_file(name: str, source: FileSource) -> bool:
    """Whether a folder's table names a file outside the folder (`../images/a.jpg`); an archive's may not."""
    try:
        return source.path.is_dir() and (source.path / name).is_file()
    except OSError:  # not permitted, or not a possible name
        return False
