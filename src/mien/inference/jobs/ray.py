"""Predict images on many machines: Ray Data distributes blocks of names, and each actor writes a Parquet part.

The folder of parts and the images must be reachable from all machines, under the same paths.
"""

import json
import logging
import os
import socket
from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mien.errors import ConfigError, DataError, ImageError, MienError, MissingExtraError, OutputError
from mien.inference.bundle import Bundle
from mien.inference.reader import Reader
from mien.inference.reader_options import Faces
from mien.inference.thresholds import Threshold
from mien.io.archives import ZipSource
from mien.io.atomic import readable_errors
from mien.io.formats import ResultRow, probability_labels, write_parquet
from mien.io.images.source import ImageSource
from mien.io.input_item import InputItem
from mien.io.parquet_parts import INPUTS_FILE, ParquetParts
from mien.runtime.stderr import quiet_stderr

#: How often a part is begun again after its worker died, so that an image that kills it does not do so for ever.
ATTEMPTS = 4

#: Ray sends usage reports and logs much unless told not to; a variable that the user has set stays.
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}


@dataclass(frozen=True)
class PartsJob:
    """All that a worker needs: the parts, the model and its options.

    Relative names of images are below the folder `base`; it and the folder of `parts` are absolute.
    """

    parts: ParquetParts
    base: Path
    bundle: Bundle
    threshold: Threshold | None = None
    faces: Faces = "all"
    detect: bool | None = None
    mirror: bool | None = None


@dataclass
class PartWriter:
    """Predict blocks of images with one model, loaded once, in one thread. An actor runs this."""

    work: PartsJob
    _archives: dict[str, ZipSource | None] = field(default_factory=dict)

    def __call__(self, batch: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, list[str]]:
        """Write the parts of a batch of `part` and `start`, int64 (N,); returns the counts of each, in JSON."""
        found: list[dict[str, Any]] = []
        for number, start in zip(batch["part"].tolist(), batch["start"].tolist(), strict=True):
            try:
                found.append({"counts": self.write(number, start)})
            except MienError as error:  # Ray would bury the sentence under its own
                found.append({"error": str(error)})
        return {"done": [json.dumps(one) for one in found]}

    def write(self, number: int, start: int) -> Counter[str]:
        """Write one part, with names from the byte `start` of the list; returns its images by status.

        It starts over, whatever an earlier worker left. Raises OutputError if it cannot be written, or if
        `ATTEMPTS` workers have died of it.
        """
        counts: Counter[str] = Counter()
        path = self.work.parts.path(number)
        if len(self.work.parts.attempts(number)) >= ATTEMPTS:
            first = number * self.work.parts.size + 1
            raise OutputError(
                f"{path}: its worker died {ATTEMPTS} times; give fewer `threads=` if memory is short, or leave out the "
                f"image that kills it, one of lines {first} to {first + self.work.parts.images_in(number) - 1} "
                f"in {INPUTS_FILE}, and start a new folder"
            )
        # A worker that seemed lost may still be writing: no two of them share a name.
        attempt = path.with_name(f".{path.stem}.{socket.gethostname()}-{os.getpid()}")
        labels = probability_labels(self._reader.config.labels, self._reader.answers)
        write_parquet(self._rows(number, start, counts), attempt, labels)
        with readable_errors(path):
            with attempt.open("rb+") as stream:
                os.fsync(stream.fileno())  # a part with its final name is whole, even after a power failure
            attempt.replace(path)
        return counts

    def _rows(self, number: int, start: int, counts: Counter[str]) -> Iterator[ResultRow]:
        for result in self._reader.predict_named(self._images(number, start)):
            counts[result.status] += 1
            yield result.to_dict()

    def _images(self, number: int, start: int) -> Iterator[tuple[str, ImageSource | ImageError]]:
        try:
            lines = self.work.parts.lines(number, start)
        except (OSError, ValueError) as error:
            raise OutputError(
                f"{self.work.parts.folder / INPUTS_FILE}: cannot be read on {socket.gethostname()} ({error}); "
                "the folder must be on storage that all machines share"
            ) from None
        for name, archive, member, problem, _ in lines:
            yield name, self._image(name, archive, member, problem)

    def _image(self, name: str, archive: str | None, member: str, problem: str | None) -> ImageSource | ImageError:
        if problem is not None:
            return ImageError(name, problem)
        if archive is None:
            return self.work.base / name
        if archive not in self._archives:
            try:
                self._archives = {archive: ZipSource(self.work.base / archive)}
            except DataError:
                self._archives = {archive: None}
        source = self._archives[archive]
        try:
            if source is None:
                return ImageError(name, "its archive is gone", "missing")
            return InputItem(name, source, member).image()
        except KeyError:
            return ImageError(name, "is no longer in its archive", "missing")

    @cached_property
    def _reader(self) -> Reader:
        work = self.work
        options: dict[str, Any] = {"faces": work.faces, "detect": work.detect, "mirror": work.mirror}
        return Reader(work.bundle, 1, work.threshold, device="cpu", **options)


def require_ray() -> Any:
    """Return ray, with ray.data; MissingExtraError if it is not installed."""
    try:
        import ray
        import ray.data
    except ImportError:
        raise MissingExtraError("`engine=ray`", "cluster") from None
    return ray


def write_parts(work: PartsJob, starts: Mapping[int, int], workers: int | None) -> Generator[Counter[str], None, None]:
    """Write parts with Ray Data; yield the counts of each when it is finished.

    If a worker dies, another one starts its part over (Ray Data's default). It uses the cluster that RAY_ADDRESS
    names, or else starts Ray on this machine, and disconnects at the end.

    Args:
        work: the parts, the model and its options.
        starts: the number of each part to write, and where it starts in the list of inputs, in bytes.
        workers: cores to use; None for all.

    Raises:
        ConfigError: there is no cluster.
        MienError: the error of a worker.
        OutputError: Ray fails.
    """
    with _ray(workers) as ray:
        cores = workers or int(ray.cluster_resources().get("CPU", 1))
        pool = ray.data.ActorPoolStrategy(size=max(1, min(cores, len(starts))), max_tasks_in_flight_per_actor=1)
        blocks = [{"part": number, "start": start} for number, start in starts.items()]
        done = ray.data.from_items(blocks, override_num_blocks=len(blocks)).map_batches(
            PartWriter,
            fn_constructor_args=(work,),
            batch_size=1,
            num_cpus=1,
            compute=pool,
        )
        try:
            for batch in done.iter_batches(batch_size=None, prefetch_batches=0):
                for found in map(json.loads, batch["done"]):
                    if "error" in found:
                        raise MienError(found["error"])
                    yield Counter(found["counts"])
        except ray.exceptions.RayError as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
            raise OutputError(f"{work.parts.folder}: Ray gave up ({reason:.200})", work.parts.kept()) from None


@contextmanager
def _ray(workers: int | None) -> Iterator[Any]:
    """Yield ray, connected and silent."""
    address = os.environ.get("RAY_ADDRESS")
    own: dict[str, Any] = {} if address else {"num_cpus": workers, "include_dashboard": False}
    if address:
        _require_answer(address)
    with _environment(_QUIET), quiet_stderr():
        ray = require_ray()
        try:
            ray.init(address=address or "local", logging_level="critical", log_to_driver=False, **own)
        except Exception as error:  # Ray raises that itself if a machine is too busy to start it in time
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            where = f"RAY_ADDRESS {address}" if address else "`engine=ray`"
            raise ConfigError(f"{where}: no Ray can be reached or started there ({reason:.200})") from None
    try:
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = context.print_on_execution_start = False
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)
        yield ray
    finally:
        ray.shutdown()


def _require_answer(address: str) -> None:
    """Raise ConfigError if nobody answers at host:port or ray://host:port; Ray itself would wait for minutes."""
    host, _, port = address.rpartition("/")[2].rpartition(":")
    if not (host and port.isdecimal()):
        return  # `auto`, or an address that only Ray understands
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=20).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"RAY_ADDRESS {address}: nobody answers there ({error}); name your cluster, or unset it"
        ) from None


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set the variables that are not set while the block runs."""
    added = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
