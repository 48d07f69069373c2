"""Write a cleaned copy of a dataset; the original files are never changed."""

import io
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from PIL import Image

from mien.data.audit import Audit
from mien.data.dataset import Manifest, Sample
from mien.data.fixes.records import FILE_NAME, Fix, new_file_bytes
from mien.data.inspection import FileFacts
from mien.data.layouts.folders import TABLE_NAME
from mien.data.layouts.parts import is_part
from mien.errors import DataError
from mien.io.atomic import new_folder, to_bytes
from mien.io.cells import csv_line
from mien.io.folders import is_junk
from mien.io.images.decoding import decode
from mien.io.images.formats import FORMAT_SUFFIXES
from mien.io.targets import require_new_folder

#: Kinds of issue whose files are used for training, but not copied.
LEFT_OUT = ("near-duplicate", "not-a-photograph")

#: The reason of a row of a table whose file another row names, too; it is no kind of issue.
REPEATED = "repeated-row"

_CONVERTED = {"cmyk", "palette", "sixteen-bit", "alpha", "exif-rotated"}


@dataclass(frozen=True)
class CleanCopy:
    """What a cleaned copy holds, and why the other files are not in it.

    Attributes:
        path: its folder.
        files: number of files of the dataset by class.
        written: number of files of the copy by class.
        left_out: number of files that are not in it, by the kind of issue that is the reason, then by class; the most
            frequent reason comes first.
        decisions: number of files of the copy that somebody looked at and kept; its own `mien-fixes.csv` says so.
    """

    path: Path
    files: Mapping[str, int]
    written: Mapping[str, int]
    left_out: Mapping[str, Mapping[str, int]]
    decisions: int = 0

    def __len__(self) -> int:
        """Return the number of files written."""
        return sum(self.written.values())


def write_clean(
    audit: Audit,
    out: Path,
    on_file: Callable[[], None] | None = None,
    leave_out: Iterable[str] = (),
    keep: Collection[str] = (),
) -> CleanCopy:
    """Copy the usable files of a dataset to a new folder.

    Extensions are corrected. CMYK, palette, 16-bit, transparent and EXIF-rotated images are converted to upright
    RGB; all other files are copied byte by byte. The layout is class folders, inside split folders if the dataset
    has splits; or `labels.csv` with `files/` if the dataset has groups or soft labels. Decisions of people about the
    files go along, with the face that they chose.

    Args:
        audit: of the dataset. Files that it leaves out of training, files of the kinds LEFT_OUT and near
            duplicates other than the largest are not copied, unless somebody looked at them and kept them.
        out: the new folder.
        on_file: called after each file.
        leave_out: further kinds of issue whose files are not copied.
        keep: kinds of LEFT_OUT whose files are copied nevertheless, such as `not-a-photograph` if they were taken for
            drawings in error.

    Returns:
        What was written, and why the rest was not; its length is the number of files written.

    Raises:
        OutputError: `out` exists, is inside the dataset or cannot be written; nothing is left behind.
        DataError: no file is usable.
    """
    source, classes = audit.manifest.path, audit.manifest.classes
    require_new_folder(out, source)
    reasons = _reasons(audit, [*(kind for kind in LEFT_OUT if kind not in keep), *leave_out])
    kept = [sample for sample in audit.usable.samples if sample.name not in reasons]
    if not kept:
        raise DataError(f"{source}: has no usable file to write; see mien check")
    as_table = any(sample.group or sample.target for sample in kept) or not all(map(_is_folder_name, classes))
    with new_folder(out) as folder:
        taken: set[str] = set()
        rows: list[tuple[str, Sample]] = []
        fixes: list[Fix] = []
        for sample in kept:
            facts = audit.facts[sample.name]
            place = _free_name(_place(sample, facts, as_table, audit.manifest), taken)
            target = folder / place
            target.parent.mkdir(parents=True, exist_ok=True)
            content = _content(audit.manifest.read(sample.name), sample.name, facts)
            target.write_bytes(content)
            rows.append((place, sample))
            if (used := audit.manifest.fixes) and (
                fix := used.carried(sample.name, facts.digest, place, content, sample.label)
            ):
                fixes.append(fix)
            if on_file:
                on_file()
        if as_table:
            (folder / TABLE_NAME).write_bytes(to_bytes(_table(rows, audit.manifest)))
        if fixes:
            (folder / FILE_NAME).write_bytes(new_file_bytes() + b"".join(fix.to_line() for fix in fixes))
    return replace(_copy(audit.manifest, out, kept, reasons), decisions=len(fixes))


def _reasons(audit: Audit, kinds: Iterable[str]) -> dict[str, str]:
    """Return the kind of issue for which a file is not copied, by file name."""
    reasons = dict(audit.left_out)
    for kind in kinds:
        for name in audit.named([kind]):
            reasons.setdefault(name, kind)
    return reasons


def _copy(manifest: Manifest, path: Path, kept: list[Sample], reasons: Mapping[str, str]) -> CleanCopy:
    """Count what was written, and the reasons of the rest."""
    written = Counter(sample.label for sample in kept)
    others = Counter((reasons.get(one.name, REPEATED), one.label) for one in manifest.samples)
    # A file that several rows name is kept once: its other rows have no reason of their own.
    for label, count in written.items():
        others[REPEATED, label] -= count
    totals: Counter[str] = Counter()
    for (kind, _), count in others.items():
        totals[kind] += count
    left_out = {
        kind: {name: others[kind, name] for name in manifest.classes} for kind, total in totals.most_common() if total
    }
    return CleanCopy(path, manifest.counts(), {name: written[name] for name in manifest.classes}, left_out)


def _is_folder_name(label: str) -> bool:
    """Whether a class name (a table may contain any) is safe as a folder name and read back as a class."""
    return not (set(label) & set("/\\\0:") or is_junk(label) or is_part(label))


def _place(sample: Sample, facts: FileFacts, as_table: bool, manifest: Manifest) -> str:
    # A name that is not UTF-8 cannot be written into a table, nor read on another system.
    name = os.fsencode(PurePosixPath(sample.name).name).decode("utf-8", "replace")
    suffix = PurePosixPath(name).suffix
    good = _suffix(facts)
    if suffix.lower() not in FORMAT_SUFFIXES.get(facts.format, ()) or _CONVERTED & set(facts.kinds):
        name = f"{name.removesuffix(suffix)}{good}"
    if as_table:
        return f"files/{name}"
    return f"{sample.split or 'train'}/{sample.label}/{name}" if manifest.has_splits else f"{sample.label}/{name}"


def _suffix(facts: FileFacts) -> str:
    jpeg = facts.format in ("JPEG", "MPO")
    if _CONVERTED & set(facts.kinds):
        return ".jpg" if jpeg else ".png"
    return FORMAT_SUFFIXES[facts.format][0]


def _content(data: bytes, name: str, facts: FileFacts) -> bytes:
    if not _CONVERTED & set(facts.kinds):
        return data
    image = Image.fromarray(decode(data, name))  # without its colour profile and EXIF, which no longer apply
    buffer = io.BytesIO()
    if _suffix(facts) == ".jpg":
        image.save(buffer, "JPEG", quality=95)
    else:
        image.save(buffer, "PNG")
    return buffer.getvalue()


def _free_name(place: str, taken: set[str]) -> str:
    """Return a name that is not taken; on some systems, `A.jpg` and `a.jpg` are one file."""
    path, number, free = PurePosixPath(place), 2, place
    while free.lower() in taken:
        free = path.with_name(f"{path.stem}-{number}{path.suffix}").as_posix()
        number += 1
    taken.add(free.lower())
    return free


def _table(rows: list[tuple[str, Sample]], manifest: Manifest) -> str:
    soft = any(sample.target for _, sample in rows)
    lines = [csv_line(["file", "label", "split", "group", *(manifest.classes if soft else ())])]
    for place, sample in rows:
        hard = [float(name == sample.label) for name in manifest.classes]
        votes = [f"{share:.6g}" for share in sample.target or hard] if soft else []
        lines.append(csv_line([place, sample.label, sample.split, sample.group, *votes]))
    return "".join(lines)
