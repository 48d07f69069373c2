"""Attack `mien serve` in every known way at once, and measure what ordinary clients notice of it.

The server is a separate process, and so is each kind of attack, at a lower priority, as if it ran on other machines.
One ordinary client sends a face and asks for `/healthz` in turn: first alone, then during the siege. At the end the
server is told to stop while the attacks go on.

The attackers take processor time that they would not take on other machines, and so does the ordinary client. Its
latency is therefore also measured beside harmless neighbours: as many processes of the same priority that took no more
and no less of the processor than the attackers did. The first ratio says what the siege cost on this machine, the
second what of that the server could have prevented.

    python benchmarks/server_siege.py [--seconds 600] [--kinds decoding stuck loops parsing] [--attacks chunks pings]
"""

import argparse
import io
import multiprocessing
import os
import random
import re
import signal
import socket
import struct
import tempfile
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from skimage.data import astronaut

from latency import processor
from serve_load import TICKS, Server, images, request

HOST = b"Host: 127.0.0.1\r\n"
POST = b"POST /v1/predict HTTP/1.1\r\n" + HOST
UPGRADE = (
    b"GET /v1/stream HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
#: Connections of one attack.
HELD = 16
#: Niceness of attackers and neighbours.
NICENESS = 10
#: Siege over undisturbed latency, 99th percentile, that is wanted at most.
WANTED = 3


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def strip() -> bytes:
    """Return a PNG of 8x6 000 000 pixels in 50 kB."""
    packer, rows = zlib.compressobj(9), bytes(2 * 60_000)
    data = b"".join([packer.compress(rows) for _ in range(100)] + [packer.flush()])
    head = struct.pack(">IIBBBBB", 8, 6_000_000, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head) + png_chunk(b"IDAT", data) + png_chunk(b"IEND", b"")


def text_chunks(count: int) -> bytes:
    """Return a small PNG with compressed texts, each of which unpacks to a megabyte."""
    stream = io.BytesIO()
    Image.fromarray(np.zeros((48, 48), np.uint8)).save(stream, "PNG")
    data = stream.getvalue()
    text = png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1_000_000)))
    return data[:33] + count * text + data[33:]


def scans(count: int, empty: bool = False) -> bytes:
    """Return a progressive JPEG of 1024x1024 pixels that repeats its last scan, of 34 KB or of some bytes."""
    stream = io.BytesIO()
    photo = Image.fromarray(np.asarray(astronaut())).resize((1024, 1024))  # type: ignore[no-untyped-call]
    (Image.new("RGB", photo.size) if empty else photo).save(stream, "JPEG", progressive=True)
    data = stream.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:last] + count * data[last:-2] + data[-2:]


def tiles() -> bytes:
    """Return a TIFF of 16x16 pixels in one tile of 40000x47488."""
    tags = [(256, 4, 16), (257, 4, 16), (258, 3, 8), (259, 3, 8), (262, 3, 1), (277, 3, 1), (322, 4, 40000)]
    tags += [(323, 4, 47488), (324, 4, 200), (325, 4, 30)]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
    return head.ljust(200, b"\0") + zlib.compress(bytes(1000)).ljust(30, b"\0")


def connect(port: int) -> socket.socket:
    found = socket.create_connection(("127.0.0.1", port), timeout=60)
    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return found


def post(data: bytes, path: bytes = b"/v1/predict") -> Callable[[int], bytes]:
    """Return an attack that sends an image and waits for the answer."""

    def attack(port: int) -> bytes:
        head = b"POST %s HTTP/1.1\r\n" % path + HOST + b"Content-Length: %d\r\n\r\n" % len(data)
        with connect(port) as wire:
            wire.sendall(head + data)
            return wire.recv(4096)

    return attack


def endless(head: bytes, piece: bytes, most: int = 1 << 31) -> Callable[[int], bytes]:
    """Return an attack that sends a head and then the same bytes again and again, and reads only at the end."""

    def attack(port: int) -> bytes:
        sent = 0
        with connect(port) as wire:
            wire.sendall(head)
            with suppress(OSError):
                while sent < most:
                    wire.sendall(piece)
                    sent += len(piece)
            return wire.recv(4096)

    return attack


def stream(piece: bytes) -> Callable[[int], bytes]:
    """Return an attack that opens a stream and sends frames without reading anything."""

    def attack(port: int) -> bytes:
        with connect(port) as wire:
            wire.sendall(UPGRADE)
            answer = wire.recv(4096)
            with suppress(OSError):
                while True:
                    wire.sendall(piece)
            return answer

    return attack


def hold(begin: bytes, drip: bytes = b"", small: bool = True) -> Callable[[int], bytes]:
    """Return an attack that holds many connections open after some bytes, and reads nothing of the answers."""

    def attack(port: int) -> bytes:
        wires = []
        for _ in range(HELD):
            wire = socket.socket()
            if small:
                wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            wire.settimeout(60)
            wire.connect(("127.0.0.1", port))
            wire.sendall(begin)
            wires.append(wire)
        until = time.monotonic() + 40
        while time.monotonic() < until and wires:
            time.sleep(0.1)
            for wire in wires if drip else ():
                with suppress(OSError):
                    wire.sendall(drip)
        for wire in wires:
            wire.close()
        return b""

    return attack


def form(piece: bytes) -> Callable[[int], bytes]:
    """Return an attack with a form of 31 MB whose only part repeats some bytes."""
    size = 31_000_000 // len(piece) * len(piece)
    head = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    kind = b"Content-Type: multipart/form-data; boundary=edge\r\nContent-Length: %d\r\n\r\n" % (size + len(head))
    return endless(POST + kind + head, piece * (65536 // len(piece)), size)


def masked(first: int, size: int = 0) -> bytes:
    """Return a WebSocket frame of zeros."""
    return bytes([first, 0x80 | size]) + bytes(4 + size)


def attacks() -> dict[str, dict[str, Callable[[int], bytes]]]:
    """Return all attacks by kind and name."""
    photo = io.BytesIO()
    Image.fromarray(np.asarray(astronaut())).resize((1280, 1280)).save(photo, "PNG")  # type: ignore[no-untyped-call]
    explain = b"POST /v1/explain HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % len(photo.getvalue())
    chunked = POST + b"Transfer-Encoding: chunked\r\n\r\n"
    return {
        "decoding": {
            "tiles": post(tiles()),
            "texts": post(text_chunks(60)),
            "scans": post(scans(400)),
        },
        # As many scans as the estimate allows.
        "stuck": {
            "many scans": post(scans(2000, empty=True)),
            "many scans to explain": post(scans(2000, empty=True), b"/v1/explain"),
        },
        "loops": {"strip": post(strip())},
        "parsing": {
            "chunks": endless(chunked, b"1\r\nx\r\n" * 10_000),
            "chunk extensions": endless(chunked, (b"1;" + b"a" * 200 + b"\r\nx\r\n") * 300),
            "nearly boundaries": form(b"\r\n--edgeX"),
            "padding": form(b"\r\n--edge" + b" " * 60_000),
            "carriage returns": form(b"\r"),
            "heads": endless(b"GET / HTTP/1.1\r\n" + HOST, b"a:\r\n" * 4000, 16_000),
            "queries": endless(b"GET /v1/predict?" + b"a&" * 7000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", b"", 0),
            "pipelined": endless(b"", (b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n") * 500),
            "slow readers": hold(explain + photo.getvalue()),
            "trickled bodies": hold(POST + b"Content-Length: 100000\r\n\r\n", b"x"),
            "pings": stream(masked(0x89, 100) * 1000),
            "small frames": stream(masked(0x82) * 10_000),
            "fragments": stream(masked(0x02) + masked(0x00) * 10_000),
        },
    }


def besiege(port: int, kind: str, names: list[str], begun: Any, over: Any, counts: Any) -> None:
    """Run the attacks of one kind, one thread each, until told to stop."""
    chosen = {name: attack for name, attack in attacks()[kind].items() if not names or name in names}
    os.nice(NICENESS)
    found: Counter[str] = Counter()
    begun.wait()

    def run(name: str, attack: Callable[[int], bytes]) -> None:
        while not over.is_set():
            try:
                answer = attack(port)
            except OSError as error:
                answer = type(error).__name__.encode()
            found[
                f"{name}: {answer.split(b' ', 2)[1].decode() if answer[:4] == b'HTTP' else answer[:30].decode()}"
            ] += 1
            time.sleep(random.random() / 50)

    for name, attack in chosen.items():
        threading.Thread(target=run, args=(name, attack), daemon=True).start()
    over.wait()
    counts.put(dict(found))


def read_status(wire: socket.socket) -> int:
    """Read a whole answer; return its status, 0 if the connection was closed."""
    data = b""
    while chunk := wire.recv(65536):
        data += chunk
        head, gap, body = data.partition(b"\r\n\r\n")
        if gap and len(body) >= int(re.findall(rb"content-length: (\d+)", head, re.IGNORECASE)[0]):
            return int(data[9:12])
    return 0


def ordinary(port: int, seconds: float) -> Iterator[tuple[str, float, int]]:
    """Ask now and then like a client without bad intentions; yield what was asked, the seconds and the status."""
    asked = {
        "face": request(images()["48-px crops"], "?detect=false"),
        "healthz": b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n",
    }
    until, wire = time.monotonic() + seconds, connect(port)
    while time.monotonic() < until:
        for name, data in asked.items():
            begin, status = time.perf_counter(), 0
            try:
                wire.sendall(data)
                status = read_status(wire)
            except OSError:
                pass
            yield name, time.perf_counter() - begin, status
            if status != 200:
                wire.close()
                wire = connect(port)
            time.sleep(0.02)


def be_neighbour(share: float) -> None:
    """Take a share of a core for ever, a hundred times a second."""
    os.nice(NICENESS)
    while True:
        begin = time.monotonic()
        until = time.process_time() + share / 100
        while time.process_time() < until:
            pass
        time.sleep(max(begin + 0.01 - time.monotonic(), 0))


def processes(process: int) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the fields of /proc/N/stat, from the state on, of a process and its children."""
    for folder in Path("/proc").iterdir():
        with suppress(OSError, ValueError, IndexError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(folder.name) == process or int(fields[1]) == process:
                yield int(folder.name), fields


def tree_memory(process: int) -> float:
    """Return the resident memory of a process and its children, in MiB."""
    return sum(int(fields[21]) for _, fields in processes(process)) * os.sysconf("SC_PAGE_SIZE") / 2**20


def processor_seconds(process: int) -> tuple[float, float]:
    """Return the processor time of a process, and of its children, those that ended included."""
    own = children = 0
    for number, fields in processes(process):
        if number == process:
            own, children = own + sum(map(int, fields[11:13])), children + sum(map(int, fields[13:15]))
        else:
            children += sum(map(int, fields[11:13]))
    return own / TICKS, children / TICKS


@dataclass
class Measured:
    """What an ordinary client and the machine noticed for a while; shares are of one core."""

    latencies: dict[str, list[float]]
    statuses: Counter[int]
    memory: float
    server_share: float
    decoders_share: float


def measure(server: Server, seconds: float) -> Measured:
    """Return the latencies in milliseconds by what was asked, the statuses and the most memory in MiB."""
    latencies: dict[str, list[float]] = {}
    statuses: Counter[int] = Counter()
    most, looked, begin = 0.0, 0.0, time.monotonic()
    before = processor_seconds(server.process.pid)
    for name, spent, status in ordinary(server.port, seconds):
        latencies.setdefault(name, []).append(1000 * spent)
        statuses[status] += 1
        if time.monotonic() > looked + 0.5:
            most, looked = max(most, tree_memory(server.process.pid)), time.monotonic()
    after, took = processor_seconds(server.process.pid), time.monotonic() - begin
    own, children = ((b - a) / took for a, b in zip(before, after, strict=True))
    return Measured(latencies, statuses, most, own, children)


@dataclass
class Siege:
    """A siege: its measures, the seconds and the status of the stop, and what the attackers did and took."""

    measured: Measured
    stopped: float
    status: int
    counts: list[dict[str, int]]
    shares: list[float]


def lay_siege(server: Server, arguments: argparse.Namespace) -> Siege:
    """Attack a server until it has stopped."""
    context = multiprocessing.get_context("fork")
    begun, over, counts = context.Barrier(len(arguments.kinds) + 1), context.Event(), context.Queue()
    besiegers = [
        context.Process(target=besiege, args=(server.port, kind, arguments.attacks, begun, over, counts), daemon=True)
        for kind in arguments.kinds
    ]
    try:
        for one in besiegers:
            one.start()
        begun.wait()
        time.sleep(1)
        used, begin = [processor_seconds(one.pid or 0)[0] for one in besiegers], time.monotonic()
        measured = measure(server, arguments.seconds)
        took = time.monotonic() - begin
        shares = [
            (processor_seconds(one.pid or 0)[0] - before) / took for one, before in zip(besiegers, used, strict=True)
        ]
        begin = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        status = server.process.wait(timeout=120)
        stopped = time.monotonic() - begin
        over.set()
        return Siege(measured, stopped, status, [counts.get(timeout=10) for _ in besiegers], shares)
    finally:
        for one in besiegers:
            one.kill()


def beside_neighbours(arguments: argparse.Namespace, shares: list[float]) -> Measured:
    """Measure a server beside processes that take these shares of a core."""
    server = Server(tree=arguments.tree)
    context = multiprocessing.get_context("fork")
    neighbours = [context.Process(target=be_neighbour, args=(min(share, 1.0),), daemon=True) for share in shares]
    try:
        for one in neighbours:
            one.start()
        measure(server, 2)  # warm
        return measure(server, max(arguments.seconds / 6, 5))
    finally:
        server.process.kill()
        for one in neighbours:
            one.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--kinds", nargs="+", default=["decoding", "stuck", "loops", "parsing"])
    parser.add_argument("--attacks", nargs="+", default=[], help="only these of each kind")
    parser.add_argument("--tree", type=Path, help="a checkout of another version to attack")
    arguments = parser.parse_args()
    print(f"{processor()}, load average before: {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryFile("w+") as log:
        server = Server(tree=arguments.tree, log=log)
        try:
            measure(server, 2)  # warm
            calm = measure(server, max(arguments.seconds / 6, 5))
            siege = lay_siege(server, arguments)
        finally:
            server.process.kill()
        log.seek(0)
        lines = log.read().splitlines()
    neighbours = beside_neighbours(arguments, siege.shares)
    found = siege.measured
    print(f"{arguments.seconds:.0f} s, {', '.join(arguments.kinds)} {' '.join(arguments.attacks)}")
    for name in calm.latencies:
        alone, beside, under = (np.quantile(part.latencies[name], (0.5, 0.99)) for part in (calm, neighbours, found))
        print(
            f"{name}: p50 {alone[0]:.1f} ms alone, {beside[0]:.1f} beside neighbours, {under[0]:.1f} under siege; p99 "
            f"{alone[1]:.1f}, {beside[1]:.1f} and {under[1]:.1f}: {under[1] / alone[1]:.1f} times alone, "
            f"{under[1] / beside[1]:.1f} times beside neighbours (wanted: {WANTED}); longest "
            f"{max(found.latencies[name]):.0f} ms"
        )
    others = {status: number for status, number in found.statuses.items() if status != 200}
    print(f"ordinary requests under siege: {found.statuses[200]} answered 200, {sum(others.values())} others {others}")
    print(
        f"cores: attackers {', '.join(f'{share:.2f}' for share in siege.shares)}; server {found.server_share:.2f} and "
        f"its decoders {found.decoders_share:.2f} under siege, {calm.server_share:.2f}, {calm.decoders_share:.2f} alone"
    )
    print(f"memory {calm.memory:.0f} MiB alone, at most {found.memory:.0f} under siege")
    print(f"stopped in {siege.stopped:.1f} s with status {siege.status}")
    tracebacks = [number for number, line in enumerate(lines) if line.startswith("Traceback")]
    print(f"log: {len(lines)} lines, {len(tracebacks)} tracebacks")
    for number in tracebacks[:3]:
        print("  " + next((line for line in lines[number + 1 :] if line[:1].strip()), ""))
    for counted in siege.counts:
        print(f"  {dict(sorted(counted.items()))}")


if __name__ == "__main__":
    main()
