"""Measure all readers in turns, on one core and on two: a photograph, a crop, the best batch, a cold start, memory.

All adapters run at once and wait for their turn. In each round every reader has one turn, in the next one in reverse
order, so that what else the machine does meets all of them.
"""

import os
import statistics
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rivals.environments import Environment
from rivals.readers import Reader
from rivals.worker import Worker, cold_start, running

BATCHES = (16, 64, 256)


def measure(
    readers: Sequence[Reader], environments: Mapping[str, Environment], photo: Path, crops: Sequence[Path], log: Path,
    rounds: int, cold_rounds: int, seconds: float, counts: Sequence[int] = (1, 2),
) -> dict[str, dict[str, Any]]:  # fmt: skip
    """Return what each reader takes, by the number of cores, JSON-ready.

    Args:
        readers: take turns.
        environments: by name.
        photo: one photograph.
        crops: crops of faces.
        log: gets what the libraries say.
        rounds: each gives the median of the calls of one turn.
        cold_rounds: processes that are started for each reader.
        seconds: length of a turn.
        counts: numbers of cores.
    """
    available = sorted(os.sched_getaffinity(0))
    found = {}
    for count in counts:
        if len(available) < count:
            print(f"only {len(available)} core is there: {count} are not measured")
            continue
        cores = available[:count]
        print(f"speed on {count} of {len(available)} cores", flush=True)
        rows = _warm(readers, environments, photo, crops, log, rounds, seconds, cores)
        for number in range(cold_rounds):
            for reader in _turns([one for one in readers if one.photos], number):
                environment = environments[reader.environment]
                rows[reader.key]["cold"].append(cold_start(reader, environment, cores, log, photo))
        found[str(count)] = rows
    return found


def _warm(
    readers: Sequence[Reader], environments: Mapping[str, Environment], photo: Path, crops: Sequence[Path], log: Path,
    rounds: int, seconds: float, cores: Sequence[int],
) -> dict[str, dict[str, Any]]:  # fmt: skip
    rows: dict[str, dict[str, Any]] = {}
    with ExitStack() as stack:
        workers: dict[str, Worker] = {}
        for reader in readers:
            worker = stack.enter_context(running(reader, environments[reader.environment], cores, log))
            workers[reader.key] = worker
            rows[reader.key] = _prepare(reader, worker, photo, crops, seconds)
        for number in range(rounds):
            for reader in _turns(readers, number):
                row, worker = rows[reader.key], workers[reader.key]
                for what, files in (("photo", [photo]), ("crop", crops), ("batch", crops)):
                    if what in row:
                        batch = row.get("batch_size", 1)
                        row[what].append(statistics.median(worker.times(what, files, seconds, batch)))
    return rows


def _prepare(reader: Reader, worker: Worker, photo: Path, crops: Sequence[Path], seconds: float) -> dict[str, Any]:
    """Call everything once, so that nothing is loaded later, and choose the batch that reads the most crops a second.

    The memory is that after some photographs, or crops: a library that is used for one of them alone holds no more.
    """
    row: dict[str, Any] = {"cold": []}
    if reader.photos:
        row["photo"] = []
        worker.times("photo", [photo], seconds)
        row["memory"] = worker.megabytes
    if reader.crops:
        row["crop"] = []
        worker.times("crop", crops, seconds)
        row.setdefault("memory", worker.megabytes)
    if reader.crops and reader.batches:
        row["batch"] = []
        worker.times("batch", crops, 0, BATCHES[0])
        rates = {size: size / min(worker.times("batch", crops, seconds / 2, size)) for size in BATCHES}
        row["batch_size"] = max(rates, key=lambda size: rates[size])
    return row


def _turns(readers: Sequence[Reader], number: int) -> Sequence[Reader]:
    return readers if number % 2 == 0 else readers[::-1]
