"""Measure `mien serve` under load on loopback: throughput, latency, overload and memory.

The server is a separate process, this one is the client, on the same cores. Requests are prepared before the clock
starts, and each connection sends the next one as soon as it has its answer. Throughput is compared with `predict_many`
on the same images in memory, measured in a separate process in the same round. Since the client uses some of the
cores, the ratio is also given in processor time: the cost of an image in process, divided by its cost to the server and
its decoders.

    python benchmarks/serve_load.py [--model NAME|FOLDER] [--seconds 5] [--connections 1 8 64 256]
    python benchmarks/serve_load.py --compare OTHER_TREE [--rounds 5] [--connections 64]
    python benchmarks/serve_load.py --overload
    python benchmarks/serve_load.py --soak 10
"""

import argparse
import io
import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import IO

import numpy as np
from PIL import Image
from skimage.data import astronaut

from isolation_speed import processor_seconds
from measured import processor

IN_PROCESS = """
import sys, time, mien
data, count, detect, model = open(sys.argv[1], "rb").read(), int(sys.argv[2]), sys.argv[3] == "1", sys.argv[4] or None
reader = mien.load(model, detect=detect)
list(reader.predict_many([data] * 32))
begin, used = time.perf_counter(), time.process_time()
list(reader.predict_many([data] * count))
print(count / (time.perf_counter() - begin), 1000 * (time.process_time() - used) / count)
"""


def images() -> dict[str, bytes]:
    """Return a face of 48 pixels as PNG, and a photo of 1024 pixels as JPEG."""
    pixels = astronaut()  # type: ignore[no-untyped-call]
    small, large = io.BytesIO(), io.BytesIO()
    Image.fromarray(pixels[30:230, 120:320]).convert("L").resize((48, 48)).save(small, "PNG")
    Image.fromarray(pixels).resize((1024, 1024)).save(large, "JPEG", quality=85)
    return {"48-px crops": small.getvalue(), "1024-px photographs": large.getvalue()}


def in_process(data: bytes, count: int, detect: bool, model: str, folder: Path) -> tuple[float, float]:
    """Return images per second of `predict_many`, and processor milliseconds per image."""
    (folder / "image").write_bytes(data)
    command = [sys.executable, "-c", IN_PROCESS, str(folder / "image"), str(count), str(int(detect)), model]
    rate, cost = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return float(rate), float(cost)


class Server:
    """`mien serve` as a process."""

    def __init__(self, *options: str, tree: Path | None = None, log: IO[str] | None = None) -> None:
        command = [sys.executable, "-m", "mien", "serve", "--port", "0", *options]
        environment = os.environ if tree is None else os.environ | {"PYTHONPATH": str(tree / "src")}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
        assert self.process.stdout is not None
        found = re.search(r":(\d+)\s*$", self.process.stdout.readline())
        assert found
        self.port = int(found.group(1))

    def processor_seconds(self) -> float:
        """Return the processor time of the server and its decoders, in seconds."""
        return processor_seconds(self.process.pid)

    def memory(self, name: str = "VmRSS") -> float:
        """Return the resident memory in MiB."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(dict(line.split(":", 1) for line in text.splitlines())[name].split()[0]) / 1024

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait()


def request(data: bytes, query: str = "") -> bytes:
    head = f"POST /v1/predict{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\n"
    return f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data


@dataclass
class Connection:
    """A client connection that sends the next request when it has its answer."""

    port: int
    requests: list[bytes]
    turn: int = 0
    begin: float = 0.0
    received: bytes = b""
    unsent: memoryview = field(default_factory=lambda: memoryview(b""))
    wire: socket.socket = field(init=False)

    def __post_init__(self) -> None:
        self.open()

    def open(self) -> None:
        self.wire = socket.create_connection(("127.0.0.1", self.port))
        self.wire.setblocking(False)
        self.wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""

    def ask(self) -> None:
        self.turn += 1
        self.begin = time.perf_counter()
        self.unsent = memoryview(self.requests[self.turn % len(self.requests)])
        self.push()

    def push(self) -> None:
        while self.unsent:
            try:
                self.unsent = self.unsent[self.wire.send(self.unsent) :]
            except BlockingIOError:
                return

    def pull(self) -> int | None:
        """Return the status of a complete answer, 0 if the connection was closed, None if more is to come."""
        chunk = self.wire.recv(65536)
        self.received += chunk
        head, gap, body = self.received.partition(b"\r\n\r\n")
        if gap:
            length = int(re.search(rb"content-length: (\d+)", head, re.IGNORECASE).group(1))  # type: ignore[union-attr]
            if len(body) >= length:
                self.received = b""
                return int(head[9:12])
        return None if chunk else 0


@dataclass
class Load:
    """The measurements of one period of load."""

    seconds: float
    latencies: list[float]
    statuses: Counter[int]
    cost: float

    @property
    def rate(self) -> float:
        return self.statuses[200] / self.seconds

    def latency(self, share: float) -> float:
        """Return the milliseconds of requests that were answered 200."""
        return 1000 * float(np.quantile(self.latencies, share)) if self.latencies else float("nan")


class Client:
    """Connections and the answers they got; `pause` is the wait in seconds after a 503."""

    def __init__(self, port: int, requests: list[bytes], count: int, pause: float) -> None:
        self.latencies: list[float] = []
        self.statuses: Counter[int] = Counter()
        self._pause = pause
        self._later: list[tuple[float, Connection]] = []
        self._selector = selectors.DefaultSelector()
        self.connections = [Connection(port, requests, turn) for turn in range(count)]
        for connection in self.connections:
            self._selector.register(connection.wire, selectors.EVENT_READ, connection)
            self._ask(connection)

    def step(self) -> None:
        """Receive what has come, and send again."""
        while self._later and self._later[0][0] <= time.perf_counter():
            self._ask(self._later.pop(0)[1])
        for key, mask in self._selector.select(0.01):
            connection = key.data
            if mask & selectors.EVENT_WRITE:
                connection.push()
                if not connection.unsent:
                    self._selector.modify(connection.wire, selectors.EVENT_READ, connection)
            if mask & selectors.EVENT_READ and (status := connection.pull()) is not None:
                self._answered(connection, status)

    def close(self) -> None:
        for connection in self.connections:
            connection.wire.close()

    def _answered(self, connection: Connection, status: int) -> None:
        self.statuses[status] += 1
        if status == 0:
            self._selector.unregister(connection.wire)
            connection.wire.close()
            connection.open()
            self._selector.register(connection.wire, selectors.EVENT_READ, connection)
        if status == 200:
            self.latencies.append(time.perf_counter() - connection.begin)
        if status == 503 and self._pause:
            self._later.append((time.perf_counter() + self._pause, connection))
        else:
            self._ask(connection)

    def _ask(self, connection: Connection) -> None:
        connection.ask()
        if connection.unsent:
            self._selector.modify(connection.wire, selectors.EVENT_READ | selectors.EVENT_WRITE, connection)


def load(server: Server, requests: list[bytes], count: int, seconds: float, pause: float = 0.0) -> Load:
    """Keep `count` connections busy for some seconds."""
    begin, used = time.perf_counter(), server.processor_seconds()
    client = Client(server.port, requests, count, pause)
    while time.perf_counter() < begin + seconds:
        client.step()
    spent, used = time.perf_counter() - begin, server.processor_seconds() - used
    client.close()
    return Load(spent, client.latencies, client.statuses, 1000 * used / max(sum(client.statuses.values()), 1))


def rates(arguments: argparse.Namespace, folder: Path) -> None:
    print("| images | connections | per second | p50 ms | p99 ms | other than 200 | ms of server | share | in cost |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, data in images().items():
        crops = "crop" in name
        server = Server("--model", arguments.model or "mien")
        sent = [request(data, "?detect=false" if crops else "")]
        load(server, sent, 4, 1)
        for count in arguments.connections:
            rate, cost = in_process(data, 600 if crops else 60, not crops, arguments.model, folder)
            found = load(server, sent, count, arguments.seconds)
            others = {status: number for status, number in found.statuses.items() if status != 200}
            print(
                f"| {name} | {count} | {found.rate:.0f} | {found.latency(0.5):.1f} | {found.latency(0.99):.1f} "
                f"| {others or 'none'} | {found.cost:.2f} | {found.rate / rate:.2f} of {rate:.0f} "
                f"| {cost / found.cost:.2f} of {cost:.2f} ms |",
                flush=True,
            )
        server.stop()


def compare(arguments: argparse.Namespace, folder: Path) -> None:
    """Serve from another source tree and from this one in turn, and measure `predict_many` between them."""
    trees = {"before": Path(arguments.compare), "after": Path(__file__).parents[1]}
    servers = {name: Server("--model", arguments.model or "mien", tree=tree) for name, tree in trees.items()}
    for name, data in images().items():
        crops = "crop" in name
        sent = [request(data, "?detect=false" if crops else "")]
        for server in servers.values():
            load(server, sent, 4, 1)
        for count in arguments.connections:
            found: dict[str, list[Load]] = {tree: [] for tree in trees}
            alone = []
            for turn in range(arguments.rounds):
                for tree in (list(trees), list(trees)[::-1])[turn % 2]:
                    found[tree].append(load(servers[tree], sent, count, arguments.seconds))
                alone.append(in_process(data, 600 if crops else 60, not crops, arguments.model, folder)[0])
            pairs = zip(found["before"], found["after"], strict=True)
            rates = {tree: median(one.rate for one in loads) for tree, loads in found.items()}
            costs = {tree: median(one.cost for one in loads) for tree, loads in found.items()}
            print(
                f"{name}, {count} connections: {rates['before']:.0f}/s before, {rates['after']:.0f}/s after, ratio "
                f"{median(after.rate / before.rate for before, after in pairs):.2f}; predict_many "
                f"{median(alone):.0f}/s, share {rates['before'] / median(alone):.2f} before, "
                f"{rates['after'] / median(alone):.2f} after; processor {costs['before']:.2f} ms per request before, "
                f"{costs['after']:.2f} after",
                flush=True,
            )
    for server in servers.values():
        server.stop()


def overload(arguments: argparse.Namespace) -> None:
    """Open ten times as many connections as may wait, each sending again at once."""
    waiting = 32
    for name, data in images().items():
        server = Server("--model", arguments.model or "mien", "--max-waiting", str(waiting))
        sent = [request(data, "?detect=false" if "crop" in name else "")]
        load(server, sent, 8, 3)
        normal = load(server, sent, waiting, arguments.seconds)
        before = server.memory()
        found = load(server, sent, 10 * waiting, 3 * arguments.seconds, pause=arguments.pause)
        print(
            f"{name}, {10 * waiting} connections, {waiting} may wait: {dict(found.statuses)}; accepted "
            f"{found.rate:.0f}/s, p50 {found.latency(0.5):.0f} ms, p99 {found.latency(0.99):.0f} ms (with {waiting} "
            f"connections {normal.rate:.0f}/s, p99 {normal.latency(0.99):.0f} ms); "
            f"memory {before:.0f} MiB before, {server.memory():.0f} after, "
            f"{server.memory('VmHWM'):.0f} at most",
            flush=True,
        )
        server.stop()


def soak(arguments: argparse.Namespace) -> None:
    """Send minutes of crops, photos, damaged images and bad requests, all mixed."""
    server = Server("--model", arguments.model or "mien")
    crop, photograph = images().values()
    sent = [request(crop, "?detect=false")] * 6 + [request(photograph), request(photograph[:9000]), request(b"nothing")]
    sent += [request(crop, "?model=nobody"), request(photograph, "?faces=largest")]
    sizes: list[float] = []
    statuses: Counter[int] = Counter()
    until = time.monotonic() + 60 * arguments.soak
    while time.monotonic() < until:
        statuses += load(server, sent, 8, min(10, 6 * arguments.soak)).statuses
        sizes.append(server.memory())
    fifth = max(len(sizes) // 5, 1)
    early, late = median(sizes[fifth : 2 * fifth] or sizes), median(sizes[-fifth:])
    print(
        f"soak of {arguments.soak} minutes: {dict(statuses)}; memory {sizes[0]:.0f} MiB at first, {early:.0f} in the "
        f"second fifth, {late:.0f} in the last: drift {late / early - 1:+.1%}; exit status {server.stop()}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 8, 64, 256])
    parser.add_argument("--compare", metavar="TREE", help="a checkout of another version")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--overload", action="store_true")
    parser.add_argument("--pause", type=float, default=0.0, help="seconds to wait after a 503")
    parser.add_argument("--soak", type=float, default=0, metavar="MINUTES")
    arguments = parser.parse_args()
    print(f"{processor()}, load average before: {os.getloadavg()[0]:.1f}")
    if arguments.soak:
        soak(arguments)
    elif arguments.overload:
        overload(arguments)
    else:
        with tempfile.TemporaryDirectory() as folder:
            (compare if arguments.compare else rates)(arguments, Path(folder))


if __name__ == "__main__":
    main()
