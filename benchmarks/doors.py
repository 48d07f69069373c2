"""Put hostile and large files through every door that takes them; print exit status, seconds and memory of each.

    python benchmarks/doors.py CASES... [--large] [--door NAME]... [--only TEXT]

CASES are folders of files: images, videos and archives go through the doors of images and of labelled data, a bundle
(`model.onnx` or `config.json`) and a Keras file through those of models, a TOML file through that of settings, a folder
of labelled images through those of data, a CSV or JSON also through those of answers and decisions. `--large` adds
images of the largest sizes that are answered, and larger ones.

Seconds are those of the clock and of the processor. Memory is the largest sum over the processes of a command, of what
each has for itself and its share of what is shared (PSS). `!` marks what breaks a limit: 10 seconds of the processor,
600 MiB, an exit status other than 0, 1 and 2 (HTTP: 500 and above), a traceback. Doors that load Keras hold more before
they see a file. Linux only.
"""

import argparse
import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from isolation_speed import processor_seconds
from large_images import LARGE
from mien.data.fixes.records import FILE_NAME
from mien.data.synthetic.faces import write_dataset

MAX_SECONDS, MAX_MIB = 10.0, 600.0
_END_AFTER = 600.0
_SAMPLED_SECONDS = 0.02
_ORDINARY = re.compile("happy-|sad-|ordinary.png")
_MODELS = {".keras", ".h5"}

#: The cache of `mien train`, which decodes every image of a dataset, and the samples that `mien show` draws.
CACHE = """
import sys
from pathlib import Path
from mien.data.dataset import read_manifest
from mien.errors import MienError
from mien.training.loop.cache import cached_crops
try:
    print(cached_crops(read_manifest(Path(sys.argv[1])), 48, 1, Path(sys.argv[2])).shape)
except MienError as error:
    sys.exit(f"mien: {error}")
"""
SAMPLES = """
import sys
from pathlib import Path
from mien.data.dataset import read_manifest, sample_images
from mien.errors import MienError
try:
    found = read_manifest(Path(sys.argv[1]))
    print(sum(1 for _ in sample_images(found, [one.name for one in found.samples], 100, 0)), "images")
except MienError as error:
    sys.exit(f"mien: {error}")
"""
#: The page of `mien fix`: what it knows of a dataset, and each image as it shows it.
PAGE = """
import json, sys
from mien.data.fixes.opening import open_session
from mien.errors import MienError
from mien.server.fix.desk import Desk
from mien.server.problems import Problem
try:
    desk = Desk(open_session(sys.argv[1], detect=False))
    shown = 0
    for name in desk.session.audit.facts:
        for size in ("large", "tile"):
            try:
                shown += len(desk.picture(name, size).jpeg) > 0
            except Problem as problem:
                print("mien:", problem.detail, file=sys.stderr)
    print(shown, "pictures,", len(json.dumps(desk.state())), "bytes of state")
except MienError as error:
    sys.exit(f"mien: {error}")
"""


class Outcome(NamedTuple):
    """How a command ended: exit status, seconds of the clock and the processor, MiB, and the line that says so."""

    status: int
    seconds: float
    processor: float
    mib: float
    line: str

    @property
    def breaks(self) -> bool:
        """Whether a limit is broken."""
        known = self.status in (0, 1, 2) or 200 <= self.status < 500
        return (
            not known
            or self.processor > MAX_SECONDS
            or self.seconds > _END_AFTER
            or self.mib > MAX_MIB
            or "Traceback" in self.line
        )


def tree(pid: int) -> Iterator[int]:
    """Yield a process and those that it started."""
    yield pid
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from tree(int(child))
    except OSError:
        return


def memory(pid: int) -> float:
    """Return the memory of a process and its children, in MiB."""
    total = 0
    for one in tree(pid):
        try:
            total += int(re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{one}/smaps_rollup").read_text(), re.M)[1])  # type: ignore[index]
        except (OSError, TypeError):
            continue
    return total / 1024


class Watch:
    """Sample the memory of a process and its children while the block runs."""

    def __init__(self, pid: int) -> None:
        self.pid, self.mib, self._end = pid, 0.0, threading.Event()

    def __enter__(self) -> "Watch":
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def _run(self) -> None:
        while not self._end.wait(_SAMPLED_SECONDS):
            self.mib = max(self.mib, memory(self.pid))

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()


def run(command: list[str], place: Path) -> Outcome:
    """Run a command in a new folder and measure it."""
    began = time.monotonic()
    out, err = place / "stdout", place / "stderr"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, cwd=place)
        before = os.times()
        with Watch(process.pid) as watch:
            try:
                status = process.wait(_END_AFTER)
            except subprocess.TimeoutExpired:
                process.kill()
                status = process.wait()
        after = os.times()
    processor = after.children_user + after.children_system - before.children_user - before.children_system
    return Outcome(status, time.monotonic() - began, processor, watch.mib, said(out, err))


def said(out: Path, err: Path) -> str:
    """Return the row or the line that a command ends with; that of a traceback first."""
    shown, errors = out.read_text("utf-8", "replace"), err.read_text("utf-8", "replace")
    if "Traceback" in errors:
        return "Traceback: " + errors.strip().splitlines()[-1]
    for line in shown.splitlines():
        if line.startswith("{"):
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if "status" in row and not _ORDINARY.search(str(row["source"])):
                return f"{row['status']}: {row['reason'] or [face['answer'] for face in row['faces']]}"
    issues = [line.strip() for line in shown.splitlines() if "case" in line]
    lines = issues[:1] + errors.strip().splitlines()[-1:] or shown.strip().splitlines()[-1:]
    return " | ".join(" ".join(line.split()) for line in lines)


class Doors:
    """The doors; each takes a file or a folder and returns how it ended."""

    def __init__(self, work: Path) -> None:
        self._work, self._number = work, 0
        self._ordinary = work / "ordinary"
        write_dataset(self._ordinary, 4, seed=1, size=96)
        self._server: subprocess.Popen[str] | None = None

    def place(self) -> Path:
        """Return a new folder."""
        self._number += 1
        found = self._work / str(self._number)
        found.mkdir()
        return found

    def mien(self, *arguments: object) -> Outcome:
        """Run the command; `{new}` in an argument is its new folder."""
        place = self.place()
        return run([sys.executable, "-m", "mien", *(str(one).replace("{new}", str(place)) for one in arguments)], place)

    def python(self, code: str, *arguments: object) -> Outcome:
        """Run Python code."""
        place = self.place()
        return run([sys.executable, "-c", code, *(str(one).replace("{new}", str(place)) for one in arguments)], place)

    def labelled(self, path: Path) -> Path:
        """Return a source of two classes that has this file in one; an archive, a table or a folder is its own."""
        if path.is_dir() or path.suffix in (".zip", ".csv"):
            return path
        place = self.place() / "data"
        shutil.copytree(self._ordinary, place)
        shutil.copy(path, next(one for one in place.iterdir() if one.is_dir()) / f"case-{path.name}")
        return place

    def folder(self, path: Path) -> Outcome:
        """Predict a folder, where images are decoded in processes of their own."""
        return self.mien("predict", self.labelled(path), "--jsonl", "-")

    def zipped(self, path: Path) -> Outcome:
        """Predict an archive with this file in it."""
        if path.suffix != ".zip":
            place = self.place() / "case.zip"
            with zipfile.ZipFile(place, "w") as archive:
                archive.write(path, f"case-{path.name}")
                archive.write(next(self._ordinary.rglob("*.png")), "ordinary.png")
            path = place
        return self.mien("predict", path, "--jsonl", "-")

    def serve(self, path: Path) -> Outcome:
        """Upload a file to a server, which stays for the next one."""
        if self._server is None or self._server.poll() is not None:
            command = [sys.executable, "-m", "mien", "serve", "--port", "0"]
            self._server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            assert self._server.stdout is not None
            line = next(line for line in self._server.stdout if "http://" in line)
            self._port = int(line.partition("http://")[2].split()[0].strip("/").rpartition(":")[2])
        began, before = time.monotonic(), processor_seconds(self._server.pid)
        with Watch(self._server.pid) as watch:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_END_AFTER)
            try:
                connection.request(
                    "POST", "/v1/predict", path.read_bytes(), {"Content-Type": "application/octet-stream"}
                )
                answer = connection.getresponse()
                status, text = answer.status, answer.read().decode()
            except OSError as error:
                status, text = 599, str(error)
            finally:
                connection.close()
        body = json.loads(text) if text[:1] in "[{" else text
        row = body[0] if isinstance(body, list) else body
        line = f"{row.get('status')}: {row.get('reason') or row.get('detail') or ''}" if isinstance(row, dict) else text
        processor = max(processor_seconds(self._server.pid) - before, 0.0)
        return Outcome(status, time.monotonic() - began, processor, watch.mib, line)

    def close(self) -> None:
        """End the server."""
        if self._server is not None:
            self._server.terminate()
            self._server.wait(30)

    def of_images(self) -> dict[str, Callable[[Path], Outcome]]:
        """Return the doors of image and video files."""
        return {
            "predict": lambda path: self.mien("predict", path, "--jsonl", "-"),
            "folder": self.folder,
            "zip": self.zipped,
            "draw": lambda path: self.mien("predict", path, "--draw", "{new}/drawn"),
            "explain": lambda path: self.mien("explain", path, "--out", "{new}/heat.png"),
            "serve": self.serve,
            **self.of_data(),
        }

    def of_data(self) -> dict[str, Callable[[Path], Outcome]]:
        """Return the doors of labelled data."""
        clean = ("--write-clean", "{new}/clean", "--sheet", "{new}/sheet.png", "--all")
        return {
            "check": lambda path: self.mien("check", self.labelled(path), "--all"),
            "clean": lambda path: self.mien("check", self.labelled(path), *clean),
            "evaluate": lambda path: self.mien("evaluate", self.labelled(path)),
            "train": lambda path: self.python(CACHE, self.labelled(path), "{new}/cache"),
            "show": lambda path: self.python(SAMPLES, self.labelled(path)),
            "fix": lambda path: self.mien("fix", self.labelled(path), "--list"),
            "page": lambda path: self.python(PAGE, self.labelled(path)),
        }

    def of_tables(self) -> dict[str, Callable[[Path], Outcome]]:
        """Return the doors of answers and of decisions."""
        return {
            "answers": lambda path: self.mien("evaluate", self._ordinary, "--answers", path),
            "decided": lambda path: self.mien("check", self.decided(path)),
            "decide": lambda path: self.mien("fix", self.decided(path), "--list"),
            "merge": lambda path: self.mien("fix", self._ordinary, "--merge", path, "--out", "{new}/decisions.csv"),
        }

    def decided(self, path: Path) -> Path:
        """Return a source that has this file as its decisions."""
        place = self.place() / "data"
        shutil.copytree(self._ordinary, place)
        shutil.copy(path, place / FILE_NAME)
        return place

    def of_bundles(self) -> dict[str, Callable[[Path], Outcome]]:
        """Return the doors of bundles."""
        image = next(self._ordinary.rglob("*.png"))
        return {
            "predict": lambda path: self.mien("predict", image, "--model", path, "--jsonl", "-"),
            "explain": lambda path: self.mien("explain", image, "--model", path, "--out", "{new}/heat.png"),
        }

    def of_keras(self) -> dict[str, Callable[[Path], Outcome]]:
        """Return the doors of Keras files."""
        image = next(self._ordinary.rglob("*.png"))
        with_labels = ("--labels", "happy,sad", "--out")
        return {
            "export": lambda path: self.mien("export", path, *with_labels, "{new}/bundle", "--input-range", "0-1"),
            "explain": lambda path: self.mien(
                "explain", image, "--model", path, "--method", "grad-cam", *with_labels, "{new}/heat.png"
            ),
        }

    def of(self, path: Path) -> dict[str, Callable[[Path], Outcome]]:
        """Return the doors that take a path."""
        if path.is_dir():
            return self.of_bundles() if (path / "config.json").exists() else self.of_data()
        if path.suffix in (".zip", ".csv"):
            others = ("folder", "serve", "explain", "draw")
            tables = self.of_tables() if path.suffix == ".csv" else {}
            return {name: door for name, door in self.of_images().items() if name not in others} | tables
        if path.suffix in (".json", ".jsonl"):
            return self.of_tables()
        if path.suffix in _MODELS:
            return self.of_keras()
        if path.suffix == ".toml":
            return {"settings": lambda path: self.mien("train", self._ordinary, "--config", path, "--out", "{new}/run")}
        return self.of_images()


def cases(folder: Path) -> Iterator[Path]:
    """Yield the cases of a folder: files, bundles and labelled folders."""
    inside = sorted(folder.iterdir())
    if (folder / "config.json").exists() or _is_labelled(folder):
        yield folder
        return
    for path in inside:
        if path.is_dir():
            yield from cases(path)
        elif path.suffix not in (".py", ".md"):
            yield path


def _is_labelled(folder: Path) -> bool:
    """Whether a folder has folders, and those hold drawn faces or further folders of them."""
    return any(re.fullmatch(r"\d+\.png", path.name) for path in folder.rglob("*.png"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", type=Path)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--door", action="append")
    parser.add_argument("--only", default="", help="cases that have this text in their path")
    options = parser.parse_args()
    broken = rows = 0
    with tempfile.TemporaryDirectory() as work:
        doors = Doors(Path(work))
        found = [path for folder in options.cases for path in (cases(folder) if folder.is_dir() else [folder])]
        if options.large:
            (Path(work) / "large").mkdir()
        try:
            for name, make in [(str(path), None) for path in found] + (list(LARGE.items()) if options.large else []):
                if options.only not in name:
                    continue
                path = Path(name)
                if make is not None:
                    path = Path(work) / "large" / name
                    path.write_bytes(make())
                for door, take in doors.of(path).items():
                    if options.door and door not in options.door:
                        continue
                    one = take(path.absolute())
                    rows, broken = rows + 1, broken + one.breaks
                    shown = "/".join(path.parts[-2:])
                    numbers = f"{one.status:4} {one.seconds:6.1f} {one.processor:6.1f} s {one.mib:5.0f} MiB"
                    line = one.line.replace(work, "")[:150]
                    print(f"{'!' if one.breaks else ' '} {shown:44.44} {door:9} {numbers}  {line}", flush=True)
                if make is not None:
                    path.unlink()
                for old in Path(work).glob("[0-9]*"):
                    shutil.rmtree(old)
        finally:
            doors.close()
    print(f"{rows} rows, {broken} break a limit")
    sys.exit(broken > 0)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONPATH", str(Path(__file__).parents[1] / "src"))
    main()
