"""Compare the throughput of mien with and without decoding in processes, or that of two versions.

Both run in turn, several rounds, on the same files: crops of 48 pixels that are read whole, photos 1024 pixels wide and
of 12 megapixels, each as a folder and as a zip; then, with `--serve`, `mien serve` with one connection and with 64. The
ratio of a round is after / before. Its median is printed with the smallest and largest. Processor time, of all
processes together, is compared, too: it moves less on a busy machine.

    python benchmarks/isolation_speed.py [--before COMMIT [--weights FILE]] [--model FOLDER] [--serve] [--rounds 5]

Before is this version with isolation switched off, or a commit, which is checked out for the time. Both take turns in
which is first. Of these files, folders and zips isolate the large photos alone: with the switch, the other ratios show
the noise of the machine.
"""

import argparse
import asyncio
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

from PIL import Image

from read_speed import photograph

AFTER = str(Path(__file__).parents[1] / "src")
CONNECTIONS = (1, 64)
#: Images per second, and per second of processor time.
Rates = tuple[float, float]

#: Predicts a folder or a zip: prints seconds and processor seconds, of the decoders too.
FOLDER = """
import os, sys, time, zipfile, mien
from pathlib import Path
place, detect, isolate = Path(sys.argv[1]), sys.argv[2] == "yes", sys.argv[3] == "yes"
try:
    from mien.io.images import isolation
except ImportError:
    isolation = None
else:
    isolation._Shared.works = isolate
archive = zipfile.ZipFile(place) if place.suffix == ".zip" else None
names = archive.namelist() if archive else sorted(place.iterdir())
def images(names):
    return (archive.read(name) if archive else name for name in names)
reader = mien.load(sys.argv[4] or None, detect=detect)
list(reader.predict_many(images(names[:4])))
def decoders():
    pool = isolation and isolation._Shared.pool
    pids = [one._process.pid for one in pool._all] if pool else []
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
    return sum(int(one[11]) + int(one[12]) for one in fields) / os.sysconf("SC_CLK_TCK")
cpu, began = time.process_time() + decoders(), time.perf_counter()
assert sum(1 for _ in reader.predict_many(images(names))) == len(names)
print(time.perf_counter() - began, time.process_time() + decoders() - cpu, len(names))
"""


#: Runs the command without decoder processes.
WITHOUT = "from mien.io.images import isolation; isolation._Shared.works = False; from mien.cli import main; main()"


class Version(NamedTuple):
    """Where a version's modules are, whether it decodes in processes, and the model to read with; its own if empty."""

    source: str
    isolate: bool = True
    model: str = ""


def environment(source: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": source}


def folder_rate(version: Version, place: Path, detect: str) -> tuple[float, float]:
    """Return images per second, and per second of processor time."""
    command = [sys.executable, "-c", FOLDER, str(place), detect, "yes" if version.isolate else "no", version.model]
    done = subprocess.run(command, env=environment(version.source), capture_output=True, text=True, check=True)
    seconds, processor, count = map(float, done.stdout.split())
    return count / seconds, count / processor


def processor_seconds(pid: int) -> float:
    """Return the processor time of a process and of its children, in seconds."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text("utf-8", "replace").rpartition(")")[2].split()
        except OSError:
            continue
        if int(stat.parent.name) == pid or int(fields[1]) == pid:
            total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


async def _post(port: int, requests: "list[bytes]") -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while requests:
        writer.write(requests.pop())
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(head.decode())
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
    writer.close()


def _request(body: bytes, query: str) -> bytes:
    head = f"POST /v1/predict{query} HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body


def serve_rate(version: Version, bodies: list[bytes], query: str, count: int, connections: int) -> tuple[float, float]:
    """Return requests per second, and per second of the server's processor time."""
    model = ["--model", version.model] if version.model else []
    mien = ["-m", "mien"] if version.isolate else ["-c", WITHOUT]
    command = [sys.executable, *mien, "serve", "--port", "0", *model]
    with subprocess.Popen(command, env=environment(version.source), stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            line = ""
            while "http://" not in line:
                line = server.stdout.readline()
            port = int(line.partition("http://")[2].split()[0].strip("/").rpartition(":")[2])

            async def send(number: int) -> None:
                requests = [_request(bodies[n % len(bodies)], query) for n in range(number)]
                await asyncio.gather(*(_post(port, requests) for _ in range(connections)))

            asyncio.run(send(2 * connections))  # the threads and decoders start
            cpu, began = processor_seconds(server.pid), time.perf_counter()
            asyncio.run(send(count))
            return count / (time.perf_counter() - began), count / (processor_seconds(server.pid) - cpu)
        finally:
            server.terminate()


def place_weights(faces: Path, commit: str, given: Path | None) -> None:
    """Put the face detector's weights where a version looks for them, if they are those that it pins."""
    code = (faces / "yunet.py").read_text()
    name, digest = (re.search(what, code) for what in (r'"weights" / "([^"]+)"', r'SHA256 = "(\w+)"'))
    source = given or next((Path(AFTER) / "mien/faces/weights").glob("*.onnx"))
    if not name or not digest or hashlib.sha256(source.read_bytes()).hexdigest() != digest[1]:
        wanted = digest[1] if digest else "unknown"
        raise SystemExit(
            f"{commit}: its face detector has other weights (sha256 {wanted}); give them with --weights FILE"
        )
    (faces / "weights").mkdir(exist_ok=True)
    shutil.copy(source, faces / "weights" / name[1])


@contextmanager
def checked_out(commit: str | None, weights: Path | None, model: str) -> Iterator[Version]:
    """Give the version before: a commit, checked out with its face detector, or this one without isolation."""
    if commit is None:
        yield Version(AFTER, isolate=False, model=model)
        return
    root = Path(AFTER).parent
    with tempfile.TemporaryDirectory() as place:
        tree = Path(place, "before")
        subprocess.run(["git", "worktree", "add", "-q", "--detach", tree, commit], cwd=root, check=True)
        try:
            place_weights(tree / "src/mien/faces", commit, weights)
            yield Version(str(tree / "src"), model=model)
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", tree], cwd=root, check=True)


def write_images(place: Path, counts: Mapping[str, int]) -> dict[str, Path]:
    """Write crops, photos and large photos, each as a folder and as a zip; by name."""
    found = {}
    for name, count in counts.items():
        folder = place / name
        folder.mkdir()
        for number in range(count):
            image = photograph(number % 50)
            if name == "crops":
                image = image.resize((48, 48), Image.Resampling.BOX)
            elif name == "large photos":
                image = image.resize((4000, 3000), Image.Resampling.BILINEAR)
            image.save(folder / f"{number:05}.jpg", quality=70 + number % 25)
        found[f"folder of {name}"] = folder
        found[f"zip of {name}"] = Path(shutil.make_archive(str(folder), "zip", folder))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", metavar="COMMIT")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="face detector of COMMIT, if it has another one")
    parser.add_argument("--model", default="", help="a bundle that both versions read, if they ship different ones")
    parser.add_argument("--serve", action="store_true", help="the server, too")
    for name, value in (("photos", 100), ("crops", 3000), ("large", 30), ("requests", 300), ("rounds", 5)):
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work, checked_out(options.before, options.weights, options.model) as before:
        counts = {"crops": options.crops, "photos": options.photos, "large photos": options.large}
        runs: dict[str, Callable[[Version], tuple[float, float]]] = {}
        for name, place in write_images(Path(work), counts).items():
            runs[name] = partial(folder_rate, place=place, detect="no" if "crops" in name else "yes")
        large, small = (
            [path.read_bytes() for path in sorted(Path(work, name).iterdir())[:50]] for name in ("photos", "crops")
        )
        for connections in CONNECTIONS if options.serve else ():
            for name, bodies, query, times in (("photos", large, "", 1), ("crops", small, "?detect=no", 10)):
                serve = partial(
                    serve_rate, bodies=bodies, query=query, count=times * options.requests, connections=connections
                )
                runs[f"serve {name}, {connections} at a time"] = serve
        print(f"{'':28} before   after   ratio (smallest to largest)   ratio by processor time")
        for name, run in runs.items():
            pairs = [in_turn(run, before, number) for number in range(options.rounds)]
            ratios, processor = ([after[at] / before[at] for before, after in pairs] for at in (0, 1))
            rates = f"{median(one[0] for one, _ in pairs):6.0f}  {median(one[0] for _, one in pairs):6.0f}"
            spread = f"{median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
            print(f"{name:28} {rates}   {spread}   {median(processor):.3f}", flush=True)


def in_turn(run: Callable[[Version], Rates], before: Version, number: int) -> tuple[Rates, Rates]:
    """Run both versions, the other one first in every second round; return the rates before and after."""
    after = Version(AFTER, model=before.model)
    if number % 2:
        later = run(after)
        return run(before), later
    return run(before), run(after)


if __name__ == "__main__":
    main()
