"""Measure mien in the browser beside @vladmandic/human: speed, bytes, first answer and memory, in headless Chromium.

Chromium's fake webcam plays the video of `webcam_loop.py` at 640x480. In each round every reader gets a new browser:
the page is opened, the first answer is timed, then frames are read for `--seconds`. Readers take turns, so that what
else the machine does meets all of them. Processor time per frame, of all of Chromium, depends less on that than the
frames per second. Everything comes from this machine; a request elsewhere ends the run.

    make web                                     # the page and its library, into web/site
    python benchmarks/browser.py                 # 5 rounds of 20 s each
    python benchmarks/browser.py --rounds 0 --minutes 10 --readers page    # memory of the page alone

@vladmandic/human is fetched by `npm pack` once, or given as a folder with its package and that of its WebAssembly
backend. It runs its face detector and its emotion model, the rest as it comes, and again without its cache, which
skips the networks while the image hardly changes. It takes turns with its own drawing, mien runs in a worker.

`--minutes N` then lets the webcam run and prints the memory of the tab's process: `page` is the page that
`mien export --page` writes, with its timeline and the rows for its CSV, the others are the bare readers.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Error, sync_playwright

from browser_host import Host
from browser_memory import print_memory, resident
from mien.training.export.page import export_page
from webcam_loop import ARGUMENTS, processor_seconds, write_video

PACKAGES = ("@vladmandic/human@3.3.6", "@tensorflow/tfjs-backend-wasm@4.22.0")
#: A precise count of the memory of page and workers comes at once, not after some seconds.
MEMORY = "--enable-blink-features=ForceEagerMeasureMemory"
PATIENCE = 600_000


@dataclass(frozen=True)
class Reader:
    """What reads the webcam: `name` of a reader in `readers.js`, and its options."""

    title: str
    name: str
    options: Mapping[str, Any]

    @property
    def isolated(self) -> bool:
        """Whether its page may use several threads."""
        return bool(self.options["threads"] > 1)


def readers(model: str) -> dict[str, Reader]:
    """Return all readers by their short names."""
    human = {"backend": "wasm", "cache": True}
    return {
        "mien-1": Reader("mien, 1 thread", "mien", {"model": model, "threads": 1}),
        "mien-2": Reader("mien, 2 threads", "mien", {"model": model, "threads": 2}),
        "human-1": Reader("human, wasm, 1 thread", "human", {**human, "threads": 1}),
        "human-2": Reader("human, wasm, 2 threads", "human", {**human, "threads": 2}),
        "human-1-all": Reader("human, wasm, no cache, 1 thread", "human", {**human, "cache": False, "threads": 1}),
        "human-2-all": Reader("human, wasm, no cache, 2 threads", "human", {**human, "cache": False, "threads": 2}),
    }


@dataclass
class Found:
    """What the rounds of one reader gave."""

    rates: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)
    firsts: list[float] = field(default_factory=list)
    resident: list[float] = field(default_factory=list)
    faces: list[float] = field(default_factory=list)
    sent: int = 0


class Bench:
    """A site, its two hosts, and browsers with the fake webcam."""

    def __init__(self, folder: Path, model: str, packages: Path | None, chromium: str, driver: Any) -> None:
        site = folder / "site"
        self.page = export_page(site, [model])
        for path in (Path(__file__).parent / "browser_page").iterdir():
            shutil.copy(path, site / f"bench{path.suffix}" if path.suffix == ".html" else site / path.name)
        place_human(packages or fetch(folder), site / "human")
        self._clip, self._driver, self._chromium = folder / "webcam.y4m", driver, chromium
        write_video(self._clip)
        self.hosts = {isolated: Host(site, isolated=isolated) for isolated in (False, True)}

    @contextmanager
    def tab(self, address: str, *arguments: str) -> Iterator[Any]:
        """Open an address in a new browser."""
        foreign: list[str] = []
        clip = f"--use-file-for-fake-video-capture={self._clip}"
        words = [*ARGUMENTS, MEMORY, clip, *arguments]
        browser = self._driver.chromium.launch(executable_path=self._chromium, args=words, timeout=PATIENCE)
        try:
            context = browser.new_context()
            context.on("request", lambda request: foreign.extend(self.foreign(request.url)))
            page = context.new_page()
            page.set_default_timeout(PATIENCE)
            page.goto(address)
            yield page
        finally:
            browser.close()
        if foreign:
            raise SystemExit(f"requests to other hosts: {', '.join(foreign)}")

    def foreign(self, url: str) -> list[str]:
        """Return the address if it is not one of this run."""
        return [] if url.startswith((*(host.url for host in self.hosts.values()), "blob:", "data:")) else [url]

    def start(self, page: Any, reader: Reader) -> dict[str, Any]:
        started: dict[str, Any] = page.evaluate(
            "([name, options]) => bench.start(name, options)", [reader.name, dict(reader.options)]
        )
        assert started["size"] == [640, 480], started
        return started

    def address(self, reader: Reader) -> str:
        return f"{self.hosts[reader.isolated].url}bench.html"

    def measure(self, reader: Reader, seconds: float, found: Found) -> None:
        """Run one round of a reader."""
        host = self.hosts[reader.isolated]
        host.sent.clear()
        with self.tab(self.address(reader)) as page:
            started = self.start(page, reader)
            found.firsts.append(started["milliseconds"] / 1000)
            found.sent = sum(host.sent.values())
            page.evaluate("bench.run(2)")
            before = processor_seconds(os.getpid())
            told = page.evaluate("(seconds) => bench.run(seconds)", seconds)
            found.costs.append(1000 * (processor_seconds(os.getpid()) - before) / told["frames"])
            found.rates.append(told["frames"] / told["seconds"])
            found.faces.append(told["faces"] / told["frames"])
            found.resident.append(resident()[0])

    def works(self, backend: str) -> str:
        """Say whether a backend of human answers here."""
        reader = Reader("", "human", {"backend": backend, "cache": True, "threads": 1})
        try:
            with self.tab(self.address(reader)) as page:
                return f"answers {self.start(page, reader)['answer']}"
        except Error as error:
            return f"no: {str(error).partition(chr(10))[0][:90]}"

    def close(self) -> None:
        for host in self.hosts.values():
            host.close()


def fetch(folder: Path) -> Path:
    """Fetch the packages of human with npm."""
    out = folder / "packages"
    out.mkdir()
    subprocess.run(["npm", "pack", "--silent", *PACKAGES], cwd=out, check=True, stdout=subprocess.DEVNULL)
    return out


def place_human(packages: Path, out: Path) -> None:
    """Take what a page needs from the two packages."""
    for archive in sorted(packages.glob("*.tgz")):
        with tarfile.open(archive) as files:
            for member in files:
                name = Path(member.name)
                if name.suffix == ".wasm" and name.parent.name == "dist":
                    target = out / "wasm" / name.name
                elif name.parent.name == "models" or name.name == "human.esm.js":
                    target = out / Path(*name.parts[-1 - (name.parent.name == "models") :])
                else:
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                source = files.extractfile(member)
                assert source is not None
                target.write_bytes(source.read())
    if not (out / "human.esm.js").exists() or not list(out.glob("wasm/*.wasm")):
        raise SystemExit(f"{packages}: holds no {' and no '.join(PACKAGES)}; run npm pack {' '.join(PACKAGES)} there")


def spread(values: list[float], digits: int) -> str:
    """Return the median, with the smallest and the largest."""
    middle, least, most = (f"{value:.{digits}f}" for value in (statistics.median(values), min(values), max(values)))
    return f"{middle} ({least}-{most})"


def print_rounds(found: Mapping[str, Found], chosen: Mapping[str, Reader], rounds: int, seconds: float) -> None:
    print(f"\nmedian (least-most) of {rounds} rounds of {seconds:g} s; load of the machine {os.getloadavg()[0]:.1f}\n")
    print("| reader | frames per second | processor, ms per frame | first answer, s | load, MB | memory, MB | faces |")
    print("|---|---|---|---|---|---|---|")
    for name, one in found.items():
        print(
            f"| {chosen[name].title} | {spread(one.rates, 1)} | {spread(one.costs, 0)} | {spread(one.firsts, 1)} "
            f"| {one.sent / 1e6:.2f} | {statistics.median(one.resident):.0f} | {statistics.mean(one.faces):.2f} |"
        )


def watch_memory(bench: Bench, names: list[str], chosen: Mapping[str, Reader], minutes: float, every: float) -> None:
    for name in names:
        if name == "page":
            with bench.tab(bench.hosts[True].url) as page:
                page.click("#webcam")
                page.click("#consent-agree")
                page.locator(".face .answer").wait_for()
                print_memory("the page of mien export --page", page, minutes, every)
                with page.expect_download() as waiting:
                    page.click("#csv")
                print(f"rows in the CSV: {len(Path(waiting.value.path()).read_text('utf-8').splitlines()) - 1}")
            continue
        reader = Reader(chosen[name].title, chosen[name].name, {**chosen[name].options, "threads": 2})
        with bench.tab(bench.address(reader)) as page:
            bench.start(page, reader)
            page.evaluate("(seconds) => { globalThis.told = bench.run(seconds); }", 60 * minutes)
            print_memory(reader.title, page, minutes, every)
            print(f"frames: {page.evaluate('told')['frames']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--minutes", type=float, default=0, help="then let the webcam run so long, for memory  [0]")
    parser.add_argument("--every", type=float, default=15, help="seconds between counts of memory  [15]")
    parser.add_argument("--readers", help="of mien-1, mien-2, human-1, ...; for memory also page  [all]")
    parser.add_argument("--backends", default="", help="also say whether these of human answer: wasm,webgl,webgpu,cpu")
    parser.add_argument("--model", default="mien-int8")
    parser.add_argument("--packages", type=Path, help="a folder with the two .tgz of npm pack  [fetched]")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    options = parser.parse_args()
    known = readers(options.model)
    names = options.readers.split(",") if options.readers else list(known)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        bench = Bench(Path(folder), options.model, options.packages, options.chromium, driver)
        with bench.tab("about:blank") as page:
            print(f"Chromium {page.context.browser.version}, {os.cpu_count()} cores")
        print(f"first load of mien's page: {bench.page.compressed / 1e6:.2f} MB gzip")
        for backend in filter(None, options.backends.split(",")):
            print(f"human with {backend}: {bench.works(backend)}")
        found = {name: Found() for name in names if name in known}
        for number in range(options.rounds):
            order = list(found)
            for name in order if number % 2 == 0 else order[::-1]:
                bench.measure(known[name], options.seconds, found[name])
                print(
                    f"round {number + 1}: {known[name].title}: {found[name].rates[-1]:.1f} frames per second",
                    flush=True,
                )
        if options.rounds:
            print_rounds(found, known, options.rounds, options.seconds)
        if options.minutes:
            watch_memory(bench, names, known, options.minutes, options.every)
        bench.close()


if __name__ == "__main__":
    main()
