"""A folder of Parquet parts, each the rows of as many pictures, which several processes may fill.

The folder holds all there is to know: `_mien.json` says what was asked for, `_mien-inputs.jsonl` names every
picture, and a part that has its name is whole. Whatever ends a run, the next one makes the parts that are
missing.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from mien.errors import OutputError
from mien.io.atomic import lock, new_file, readable_errors, what_changed, write_text
from mien.io.formats import require_parquet
from mien.io.inputs import InputItem, InputSummary

#: Pictures in a part: half a minute of one core's work, which is what a lost machine costs per core.
PART = 1000
MANIFEST = "_mien.json"
LIST = "_mien-inputs.jsonl"
_FORMAT = "mien-parts"


@dataclass(frozen=True)
class Parts:
    """A folder in which `count` pictures are to be, `size` in each part; parts are numbered from 0."""

    folder: Path
    count: int
    size: int = PART

    def __len__(self) -> int:
        """How many parts there are in the end."""
        return -(-self.count // self.size)

    def path(self, number: int) -> Path:
        """Name a part; sorted by name, parts are in the order of the inputs."""
        return self.folder / f"part-{number:0{max(5, len(str(len(self) - 1)))}}.parquet"

    def pictures_in(self, number: int) -> int:
        """How many pictures the part has."""
        return min(self.size, self.count - number * self.size)

    def lines(self, number: int, start: int) -> list[list[Any]]:
        """Read what `list_inputs` wrote of the pictures in a part, which begin at the byte `start` of the list."""
        with (self.folder / LIST).open("rb") as stream:
            stream.seek(start)
            return [json.loads(line) for line in islice(stream, self.pictures_in(number))]

    def counted(self, number: int) -> Counter[str]:
        """Count the pictures of a finished part by status; OutputError, which names the fix, where it is damaged."""
        pa = require_parquet()
        from pyarrow import parquet

        path, fix = self.path(number), "delete it, the same command makes it anew"
        try:
            table = parquet.ParquetFile(path).read(["status", "face"])
        except (OSError, pa.ArrowException) as error:
            reason = " ".join(str(error).split())
            raise OutputError(f"{path}: cannot be read ({reason:.100}); {fix}") from None
        rows = zip(table["status"].to_pylist(), table["face"].to_pylist(), strict=True)
        counts = Counter(status for status, face in rows if not face)  # one row without a face, or a first face
        if counts.total() != self.pictures_in(number):
            raise OutputError(f"{path}: has {counts.total()} pictures, not {self.pictures_in(number)}; {fix}")
        return counts

    def attempts(self, number: int) -> list[Path]:
        """List what processes that began this part and did not end it have left."""
        return list(self.folder.glob(f".*{self.path(number).stem}.*"))

    def sweep(self) -> None:
        """Delete what processes that were killed have left."""
        for path in self.folder.glob(".*part-*"):
            path.unlink(missing_ok=True)


def begin(
    folder: Path, inputs: Iterable[InputItem], job: Mapping[str, Any], size: int = PART
) -> tuple[Parts, list[int]]:
    """List the inputs in the folder and agree on the job; returns the parts, and where each begins in the list."""
    with new_file(folder / LIST) as path:
        survey, starts = list_inputs(inputs, path, size)
        names = {"count": survey.count, "sha256": survey.sha256}
        agree(folder, {**job, "list of inputs": names, "size of parts": size})
    return Parts(folder, survey.count or 0, size), starts


def list_inputs(inputs: Iterable[InputItem], path: Path, size: int = PART) -> tuple[InputSummary, list[int]]:
    """Write the names of all pictures, one JSON array per line; returns their number and sha256 and where parts begin.

    The sha256 is that of `Inputs.survey`. Where a part begins is the offset in bytes of its first line.
    """
    digest, count, starts = hashlib.sha256(), 0, []
    with path.open("wb") as stream:
        for entry in inputs:
            if count % size == 0:
                starts.append(stream.tell())
            archive = None if entry.archive is None else str(entry.archive.path)
            line = json.dumps([entry.name, archive, entry.member, entry.fault])  # ASCII, whatever bytes a name has
            stream.write(line.encode() + b"\n")
            digest.update(entry.name.encode("utf-8", "surrogatepass") + b"\0")
            count += 1
    return InputSummary(count, digest.hexdigest()), starts


def agree(folder: Path, job: Mapping[str, Any]) -> None:
    """Write the manifest into a new folder, or compare it with that of an earlier run.

    `job` is what makes a row what it is, JSON-ready; its keys are the words of a sentence. Raises OutputError,
    which names the fix, for a folder that has other files in it or was begun with another job.
    """
    path = folder / MANIFEST
    job = {"format": _FORMAT, **job}
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        if any(not found.name.startswith(".") and found.name != LIST for found in folder.iterdir()):
            raise OutputError(f"{folder}: has other files in it and no {MANIFEST}; give a new folder") from None
        write_text(path, json.dumps(job, indent=2, ensure_ascii=False) + "\n")
        return
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or found.get("format") != _FORMAT:
        raise OutputError(f"{path}: was not written by mien, or is damaged; give another folder")
    if changed := what_changed(job, found):
        raise OutputError(
            f"{folder}: was begun with another {changed}; delete the folder to start over, or write to another one"
        )


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make `folder` and keep a second run off it; OutputError where that is not possible."""
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: is a file; on many machines the output is a folder, give another name")
    with readable_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    if os.name != "posix":  # a folder cannot be opened, and there are no locks
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        lock(handle, folder)
        yield
    finally:
        os.close(handle)
