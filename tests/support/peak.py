"""The peak of memory of a command, in its own process (Linux)."""

import subprocess
import sys

_RUN = """
import sys
from mien.cli import main
try:
    main(sys.argv[1:])
except SystemExit as left:
    assert left.code == 0
# Not getrusage: a process begins with the maximum of the one that started it.
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(status["VmHWM"].split()[0], file=sys.stderr)
"""


def peak_mib(*arguments: object) -> float:
    """Run `mien ARGUMENTS`, which must end well, and return its peak of resident memory in MiB."""
    command = [sys.executable, "-c", _RUN, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stderr.splitlines()[-1]) / 1024
