"""Read class folders and folders of parts, wherever they lie in a source, and note what was guessed."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from mien.data.layouts.found import FoundData, FoundSample, plain
from mien.data.layouts.parts import find_parts, find_parts_and_classes, is_part, looks_like_part
from mien.data.layouts.tree import Tree
from mien.data.layouts.words import is_bystander, is_expression
from mien.errors import DataError
from mien.io.sniffing import is_image_name
from mien.io.sources import FileSource
from mien.text import pluralize, shorten

#: The table that decides if it lies beside class folders.
TABLE_NAME = "labels.csv"
#: A folder of classes is read alone if the images beside it are at most this many times its own. Those in folders like
#: `docs` do not count.
_MAX_BYSTANDERS = 0.2
#: So many folders with the same class folders in each are taken for persons or recordings.
_MIN_GROUPS = 5
#: So many names are given of a longer list.
_NAMED = 3


def find_root(tree: Tree) -> tuple[PurePosixPath, list[str]]:
    """Return the folder that holds the classes or parts, and notes on what lies beside it.

    Folders that only wrap another are entered (`data.zip/data/happy/…`), with a README or scripts beside it, too. So
    is a folder of classes with much fewer images beside it, such as the pictures of a documentation.
    """
    root = PurePosixPath()
    notes: list[str] = []
    while True:
        below = tree.folders_with_images(root) or tree.folders_with_tables(root)
        inner = [one for one in below if tree.holds_data(one)] or [one for one in below if tree.has_table(one)]
        if find_parts([one.name for one in below]) or tree.has_empty_folder(root):
            return root, notes
        if (root / TABLE_NAME).as_posix() in tree.tables or (tree.has_table(root) and not inner):
            return root, notes
        if len(below) == 1 and not tree.direct[root]:
            if not (
                tree.folders_with_images(below[0]) or tree.folders_with_tables(below[0]) or tree.has_table(below[0])
            ):
                return root, notes
            root = below[0]
            continue
        if len(inner) != 1 or is_expression(inner[0].name):
            return root, notes
        others = tree.total[root] - tree.total[inner[0]]
        doubtful = others - sum(tree.total[one] for one in below if one != inner[0] and is_bystander(one.name))
        if doubtful > _MAX_BYSTANDERS * tree.total[inner[0]]:
            return root, notes
        left = ", ".join([one.name for one in below if one != inner[0]]) or "not in a folder"
        notes.append(f"reads {inner[0]} and leaves out {pluralize(others, 'image')} beside it ({left})")
        root = inner[0]


def from_folders(tree: Tree, prefix: str) -> FoundData:
    """Read class folders, parts of class folders, class folders of parts, or folders named by part and class.

    Files directly in the root belong to no class. Raises DataError if several folders hold the same class folders, and
    nothing says what they are.
    """
    source = tree.source
    folders = [name[len(prefix) :] for name in source.folders if name.startswith(prefix) and name != prefix]
    split_folders = find_parts([name for name in folders if "/" not in name])
    parts = {name: part for name, part in split_folders.items() if any(one.startswith(f"{name}/") for one in folders)}
    groups = [] if parts else _groups(tree, prefix)
    inner = {} if parts or groups else _parts_in_classes(source, prefix)
    depth = 2 + _wrapped(tree, prefix, parts) if parts else 2 if groups else 1
    found = FoundData(source)
    images: set[str] = set()
    filled: set[str] = set()
    left_out: dict[str, list[str]] = {}
    labels: dict[str, str] = {}
    for name in source.names:
        if not name.startswith(prefix):
            continue
        place = name[len(prefix) :].split("/")
        top = place[0] if len(place) > 1 else ""
        if len(place) <= depth or (parts and top not in parts) or (groups and top not in groups):
            if is_image_name(name):
                left_out.setdefault(top, []).append("/".join(place))
            continue
        label = labels.get(place[depth - 1]) or labels.setdefault(place[depth - 1], plain(place[depth - 1]))
        filled.add(label)
        part = parts[top] if parts else inner.get(place[1])
        found.samples.append(FoundSample(name, label, part, top if groups else None))
        if is_image_name(name):
            images.add(label)
    # A folder without a single image name (docs/, scripts/) lies beside the class folders but is not one.
    found.samples = [sample for sample in found.samples if sample.label in images]
    if images and not parts and (both := find_parts_and_classes(images)):
        found.samples = [_part_and_class(sample, both) for sample in found.samples]
        found.notes.append(
            "reads " + _some([f"{name} as {label} ({part})" for name, (part, label) in sorted(both.items())])
        )
        return found
    if images and not parts and (find_parts(images).keys() == images or all(map(looks_like_part, images))):
        return FoundData(source, parts=images)
    if groups:
        found.notes.append(
            f"reads the folders in {_some(groups)} as classes, and keeps the images of each of the {len(groups)} in "
            "one part, as of one person"
        )
    _note_layout(found, parts or inner, images)
    read = {sample.name[len(prefix) :].partition("/")[0] for sample in found.samples} if parts else set()
    found.notes += _note_left_out(left_out, split_folders, read) if images else []
    known = {label.lower() for label in images}
    for sample in found.samples:
        between = sample.name[len(prefix) :].split("/")[depth:-1]
        if any(part.lower() in known or (not inner and is_part(part)) for part in between):
            found.nested.add(sample.name)
    paths = [name.split("/") for name in folders]
    found.empty = {
        plain(path[-1]) for path in paths if len(path) == depth and (path[0] in (parts or groups) or depth == 1)
    }
    found.empty -= filled if len(images) > 1 else images  # with one class, it may be meant as the other
    return found


def _part_and_class(sample: FoundSample, both: Mapping[str, tuple[str, str]]) -> FoundSample:
    part, label = both[sample.label or ""]
    return replace(sample, label=label, split=part)


def _groups(tree: Tree, prefix: str) -> list[str]:
    """Return the folders that hold the same class folders each, as of persons (`S005/happy`); else nothing.

    Raises DataError if they are so few that they may be parts, folds or copies of each other.
    """
    root = PurePosixPath(prefix)
    outer = [one for one in tree.folders_with_images(root) if not is_bystander(one.name)]
    if len(outer) < 2 or any(tree.direct[one] or is_expression(one.name) for one in outer):
        return []
    inside = [{one.name for one in tree.folders_with_images(folder)} for folder in outer]
    classes = set().union(*inside)
    names = [one.name for one in outer]
    if len(classes) < 2 or not all(map(is_expression, classes)) or not inside[0].intersection(*inside[1:]):
        return []
    if len(outer) >= _MIN_GROUPS:
        return names
    raise DataError(
        f"{tree.source.path}: {_some(names)} hold the same class folders ({_some(sorted(classes))}); give one of them, "
        "name them train, validation and test, or write a CSV file,label,group"
    )


def _some(names: Sequence[str]) -> str:
    return ", ".join(map(shorten, names[:_NAMED])) + (", …" if len(names) > _NAMED else "")


def _note_layout(found: FoundData, parts: Mapping[str, str], images: Collection[str]) -> None:
    """Note names of parts that were guessed, and classes that may be parts or lie beside the data."""
    if any(not is_part(name) or name != name.strip() for name in parts):
        found.notes.append("reads " + ", ".join(f"{name} as {part}" for name, part in sorted(parts.items())))
    if parts:
        return
    for like, looks in (("a part of a dataset", looks_like_part), ("a folder beside data", is_bystander)):
        doubtful = sorted(filter(looks, images))
        if doubtful and len(images) > 1:
            rest = sorted(set(images) - set(doubtful))
            fix = f"`classes={rest!r}` leaves it out" if len(rest) > 1 else "move it away if it is no class"
            found.notes.append(f"class '{doubtful[0]}' is named like {like}; {fix}")


def _note_left_out(left_out: Mapping[str, Sequence[str]], parts: Collection[str], read: Collection[str]) -> list[str]:
    """Note images that are in no class folder; `read` are the parts with samples, if there are parts."""
    inside = [name for folder, names in left_out.items() if not folder or folder in read or not read for name in names]
    notes = [f"leaves out {pluralize(len(inside), 'image')} in no class folder ({_some(inside)})"] if inside else []
    for folder, names in left_out.items():
        if folder and read and folder not in read:
            why = "has no class folders" if folder in parts else "is not named like train, validation or test"
            notes.append(f"leaves out {folder} ({pluralize(len(names), 'image')}), which {why}")
    return notes


def _parts_in_classes(source: FileSource, prefix: str) -> dict[str, str]:
    """Return the parts inside class folders (`happy/train`), if every class folder holds nothing else."""
    folders = {
        name[len(prefix) :].rpartition("/")[0]
        for name in source.names if name.startswith(prefix) and is_image_name(name)
    }  # fmt: skip
    places = [folder.split("/") for folder in folders if folder]
    inner = find_parts({place[1] for place in places if len(place) > 1})
    classes = {place[0] for place in places}
    whole = len(classes) > 1 and all(len(place) > 1 and place[1] in inner for place in places)
    return inner if whole and "train" in inner.values() else {}


def _wrapped(tree: Tree, prefix: str, parts: Collection[str]) -> int:
    """Return 1 if the class folders of every part lie in one more folder (`train/images/happy`), else 0."""
    for part in parts:
        below = tree.folders_with_images(PurePosixPath(prefix + part))
        if len(below) != 1 or tree.direct[below[0]] or len(tree.classes(below[0])) < 2:
            return 0
    return 1
