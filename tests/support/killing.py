"""Run the command in a process of its own, and kill it at a chosen moment: before its n-th write, or after seconds.

Kill -9 leaves no time to tidy up, so that what a folder holds then is what the code wrote, in its order.
"""

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

#: Counts what Python writes below a folder, and what a training does, each before it happens.
_CODE = """
import os, signal, sys
place, at = os.path.realpath(sys.argv[1]), int(sys.argv[2])
count = 0
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
def step(what):
    global count
    count += 1
    if count == at:
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
        step(event)
sys.addaudithook(hook)
if "train" in sys.argv[3:]:
    from mien.training.loop import ema
    update = ema.WeightEMA.update
    def counted(self):
        step("batch")
        update(self)
    ema.WeightEMA.update = counted
from mien.cli import main
sys.argv = ["mien", *sys.argv[3:]]  # what a report records
try:
    main(sys.argv[1:])
finally:
    print(f"steps {count}", file=sys.stderr)
"""


@dataclass(frozen=True)
class Ended:
    """A process that ended: its status (-9 if it was killed), what it wrote, and its seconds."""

    status: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def steps(self) -> int:
        """How many writes and batches there were, all counted."""
        return int(self.stderr.splitlines()[-1].split()[1])


def run(
    place: Path, arguments: Sequence[object], *, step: int = 0, seconds: float | None = None, folder: Path | None = None
) -> Ended:
    """Run the command to its end, or kill it.

    Args:
        place: the folder in which writes are counted.
        arguments: of the command.
        step: kill it before this write or batch; 0: do not.
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


def killed(ended: Ended) -> bool:
    """Whether a process was killed, and did not end before."""
    return ended.status == -signal.SIGKILL
