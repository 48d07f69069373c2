"""Compare the throughput of two versions of mien, such as before and after images are decoded in processes.

Both run in turn, several rounds, on the same files: a folder of photos 1024 pixels wide, and one of crops of 48 pixels
that are read whole; then `mien serve` with one connection and with 64. The ratio of a round is after / before, and its
median is printed with the smallest and largest. Processor time, of all processes together, is compared, too: it moves
less on a busy machine.

    git worktree add --detach /tmp/before COMMIT
    python benchmarks/isolation_speed.py /tmp/before/src [--photos 100] [--crops 3000] [--requests 300] [--rounds 5]
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

from PIL import Image

from read_speed import photograph

AFTER = str(Path(__file__).parents[1] / "src")
CONNECTIONS = (1, 64)

#: Predicts a folder: prints seconds and processor seconds, of the decoders too.
FOLDER = """
import os, sys, time, resource, mien
from pathlib import Path
folder, detect = sys.argv[1], sys.argv[2] == "yes"
paths = sorted(Path(folder).iterdir())
reader = mien.load(detect=detect)
list(reader.predict_many(paths[:4]))
def decoders():
    try:
        from mien.io.images.isolation import _Shared
        pids = [one._process.pid for one in _Shared.pool._all]
    except Exception:
        return 0.0
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
    return sum(int(one[11]) + int(one[12]) for one in fields) / os.sysconf("SC_CLK_TCK")
cpu, began = time.process_time() + decoders(), time.perf_counter()
assert sum(1 for _ in reader.predict_many(paths)) == len(paths)
print(time.perf_counter() - began, time.process_time() + decoders() - cpu)
"""


def environment(source: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": source}


def folder_rate(source: str, folder: Path, detect: str) -> tuple[float, float]:
    """Return images per second, and per second of processor time."""
    done = subprocess.run(
        [sys.executable, "-c", FOLDER, str(folder), detect], env=environment(source), capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    seconds, processor = map(float, done.stdout.split())
    count = len(list(folder.iterdir()))
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


def serve_rate(source: str, bodies: list[bytes], query: str, count: int, connections: int) -> tuple[float, float]:
    """Return requests per second, and per second of the server's processor time."""
    command = [sys.executable, "-m", "mien", "serve", "--port", "0"]
    with subprocess.Popen(command, env=environment(source), stdout=subprocess.PIPE, text=True) as server:
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before")
    for name, value in (("photos", 100), ("crops", 3000), ("requests", 300), ("rounds", 5)):
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        photos, crops = Path(place, "photos"), Path(place, "crops")
        photos.mkdir()
        crops.mkdir()
        for number in range(options.photos):
            image = photograph(number)
            image.save(photos / f"{number:05}.jpg", quality=85)
        for number in range(options.crops):
            image.resize((48, 48), Image.Resampling.BOX).save(crops / f"{number:05}.jpg", quality=70 + number % 25)
        large, small = ([path.read_bytes() for path in sorted(folder.iterdir())[:50]] for folder in (photos, crops))
        runs: dict[str, Callable[[str], tuple[float, float]]] = {
            "folder of photos": partial(folder_rate, folder=photos, detect="yes"),
            "folder of crops": partial(folder_rate, folder=crops, detect="no"),
        }
        for connections in CONNECTIONS:
            for name, bodies, query, times in (("photos", large, "", 1), ("crops", small, "?detect=no", 10)):
                serve = partial(
                    serve_rate, bodies=bodies, query=query, count=times * options.requests, connections=connections
                )
                runs[f"serve {name}, {connections} at a time"] = serve
        print(f"{'':28} before   after   ratio (smallest to largest)   ratio by processor time")
        for name, run in runs.items():
            pairs = [(run(options.before), run(AFTER)) for _ in range(options.rounds)]
            ratios, processor = ([after[at] / before[at] for before, after in pairs] for at in (0, 1))
            rates = f"{median(one[0] for one, _ in pairs):6.0f}  {median(one[0] for _, one in pairs):6.0f}"
            spread = f"{median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
            print(f"{name:28} {rates}   {spread}   {median(processor):.3f}", flush=True)


if __name__ == "__main__":
    main()
