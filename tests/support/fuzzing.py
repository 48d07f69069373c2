"""Mutate files and open them as mien does, in processes of their own: a crash of a decoder is counted, too.

`python fuzzing.py KIND SEED FIRST COUNT FOLDER` is one shard. It prints a line for each case that ends in anything but
an answer or an error of mien, and the counts at its end.
"""

import io
import json
import random
import shutil
import subprocess
import sys
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

#: Values that a JSON or TOML writer would not write, or a reader would not expect.
_JUNK: Sequence[Any] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 10**30, 0.5, -1.5, 1e308, float("nan"), float("inf"), "", "x", "\0",
    "\ud800",
    "a" * 1000, "=1+1", "\x1b[31m", [], {}, [1, 2], ["a", "b"], [[]], {"a": 1}, {"class_name": "Lambda", "config": {}},
)  # fmt: skip


def mutated(seeds: Sequence[bytes], seed: int) -> bytes:
    """Return a file with bytes changed, cut, repeated, or spliced with another; most changes hit headers."""
    rng = random.Random(seed)
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        size = max(len(data), 1)
        place = rng.randrange(min(size, 64) if rng.random() < 0.5 else size)
        what = rng.randrange(7)
        if what == 0:
            data[place : place + 1] = bytes([rng.randrange(256)])
        elif what == 1:
            data[place : place + rng.choice((1, 2, 4))] = rng.choice(
                (b"\xff\xff", b"\x00\x00", b"\x7f\xff\xff\xff", b"\x80")
            )
        elif what == 2:
            del data[place : place + rng.randrange(1, 40)]
        elif what == 3:
            del data[place:]
        elif what == 4:
            data[place:place] = data[place : place + rng.randrange(1, 400)]
        elif what == 5:
            data[place:] = rng.choice(seeds)[place:]
        else:
            data[place:place] = rng.randbytes(rng.randrange(1, 40))
    return bytes(data)


def mutated_json(text: bytes, seed: int) -> bytes:
    """Return a JSON text with a value replaced, removed or repeated, or with bytes changed."""
    rng = random.Random(seed)
    if rng.random() < 0.3:
        return mutated([text], seed)
    value = json.loads(text)
    for _ in range(rng.choice((1, 1, 2, 3))):
        places: list[tuple[Any, Any]] = []
        stack = [value]
        while stack:
            one = stack.pop()
            inside = list(one.items()) if isinstance(one, dict) else list(enumerate(one))
            places += [(one, key) for key, _ in inside]
            stack += [child for _, child in inside if isinstance(child, dict | list)]
        if not places:
            break
        parent, key = rng.choice(places)
        what = rng.randrange(5)
        if what == 0:
            del parent[key]
        elif what == 1 and isinstance(parent, list):
            parent += parent[:50]
        elif what == 2 and isinstance(parent, dict):
            parent[rng.choice(list(parent))] = parent[key]
        else:
            parent[key] = rng.choice(_JUNK)
    return json.dumps(value).encode()


def mutated_zip(data: bytes, seed: int, change: Callable[[str, bytes, int], bytes]) -> bytes:
    """Return a zip archive with bytes changed, or whole around members that are changed, so that check sums fit."""
    rng = random.Random(seed)
    if rng.random() < 0.3:
        return mutated([data], seed)
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w") as new:
        names = old.namelist()
        changed = set(rng.sample(names, min(len(names), rng.choice((1, 1, 2)))))
        for name in names:
            member = old.read(name)
            place = name
            if name in changed:
                what = rng.randrange(6)
                if what == 0:
                    continue
                if what == 1:
                    place = rng.choice(names)
                elif what == 2:
                    place = rng.choice(("", "/", "../x", "a" * 300, "\udce9.png", "x/" * 50, name + "/"))
                else:
                    member = change(name, member, seed)
            with_error(new, place, member, rng)
    return buffer.getvalue()


def with_error(archive: zipfile.ZipFile, name: str, data: bytes, rng: random.Random) -> None:
    """Add a member, under any name."""
    kind = zipfile.ZIP_DEFLATED if rng.random() < 0.2 else zipfile.ZIP_STORED
    info = zipfile.ZipInfo(name.encode("utf-8", "replace").decode())
    info.compress_type = kind
    archive.writestr(info, data)


def array_bytes(value: np.ndarray[Any, Any], rng: random.Random) -> bytes:
    """Return an array as `.npy`, of its own or another type and shape, also one that its bytes do not have."""
    what = rng.randrange(6)
    if what == 0:
        value = value.astype(rng.choice(("<f8", "<i2", "|u1", "<c8", "|b1", "<U3", ">f4")))
    elif what == 1:
        value = value.ravel()[: rng.randrange(value.size + 1)]
    elif what == 2 and value.dtype.kind == "f" and value.size:
        value = value.copy()
        value.flat[rng.randrange(value.size)] = rng.choice((np.nan, np.inf, 1e30))
    buffer = io.BytesIO()
    np.save(buffer, value)
    found = buffer.getvalue()
    if what == 3:
        shape = rng.choice(("(99999999999, 99999)", "(-1,)", "(0,)", "(1, 2, 3, 4, 5)", "(2**70,)", "('a',)", "None"))
        head, _, tail = found.partition(b"'shape': ")
        found = head + b"'shape': " + shape.encode() + b", }" + tail[len(shape) :]
    elif what == 4:
        found = mutated([found], rng.randrange(2**31))
    return found


@dataclass
class Campaign:
    """The outcome of many cases: counts by outcome, and each case that ended as it must not, with its number."""

    counts: Counter[str] = field(default_factory=Counter)
    bad: list[tuple[int, str]] = field(default_factory=list)

    def __str__(self) -> str:
        counts = ", ".join(f"{name} {count}" for name, count in sorted(self.counts.items()))
        return f"{self.counts.total()} cases: {counts}; {len(self.bad)} bad"


def run_campaign(kind: str, count: int, folder: Path, seed: int = 0, first: int = 0) -> Campaign:
    """Run the cases `first` to `first + count` of a kind in shards; a shard that dies is continued after its case."""
    found, end = Campaign(), first + count
    while first < end:
        many = min(2000, end - first)
        shutil.rmtree(folder, ignore_errors=True)
        command = [sys.executable, "-X", "faulthandler", __file__, kind, *map(str, (seed, first, many, folder))]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        lines = [json.loads(line[5:]) for line in done.stdout.splitlines() if line.startswith("case ")]
        found.bad += [(line["number"], line["error"]) for line in lines if "error" in line]
        for line in lines:
            found.counts.update(line.get("counts", {}))
        if done.returncode == 0:
            first += many
            continue
        if not (folder / "current").exists():
            raise RuntimeError(f"the campaign {kind} cannot begin: {done.stderr[-600:]}")
        died = int((folder / "current").read_text())
        found.counts.update(json.loads((folder / "counts").read_text()))
        found.counts["died"] += 1
        found.bad.append((died, f"ended with status {done.returncode}: {done.stderr[-600:]}"))
        first = died + 1
    return found


def shard(kind: str, seed: int, first: int, count: int, folder: Path) -> None:
    """Run cases of one kind in this process, and print what is wrong and the counts."""
    from fuzz_kinds import KINDS

    from mien.errors import MienError

    folder.mkdir(parents=True, exist_ok=True)
    open_one = KINDS[kind](folder)
    counts: Counter[str] = Counter()
    for number in range(first, first + count):
        (folder / "current").write_text(str(number))
        (folder / "counts").write_text(json.dumps(counts))
        try:
            outcome = open_one(seed * 1_000_003 + number)
        except MienError as error:
            outcome = type(error).__name__
            if len(str(error).splitlines()) != 1 or len(str(error)) > 2000:
                _print(number=number, error=f"not one short line: {str(error)[:300]!r}")
        except BaseException:
            outcome = "traceback"
            _print(number=number, error=traceback.format_exc(limit=-6))
        counts[outcome] += 1
    _print(counts=counts)


def _print(**line: Any) -> None:
    print("case", json.dumps(line), flush=True)


if __name__ == "__main__":
    name, first_seed, begin, many, place = sys.argv[1:]
    shard(name, int(first_seed), int(begin), int(many), Path(place))
