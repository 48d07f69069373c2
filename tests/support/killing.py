"""Run the command in a process of its own, and kill it at a chosen moment: before its n-th step, or after seconds.

Kill -9 leaves no time to tidy up, so that what a folder holds then is what the code wrote, in its order.
"""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Counts what Python writes below a folder, and what trainings and studies do, each before it happens.
_CODE = """
import json, os, signal, sys
place, at = os.path.realpath(sys.argv[1]), int(sys.argv[2])
steps = []
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
def step(what):
    steps.append(what)
    if len(steps) == at:
        os.kill(os.getpid(), signal.SIGKILL)
def hook(event, arguments):
    if event == "open":
        path, _, flags = arguments
        if not (isinstance(flags, int) and flags & WRITES):
            return
    elif event in ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.link", "os.symlink"):
        path = arguments[0]
    else:
        return
    if isinstance(path, (str, bytes)) and os.path.abspath(os.fsdecode(path)).startswith(place):
        step(f"{event} {os.path.basename(os.fsdecode(path))}")
sys.addaudithook(hook)
if sys.argv[3] in ("train", "tune", "experiment"):
    from mien.training.loop import ema
    update = ema.WeightEMA.update
    def counted(self):
        step("batch")
        update(self)
    ema.WeightEMA.update = counted
if sys.argv[3] == "tune":  # SQLite opens and writes its file without Python
    from sqlalchemy import event
    from sqlalchemy.engine import Engine
    event.listen(Engine, "commit", lambda connection: step("commit"))
from mien.cli import main
sys.argv = ["mien", *sys.argv[3:]]  # what a report records
try:
    main(sys.argv[1:])
finally:
    print(json.dumps(steps), file=sys.stderr)
"""


#: Sends the process a signal when its journal has so many rows. From outside it might come too late.
_AT_A_ROW = """
import os, sys
from mien.io.journal import Journal
at, how = int(sys.argv[1]), int(sys.argv[2])
append = Journal.append
def counted(self, *arguments):
    append(self, *arguments)
    if self.rows == at:
        os.kill(os.getpid(), how)
Journal.append = counted
from mien.cli import main
main(sys.argv[3:])
"""


@dataclass(frozen=True)
class Ended:
    """A process that ended: its status (-9 if it was killed), what it wrote, and its seconds."""

    status: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def names(self) -> list[str]:
        """All steps in their order: `batch`, `commit`, or an event with the name of the file."""
        found: list[str] = json.loads(self.stderr.splitlines()[-1])
        return found

    @property
    def steps(self) -> int:
        """How many steps there were."""
        return len(self.names)

    @property
    def said(self) -> list[str]:
        """The lines on stderr without the last one, which is not the command's."""
        return self.stderr.splitlines()[:-1]


def run(
    place: Path, arguments: Sequence[object], *, step: int = 0, seconds: float | None = None, folder: Path | None = None
) -> Ended:
    """Run the command to its end, or kill it.

    Args:
        place: the folder in which writes are counted.
        arguments: of the command.
        step: kill it before this one, counted from 1; 0: do not.
        seconds: kill it after so long; None: do not.
        folder: to run it in; None: this one.
    """
    began = time.perf_counter()
    command = [sys.executable, "-c", _CODE, str(place), str(step), *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder)
    try:
        out, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        out, errors = process.communicate()
    return Ended(process.returncode, out, errors, time.perf_counter() - began)


def stop_at_row(arguments: Sequence[object], row: int, how: signal.Signals) -> Ended:
    """Run the command, and send it a signal when it has kept so many rows of a prediction, counted from 1."""
    began = time.perf_counter()
    command = [sys.executable, "-c", _AT_A_ROW, str(row), str(int(how)), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return Ended(done.returncode, done.stdout, done.stderr, time.perf_counter() - began)


def killed(ended: Ended) -> bool:
    """Whether a process was killed, and did not end before."""
    return ended.status == -signal.SIGKILL


#: What differs between two runs of one command: times, and the folder's own name.
_TIMES = re.compile(
    rb'"(?:created|seconds|command|date|out|run|name)": ?[^,\n}]*|mien \w+ [^<\n"]*|20\d\d-\d\d-\d\d[^ <",]*'
)


def results(out: Path) -> dict[str, Any]:
    """Return what stands under final names, without times and the name of the folder."""
    found = {}
    for path in sorted(out.rglob("*")):
        inside = path.relative_to(out)
        hidden = any(part.startswith(".") for part in inside.parts)
        if path.is_file() and not hidden and not path.name.endswith(".part"):
            content = path.read_bytes()
            if path.suffix == ".parquet":
                content = b"parquet"
            elif path.suffix in (".html", ".json", ".md"):
                content = _TIMES.sub(b"", content.replace(bytes(out), b"OUT"))
            found[str(inside)] = content
    return found


def check_closed(
    write: Callable[[Path], tuple[int, str, str]], as_nobody: Callable[[], AbstractContextManager[None]],
    data: Path, folder: Path,
) -> None:  # fmt: skip
    """Let a command that reads `data` write below a folder that is closed; check that it says so in one line.

    Args:
        write: runs the command, which writes below the folder that it is given; returns (status, stdout, stderr).
        as_nobody: the fixture.
        data: what the command reads.
        folder: for the outputs.
    """
    for path in (*data.parents[:3], data, *data.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    place = folder / "closed"
    place.mkdir(mode=0o555)
    assert write(folder / "open")[0] == 0  # and every module is imported
    for mode, words in ((0o555, "cannot be written"), (0, "ermission denied")):  # and one that may not be looked into
        place.chmod(mode)
        with as_nobody():
            status, _, errors = write(place)
        said = [line for line in errors.splitlines() if line.startswith("mien: ")]
        assert status == 2
        assert len(said) == 1 and words in said[0] and "[Errno" not in said[0], errors
        assert str(place) in said[0]
    place.chmod(0o755)
    assert not list(place.iterdir())
