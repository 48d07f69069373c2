"""A folder of Parquet parts, each with the rows of equally many images, that several processes may fill.

The folder describes itself: `_mien.json` is the job, `_mien-inputs.jsonl` names every image with its size and time, and
a part that has its final name is whole. Whatever ends a job, the same call makes the missing parts, and those whose
images have changed.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

from mien.errors import OutputError
from mien.io.atomic import LOCK, changed_fields, locked, new_file, readable_errors, write_text
from mien.io.bounded import read_object
from mien.io.formats import require_parquet
from mien.io.input_item import InputItem
from mien.io.inputs import InputSummary
from mien.io.targets import to_json

#: Images in a part: half a minute of work for one core, and all that a lost machine costs per core.
IMAGES_PER_PART = 1000
JOB_FILE = "_mien.json"
INPUTS_FILE = "_mien-inputs.jsonl"
_FORMAT = "mien-parts"


@dataclass(frozen=True)
class Changed:
    """Images that changed after their parts were written: the name of the first, and how many."""

    first: str
    count: int


@dataclass(frozen=True)
class ParquetParts:
    """A folder for the rows of `count` images, `size` in each part; parts are numbered from 0.

    Examples:
        >>> parts = ParquetParts(Path("out"), count=2_500, size=1_000)
        >>> len(parts), parts.path(2).name, parts.images_in(2)
        (3, 'part-00002.parquet', 500)
    """

    folder: Path
    count: int
    size: int = IMAGES_PER_PART

    def __len__(self) -> int:
        """Return the number of parts once all are written."""
        return -(-self.count // self.size)

    def path(self, number: int) -> Path:
        """Name a part; sorted by name, parts are in the order of the inputs."""
        return self.folder / f"part-{number:0{max(5, len(str(len(self) - 1)))}}.parquet"

    def images_in(self, number: int) -> int:
        """Return the number of images in a part."""
        return min(self.size, self.count - number * self.size)

    def lines(self, number: int, start: int) -> list[list[Any]]:
        """Return the images in a part as `list_inputs` wrote them, from the byte `start` of the list."""
        with (self.folder / INPUTS_FILE).open("rb") as stream:
            stream.seek(start)
            return [json.loads(line) for line in islice(stream, self.images_in(number))]

    def counted(self, number: int) -> Counter[str]:
        """Count the images of a finished part by status; OutputError, with the fix, if it is damaged."""
        pa = require_parquet()
        from pyarrow import parquet

        path, fix = self.path(number), "delete it, and the same command writes it again"
        try:
            table = parquet.ParquetFile(path).read(["status", "face"])
        except (OSError, pa.ArrowException) as error:
            reason = " ".join(str(error).split())
            raise OutputError(f"{path}: cannot be read ({reason:.100}); {fix}") from None
        rows = zip(table["status"].to_pylist(), table["face"].to_pylist(), strict=True)
        counts = Counter(
            status for status, face in rows if face in (None, 1)
        )  # one row without a face, or a first face
        if counts.total() != self.images_in(number):
            raise OutputError(f"{path}: has {counts.total()} images, not {self.images_in(number)}; {fix}")
        return counts

    def attempts(self, number: int) -> list[Path]:
        """List the files of processes that began this part and did not finish it."""
        return list(self.folder.glob(f".*{self.path(number).stem}.*"))

    def kept(self) -> str:
        """Say how many parts the same call would find now; somebody may have removed them."""
        if not (self.folder / JOB_FILE).exists():
            return f"nothing is kept, because {self.folder / JOB_FILE} has been removed"
        kept = sum(self.path(number).exists() for number in range(len(self)))
        return f"{kept} of {len(self)} parts are kept in {self.folder}; the same command continues"

    def remove_changed(self, listed: Path) -> Changed | None:
        """Delete the parts of images that have changed, and return these.

        Args:
            listed: the images as `list_inputs` writes them now; INPUTS_FILE has them as they were when the parts began.
        """
        earlier = self.folder / INPUTS_FILE
        if not earlier.exists() and not any(self.path(number).exists() for number in range(len(self))):
            return None
        first, count = "", 0
        stale: set[Path] = set()
        with earlier.open("rb") if earlier.exists() else nullcontext() as before, listed.open("rb") as now:
            for number, (old, new) in enumerate(zip_longest(before or (), now)):
                path = self.path(number // self.size)
                if old != new and (path in stale or path.exists()):
                    first, count = first or json.loads(new or old)[0], count + 1
                    stale.add(path)
        for path in stale:
            path.unlink()
        return Changed(first, count) if count else None

    def remove_leftovers(self) -> None:
        """Delete the files of processes that were killed."""
        for path in self.folder.glob(".*part-*"):
            path.unlink(missing_ok=True)


def begin_parts(
    folder: Path, inputs: Iterable[InputItem], job: Mapping[str, Any], size: int = IMAGES_PER_PART
) -> tuple[ParquetParts, list[int], Changed | None]:
    """Begin a job in a folder, or check that it is the one begun there and delete its parts that have changed.

    Args:
        folder: exists.
        inputs: all images of the job.
        job: as in `check_job`.
        size: images in each part.

    Returns:
        The parts, where each starts in the list of inputs, in bytes, and the images that have changed.

    Raises:
        OutputError: the folder has other files in it, or was begun with another job.
    """
    with new_file(folder / INPUTS_FILE) as path:
        summary, starts = list_inputs(inputs, path, size)
        names = {"count": summary.count, "sha256": summary.sha256}
        check_job(folder, {**job, "list of inputs": names, "size of parts": size})
        parts = ParquetParts(folder, summary.count or 0, size)
        with readable_errors(folder):
            changed = parts.remove_changed(path)  # before the new list has its name: a kill in between loses nothing
    return parts, starts, changed


def list_inputs(inputs: Iterable[InputItem], path: Path, size: int = IMAGES_PER_PART) -> tuple[InputSummary, list[int]]:
    """Write all images, one JSON array per line: name, archive, member, why it cannot be read, and stamp.

    Returns their number and sha256, as `Inputs.summarise` does, and the offset in bytes of each part's first line.
    """
    digest, count, starts = hashlib.sha256(), 0, []
    with path.open("wb") as stream:
        for item in inputs:
            if count % size == 0:
                starts.append(stream.tell())
            archive = None if item.archive is None else str(item.archive.path)
            line = json.dumps([item.name, archive, item.member, item.problem, item.stamp()])  # ASCII, whatever the name
            stream.write(line.encode() + b"\n")
            digest.update(item.name.encode("utf-8", "surrogatepass") + b"\0")
            count += 1
    return InputSummary(count, digest.hexdigest()), starts


def check_job(folder: Path, job: Mapping[str, Any]) -> None:
    """Write the job into a new folder, or compare it with the job of an earlier call.

    `job` is all that decides a row, JSON-serialisable; its keys are the words of an error. Raises OutputError, with
    the fix, if the folder has other files in it or was begun with another job.
    """
    path = folder / JOB_FILE
    job = {"format": _FORMAT, **job}
    try:
        found = read_object(path)
    except FileNotFoundError:
        if any(not found.name.startswith(".") and found.name != INPUTS_FILE for found in folder.iterdir()):
            raise OutputError(f"{folder}: has other files in it and no {JOB_FILE}; give a new folder") from None
        write_text(path, to_json(job))
        return
    except (OSError, ValueError):
        found = {}
    if found.get("format") != _FORMAT:
        raise OutputError(f"{path}: was not written by mien, or is damaged; give another folder")
    if changed := changed_fields(job, found):
        raise OutputError(
            f"{folder}: was begun with another {changed}; delete the folder to start over, or write to another one"
        )


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Make `folder` and keep a second process off it; OutputError if that is not possible."""
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: is a file; on many machines the output is a folder, give another name")
    with readable_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / LOCK, folder):
        yield
