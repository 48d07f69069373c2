"""Attack `mien serve` in every known way at once, and measure what ordinary clients notice of it.

The server is a separate process, and so is each kind of attack, at a lower priority, as if it ran on other machines.
One ordinary client sends a face and asks for `/healthz` in turn: first alone, then during the siege. At the end the
server is told to stop while the attacks go on.

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
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from skimage.data import astronaut

from serve_load import Server, images, request

HOST = b"Host: 127.0.0.1\r\n"
POST = b"POST /v1/predict HTTP/1.1\r\n" + HOST
UPGRADE = (
    b"GET /v1/stream HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
#: Connections of one attack.
HELD = 16


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


def scans(count: int) -> bytes:
    """Return a progressive JPEG that repeats its last scan."""
    stream = io.BytesIO()
    Image.fromarray(np.asarray(astronaut())).resize((1024, 1024)).save(stream, "JPEG", progressive=True)  # type: ignore[no-untyped-call]
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
        "stuck": {"many scans": post(scans(4000)), "many scans to explain": post(scans(4000), b"/v1/explain")},
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


def besiege(port: int, kind: str, names: list[str], over: Any, counts: Any) -> None:
    """Run the attacks of one kind, one thread each, until told to stop."""
    os.nice(10)
    found: Counter[str] = Counter()

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

    for name, attack in attacks()[kind].items():
        if not names or name in names:
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


def tree_memory(process: int) -> float:
    """Return the resident memory of a process and its children, in MiB."""
    total = 0.0
    for folder in Path("/proc").iterdir():
        with suppress(OSError, ValueError, IndexError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(folder.name) == process or int(fields[1]) == process:
                total += int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    return total


def measure(server: Server, seconds: float) -> tuple[dict[str, list[float]], Counter[int], float]:
    """Return the latencies in milliseconds by what was asked, the statuses and the most memory in MiB."""
    latencies: dict[str, list[float]] = {}
    statuses: Counter[int] = Counter()
    most, looked = 0.0, 0.0
    for name, spent, status in ordinary(server.port, seconds):
        latencies.setdefault(name, []).append(1000 * spent)
        statuses[status] += 1
        if time.monotonic() > looked + 0.5:
            most, looked = max(most, tree_memory(server.process.pid)), time.monotonic()
    return latencies, statuses, most


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--kinds", nargs="+", default=["decoding", "stuck", "loops", "parsing"])
    parser.add_argument("--attacks", nargs="+", default=[], help="only these of each kind")
    parser.add_argument("--tree", type=Path, help="a checkout of another version to attack")
    arguments = parser.parse_args()
    server = Server(tree=arguments.tree)
    context = multiprocessing.get_context("fork")
    over, counts = context.Event(), context.Queue()
    besiegers = [
        context.Process(target=besiege, args=(server.port, kind, arguments.attacks, over, counts), daemon=True)
        for kind in arguments.kinds
    ]
    try:
        measure(server, 2)  # warm
        calm = measure(server, max(arguments.seconds / 6, 5))
        for one in besiegers:
            one.start()
        time.sleep(1)
        siege = measure(server, arguments.seconds)
        begin = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        status = server.process.wait(timeout=120)
        stopped = time.monotonic() - begin
        over.set()
        found = [counts.get(timeout=10) for _ in besiegers]
    finally:
        server.process.kill()
        for one in besiegers:
            if one.pid is not None:
                one.kill()
    print(f"{arguments.seconds:.0f} s, {', '.join(arguments.kinds)} {' '.join(arguments.attacks)}")
    for name in calm[0]:
        rows = [np.quantile(part[0][name], (0.5, 0.99)) for part in (calm, siege)]
        print(
            f"{name}: p50 {rows[0][0]:.1f} ms alone, {rows[1][0]:.1f} under siege; p99 {rows[0][1]:.1f} and "
            f"{rows[1][1]:.1f}: {rows[1][1] / rows[0][1]:.1f} times; longest {max(siege[0][name]):.0f} ms"
        )
    print(f"statuses {dict(calm[1])} alone, {dict(siege[1])} under siege")
    print(f"memory {calm[2]:.0f} MiB alone, at most {siege[2]:.0f} under siege")
    print(f"stopped in {stopped:.1f} s with status {status}")
    for counted in found:
        print(f"  {dict(sorted(counted.items()))}")


if __name__ == "__main__":
    main()
