"""Answer requests of `rivals.worker` in the environment of one rival: JSON lines in, marked JSON lines out.

A library may print what it likes: the other side reads only lines that begin with the mark. Nothing but the standard
library is imported here.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

MARK = "@"

#: A probability for each class, by the rival's own names; None if it finds no face.
Answer = Mapping[str, float] | None


class Adapter(Protocol):
    """What a rival does with files and crops."""

    def read_photo(self, file: str) -> Answer:
        """Decode a photograph, find its faces and read the largest."""

    def open_crop(self, file: str) -> Any:
        """Return the pixels of a crop as the rival takes them, ready in memory."""

    def read_crop(self, crop: Any) -> Answer:
        """Read one crop."""

    def read_batch(self, crops: Sequence[Any]) -> Sequence[Answer]:
        """Read several crops in one call."""


def serve(open_adapter: Callable[..., Adapter]) -> None:
    """Answer every request until the input ends. The first argument has the options of the adapter."""
    adapter = open_adapter(**json.loads(sys.argv[1]))
    opened: dict[str, Any] = {}
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "answer":
            for file, answer in _answers(adapter, request):
                say(answer_row(file, answer))
            say({"done": True})
        else:
            say({"milliseconds": list(_timed(adapter, request, opened))})


def say(message: Mapping[str, Any]) -> None:
    sys.stdout.write(f"{MARK}{json.dumps(message)}\n")
    sys.stdout.flush()


def answer_row(file: str, answer: Answer) -> dict[str, Any]:
    """Return the row of one image, as `mien evaluate --answers` reads it."""
    if answer is None:
        return {"file": file, "status": "no_face"}
    return {"file": file, "status": "ok", **{name: float(value) for name, value in answer.items()}}


def _answers(adapter: Adapter, request: Mapping[str, Any]) -> Iterator[tuple[str, Answer]]:
    """Yield each file with its answer; crops are read in batches of `batch`, if it is above 1."""
    files, size = request["files"], request["batch"]
    if request["what"] == "photo":
        yield from ((file, adapter.read_photo(file)) for file in files)
    elif size == 1:
        yield from ((file, adapter.read_crop(adapter.open_crop(file))) for file in files)
    else:
        for first in range(0, len(files), size):
            part = files[first : first + size]
            yield from zip(part, adapter.read_batch([adapter.open_crop(file) for file in part]), strict=True)


def _timed(adapter: Adapter, request: Mapping[str, Any], opened: dict[str, Any]) -> Iterator[float]:
    """Yield the milliseconds of calls, one at least, until `seconds` have passed."""
    files, what = request["files"], request["what"]
    call: Callable[[int], Any]
    if what == "photo":
        call = lambda number: adapter.read_photo(files[number % len(files)])  # noqa: E731
    else:
        for file in files:
            if file not in opened:
                opened[file] = adapter.open_crop(file)
        crops = [opened[file] for file in files]
        if what == "crop":
            call = lambda number: adapter.read_crop(crops[number % len(crops)])  # noqa: E731
        else:
            batch = [crops[number % len(crops)] for number in range(request["batch"])]
            call = lambda number: adapter.read_batch(batch)  # noqa: E731
    end, number = time.perf_counter() + request["seconds"], 0
    while number == 0 or time.perf_counter() < end:
        began = time.perf_counter()
        call(number)
        yield (time.perf_counter() - began) * 1e3
        number += 1
