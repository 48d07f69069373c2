"""Read class folders and folders of parts, wherever they lie in a source, and note what was guessed."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from pathlib import PurePosixPath

from mien.data.layouts.found import FoundData, FoundSample, is_image, plain
from mien.data.layouts.parts import SPLIT_NAMES, find_parts, looks_like_part
from mien.io.sources import FileSource
from mien.labels import EXPRESSIONS
from mien.text import pluralize

#: The table that decides if it lies beside class folders.
TABLE_NAME = "labels.csv"
#: A folder of classes is read alone if the images beside it are at most this many times its own.
_MAX_BYSTANDERS = 0.2


def find_root(source: FileSource) -> tuple[PurePosixPath, list[str]]:
    """Return the folder that holds the classes or parts, and notes on what lies beside it.

    Folders that only wrap another are entered (`data.zip/data/happy/…`), with a README or scripts beside it, too. So
    is a folder of classes with much fewer images beside it, such as the pictures of a documentation.
    """
    tree = _Tree(source)
    root = PurePosixPath()
    notes: list[str] = []
    while True:
        below = tree.folders_with_images(root) or tree.folders_with_tables(root)
        inner = [one for one in below if len(tree.classes(one)) > 1] or [one for one in below if tree.has_table(one)]
        if find_parts([one.name for one in below]) or tree.has_empty_folder(root):
            return root, notes
        if (root / TABLE_NAME).as_posix() in source.names or (tree.has_table(root) and not inner):
            return root, notes
        if len(below) == 1 and not tree.direct[root]:
            if not (
                tree.folders_with_images(below[0]) or tree.folders_with_tables(below[0]) or tree.has_table(below[0])
            ):
                return root, notes
            root = below[0]
            continue
        if len(inner) != 1 or inner[0].name.lower() in EXPRESSIONS:
            return root, notes
        others = tree.total[root] - tree.total[inner[0]]
        if others > _MAX_BYSTANDERS * tree.total[inner[0]]:
            return root, notes
        left = ", ".join([one.name for one in below if one != inner[0]]) or "not in a folder"
        notes.append(f"reads {inner[0]} and leaves out {pluralize(others, 'image')} beside it ({left})")
        root = inner[0]


class _Tree:
    """How many images each folder of a source holds: `direct` in itself, `total` with its folders."""

    def __init__(self, source: FileSource) -> None:
        self.direct: dict[PurePosixPath, int] = defaultdict(int)
        self.total: dict[PurePosixPath, int] = defaultdict(int)
        self._below: dict[PurePosixPath, set[PurePosixPath]] = defaultdict(set)
        self._filled = {above for name in source.names for above in PurePosixPath(name).parents}
        self._folders = [PurePosixPath(name) for name in source.folders]
        self._tables = {PurePosixPath(name).parent for name in source.names if name.lower().endswith(".csv")}
        self._above_tables = self._tables | {above for folder in self._tables for above in folder.parents}
        for name in source.names:
            path = PurePosixPath(name)
            if not is_image(path):
                continue
            self.direct[path.parent] += 1
            for above in path.parents:
                self.total[above] += 1
                if above.name:
                    self._below[above.parent].add(above)

    def folders_with_images(self, folder: PurePosixPath) -> list[PurePosixPath]:
        """Return the folders in a folder that hold images at any depth."""
        return sorted(self._below[folder])

    def folders_with_tables(self, folder: PurePosixPath) -> list[PurePosixPath]:
        """Return the folders in a folder that hold a CSV at any depth."""
        return sorted(one for one in self._above_tables if one.name and one.parent == folder)

    def classes(self, folder: PurePosixPath) -> list[PurePosixPath]:
        """Return the folders in a folder that hold images themselves, or are its parts."""
        below = self.folders_with_images(folder)
        parts = find_parts([one.name for one in below])
        return [one for one in below if self.direct[one] or one.name in parts]

    def has_empty_folder(self, folder: PurePosixPath) -> bool:
        """Whether a folder holds a folder without any file, which may be a class without images."""
        return any(one.parent == folder and one not in self._filled for one in self._folders)

    def has_table(self, folder: PurePosixPath) -> bool:
        """Whether a CSV lies in a folder."""
        return folder in self._tables


def from_folders(source: FileSource, prefix: str) -> FoundData:
    """Read class folders, parts of class folders, or class folders of parts.

    Files directly in the root belong to no class.
    """
    folders = [name[len(prefix) :] for name in source.folders if name.startswith(prefix) and name != prefix]
    split_folders = find_parts([name for name in folders if "/" not in name])
    parts = {name: part for name, part in split_folders.items() if any(one.startswith(f"{name}/") for one in folders)}
    inner = {} if parts else _parts_in_classes(source, prefix)
    depth = 2 + _wrapped(source, prefix, parts) if parts else 1
    found = FoundData(source)
    images: set[str] = set()
    filled: set[str] = set()
    left_out: Counter[str] = Counter()
    for name in source.names:
        place = name[len(prefix) :].split("/") if name.startswith(prefix) else []
        if len(place) <= depth or (parts and place[0] not in parts):
            if len(place) > 1 and place[0] in split_folders and is_image(PurePosixPath(name)):
                left_out[place[0]] += 1
            continue
        label = plain(place[depth - 1])
        filled.add(label)
        found.samples.append(FoundSample(name, label, parts[place[0]] if parts else inner.get(place[1])))
        if is_image(PurePosixPath(name)):
            images.add(label)
    # A folder without a single image name (docs/, scripts/) lies beside the class folders but is not one.
    found.samples = [sample for sample in found.samples if sample.label in images]
    if images and not parts and (find_parts(images).keys() == images or all(map(looks_like_part, images))):
        return FoundData(source, parts=images)
    _note_layout(found, parts or inner, images, left_out)
    known = {label.lower() for label in images} | (set() if inner else SPLIT_NAMES.keys())
    for sample in found.samples:
        if any(part.lower() in known for part in sample.name[len(prefix) :].split("/")[depth:-1]):
            found.nested.add(sample.name)
    paths = [name.split("/") for name in folders]
    found.empty = {plain(path[-1]) for path in paths if len(path) == depth and (not parts or path[0] in parts)}
    found.empty -= filled if len(images) > 1 else images  # with one class, it may be meant as the other
    return found


def _note_layout(
    found: FoundData, parts: Mapping[str, str], images: Collection[str], left_out: Mapping[str, int]
) -> None:  # fmt: skip
    """Note names of parts that were guessed, parts without class folders, and classes that may be parts."""
    if any(name.lower() not in SPLIT_NAMES for name in parts):
        found.notes.append("reads " + ", ".join(f"{name} as {part}" for name, part in sorted(parts.items())))
    for name, count in left_out.items():
        if count:
            found.notes.append(f"leaves out {name} ({pluralize(count, 'image')}), which has no class folders")
    doubtful = sorted(name for name in images if looks_like_part(name))
    if doubtful and not parts:
        rest = sorted(set(images) - set(doubtful))
        found.notes.append(f"class '{doubtful[0]}' is named like a part of a dataset; `classes={rest!r}` leaves it out")


def _parts_in_classes(source: FileSource, prefix: str) -> dict[str, str]:
    """Return the parts inside class folders (`happy/train`), if every class folder holds nothing else."""
    images = [PurePosixPath(name[len(prefix) :]) for name in source.names if name.startswith(prefix)]
    images = [path for path in images if is_image(path) and len(path.parts) > 1]
    inner = find_parts({path.parts[1] for path in images if len(path.parts) > 2})
    classes = {path.parts[0] for path in images}
    whole = len(classes) > 1 and all(len(path.parts) > 2 and path.parts[1] in inner for path in images)
    return inner if whole and "train" in inner.values() else {}


def _wrapped(source: FileSource, prefix: str, parts: Collection[str]) -> int:
    """Return 1 if the class folders of every part lie in one more folder (`train/images/happy`), else 0."""
    tree = _Tree(source)
    for part in parts:
        below = tree.folders_with_images(PurePosixPath(prefix + part))
        if len(below) != 1 or tree.direct[below[0]] or len(tree.classes(below[0])) < 2:
            return 0
    return 1
