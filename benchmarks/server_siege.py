"""Attack `mien serve` in every known way at once, and measure what ordinary clients notice of it.

The server is a separate process, and so is each kind of attack, at a lower priority, as if it ran on other machines.
One ordinary client sends a face and asks for `/healthz` in turn: first alone, then during the siege. At the end the
server is told to stop while the attacks go on.

The ordinary client runs at real-time priority if it may, which on Linux only root may: otherwise its own waits for a
core count as the server's. The attackers take processor time that they would not take on other machines. The latency
is therefore also measured beside harmless neighbours: as many processes of the same priority that take as much of the
processor as the attackers did. The first ratio says what the siege cost on this machine, the second what of that the
server could have prevented.

    python benchmarks/server_siege.py [--seconds 600] [--kinds decoding stuck loops parsing] [--attacks chunks pings]
"""

import argparse
import multiprocessing
import os
import re
import signal
import socket
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from measured import processor
from serve_load import Server, images, request
from siege_attacks import HOST, NICENESS, besiege, connect

TICKS = os.sysconf("SC_CLK_TCK")
#: Siege over undisturbed latency, 99th percentile, that is wanted at most.
WANTED = 3


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
    with suppress(OSError, AttributeError):  # as if it ran on another machine; only root may, on Linux
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
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
    print(f"log: {len(lines)} lines, {sum(line.startswith('Traceback') for line in lines)} tracebacks")
    for line, count in Counter(line for line in lines if line[:1].strip()).most_common(5):
        print(f"  {count} times {line}")
    for counted in siege.counts:
        print(f"  {dict(sorted(counted.items()))}")


if __name__ == "__main__":
    main()
