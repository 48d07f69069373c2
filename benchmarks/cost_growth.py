"""Measure how cost grows with the number of files: processor time per file and memory, from a hundred to a million.

Tiny files, so that what an image costs by itself hides nothing: grey pictures of 24 pixels that all differ for `check`
(files alone, with the search for copies) and for the cache of `train`, and hard links to a hundred of them for
`predict` (`mien-light`, whole images, to CSV). Each count is read in a process of its own. Processor time is that of
all its processes; per file, it is that beyond the run on the fewest files, which has the same start. Memory is the
largest sum of what the processes have for themselves; mapped files do not count. Both hold on a busy machine. Linux
only.

    python benchmarks/cost_growth.py [--files 100 10000 1000000] [--only check cache predict] [--plot FILE.png]
    python benchmarks/cost_growth.py --only check --files 1000000     # a part, beside what was recorded before
    python benchmarks/cost_growth.py --files                          # draw what was recorded

With MIEN_RECORD=1, as under `make bench`, figures are added to those that were recorded before, and the plot of the
docs is drawn of all. A million files take up to 6.5 GB of disk: 4 for the pictures, and 2.3 for the cache or 2 for what
`check` compares; the links and rows of `predict` take 1.5 GB. They lie in the folder for temporary files ($TMPDIR) and
are deleted after each count, unless `--folder` names another: it keeps the pictures for the next part.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from measured import RECORD, ROOT, Row, processor, record, results

SIDE, CELLS = 24, 6  # pixels, and squares of one grey on a side
FOLDER = 1000  # files in a folder
LINKED = 100  # files that the links lead to
PLOT = ROOT / "docs" / "images" / "cost-growth.png"
DOORS = ("check", "cache", "predict")

CACHE = """
import sys
from pathlib import Path
from mien.data.dataset import read_manifest
from mien.training.loop.cache import cached_crops
cached_crops(read_manifest(Path(sys.argv[1])), 48, 1, Path(sys.argv[2]))
"""


@dataclass(frozen=True)
class Cost:
    """What a run on `files` files took: seconds of the processor, and MiB of private memory."""

    files: int
    seconds: float
    memory: float


def draw(folder: Path, count: int) -> None:
    """Write so many different pictures in two classes."""
    rng = np.random.default_rng(0)
    for label in ("happy", "sad"):
        for start in range(0, count // 2, FOLDER):
            place = folder / label / f"{start // FOLDER:04}"
            place.mkdir(parents=True)
            cells = rng.integers(0, 256, (min(FOLDER, count // 2 - start), CELLS, CELLS), np.uint8)
            for number, image in enumerate(cells.repeat(SIDE // CELLS, axis=1).repeat(SIDE // CELLS, axis=2)):
                (place / f"{number:03}.pgm").write_bytes(b"P5 %d %d 255\n" % (SIDE, SIDE) + image.tobytes())


def link(folder: Path, count: int, sources: Sequence[Path]) -> None:
    """Link to some files so many times."""
    for number in range(count):
        place = folder / f"{number // FOLDER:04}"
        if number % FOLDER == 0:
            place.mkdir(parents=True)
        os.link(sources[number % len(sources)], place / f"{number:07}.pgm")


def measured(files: int, call: Sequence[str | Path]) -> Cost:
    """Run a command to its end."""
    memory, status = 0.0, None
    process = psutil.Popen([sys.executable, *map(str, call)], stdout=subprocess.DEVNULL)
    while status is None:
        memory = max(memory, private(process))
        time.sleep(0.1)
        done, status, usage = os.wait4(process.pid, os.WNOHANG)
        status = status if done else None
    if os.waitstatus_to_exitcode(status) not in (0, 1):
        sys.exit(f"failed: {' '.join(map(str, call))}")
    return Cost(files, usage.ru_utime + usage.ru_stime, memory)


def private(process: psutil.Popen) -> float:
    """Return the MiB that a process and those it started have for themselves."""
    found = 0.0
    try:
        for one in (process, *process.children(recursive=True)):
            held = one.memory_info()
            found += (held.rss - held.shared) / 2**20
    except psutil.Error:
        pass
    return found


def through(door: str, place: Path, count: int) -> Cost:
    """Measure a door on so many files, which are made in `place` unless they are there already."""
    pictures = place / (f"linked-{count}" if door == "predict" else f"drawn-{count}")
    if not pictures.exists():
        draw(pictures, count) if door != "predict" else link(pictures, count, few(place))
    with tempfile.TemporaryDirectory(dir=place) as out:
        light = ("--no-detect", "--model", "mien-light", "--csv", f"{out}/rows.csv")
        calls: dict[str, tuple[str | Path, ...]] = {
            "check": ("-m", "mien", "check", "--quick", pictures),
            "cache": ("-c", CACHE, pictures, out),
            "predict": ("-m", "mien", "predict", pictures, *light),
        }
        return measured(count, calls[door])


def few(place: Path) -> list[Path]:
    """Return the files that links lead to."""
    if not (place / "few").exists():
        draw(place / "few", LINKED)
    return sorted((place / "few").rglob("*.pgm"))


def recorded() -> dict[str, dict[int, Cost]]:
    """Return what was recorded before, by door and number of files."""
    figures = results().get("cost_growth", {"figures": {}})["figures"]
    found: dict[str, dict[int, Cost]] = {door: {} for door in DOORS}
    for name, figure in figures.items():
        if match := re.fullmatch(r"(\w+), ([\d ]+) files", name):
            files = int(match[2].replace(" ", ""))
            found[match[1]][files] = Cost(files, figure["value"], figures[f"{name}: memory"]["value"])
    return found


def each(costs: Sequence[Cost]) -> list[tuple[int, float, float]]:
    """Return files, milliseconds per file and bytes per file beyond the first run, of each run but that."""
    first = costs[0]
    return [
        (cost.files, 1e3 * (cost.seconds - first.seconds) / (cost.files - first.files),
         2**20 * (cost.memory - first.memory) / (cost.files - first.files))
        for cost in costs[1:]
    ]  # fmt: skip


def plot(found: dict[str, list[Cost]], path: Path) -> None:
    """Draw processor time per file, and memory, against the number of files."""
    from mien.viz.charts import Axes, chart, line_style

    def panel(ylabel: str, points: Callable[[list[Cost]], list[tuple[int, float]]]) -> Callable[[Axes], None]:
        def drawn(axis: Axes) -> None:
            for number, (door, costs) in enumerate(found.items()):
                if len(costs) > 1:
                    axis.plot(
                        *zip(*points(costs), strict=True), marker="o", markersize=3, label=door, **line_style(number)
                    )
            axis.set_xscale("log")
            axis.set_xlabel("files")
            axis.set_ylabel(ylabel)
            axis.set_ylim(bottom=0)
            axis.grid(axis="y")
            axis.legend(fontsize=8.5)

        return drawn

    chart(
        "cost-growth",
        [
            panel("processor time per file, ms", lambda costs: [(files, spent) for files, spent, _ in each(costs)]),
            panel("memory, MiB", lambda costs: [(cost.files, cost.memory) for cost in costs]),
        ],
        columns=2, width=4.5, height=3.2, caption="", alt="",
    ).save(path)  # fmt: skip


def rows_of(found: dict[str, list[Cost]]) -> list[Row]:
    """Return all figures: what `recorded` reads, and what they are for each file."""
    rows: list[Row] = []
    for door, costs in found.items():
        names = [f"{door}, {f'{cost.files:,}'.replace(',', ' ')} files" for cost in costs]
        for name, cost in zip(names, costs, strict=True):
            rows += [(name, "s of the processor", cost.seconds), (f"{name}: memory", "MiB", cost.memory)]
        for name, (_, spent, held) in zip(names[1:], each(costs), strict=True):
            rows += [(f"{name}: each", "ms", spent), (f"{name}: memory for each", "bytes", max(held, 0.0))]
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, nargs="*", default=[100, 10_000, 1_000_000], metavar="N")
    parser.add_argument("--only", nargs="+", choices=DOORS, default=DOORS)
    parser.add_argument("--folder", type=Path, help="make the files here, and keep them for the next call")
    parser.add_argument("--plot", type=Path, metavar="FILE.png")
    options = parser.parse_args()
    print(processor())
    found = recorded()
    for count in sorted(options.files):
        with tempfile.TemporaryDirectory() as folder:
            place = options.folder or Path(folder)
            place.mkdir(parents=True, exist_ok=True)
            for door in options.only:
                one = found[door][count] = through(door, place, count)
                print(
                    f"{door:8} {count:9} files: {one.seconds:9.1f} s of the processor, {one.memory:6.0f} MiB",
                    flush=True,
                )
    listed = {door: [costs[count] for count in sorted(costs)] for door, costs in found.items() if costs}
    rows = rows_of(listed)
    for what, unit, value in rows:
        print(f"{what}: {value:.3g} {unit}")
    if options.files:
        record("cost_growth", rows, "Figures of other `--files` and `--only` are of earlier calls.")
    if options.plot or os.environ.get(RECORD):
        plot(listed, options.plot or PLOT)


if __name__ == "__main__":
    main()
