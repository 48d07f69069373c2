"""The attacks of `server_siege.py`, by kind: each opens connections to a server and returns what it answered."""

import io
import os
import random
import socket
import struct
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
from PIL import Image
from skimage.data import astronaut

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
