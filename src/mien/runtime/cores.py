"""Count the cores that this process may use: its set of cores, and the quota of its control groups on Linux.

Containers grant quotas. Both versions of control groups are known.
"""

import math
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_PROC = Path("/proc/self")


def available_cores() -> int:
    """Return how many cores this process may use.

    A container often grants fewer than the machine has, by a set of cores or by a quota of their time; a part of a
    core counts as one.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def cpu_quota(proc: Path = _PROC) -> float | None:
    """Return how many cores' worth of time this process may use, the least of its group and those above it.

    Args:
        proc: the folder of the process in `/proc`; its `cgroup` and `mountinfo` are read.

    Returns:
        Cores, such as 1.5; None without a quota, and on other systems than Linux.
    """
    try:
        lines = (proc / "cgroup").read_text(encoding="utf-8").splitlines()
        mounts = list(_mounts(proc / "mountinfo"))
    except (OSError, ValueError):
        return None
    found = []
    for line in lines:  # such as 4:cpu,cpuacct:/docker/1f in version 1, 0::/docker/1f in version 2
        _, controllers, place = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        for root, mount, of_version_1 in mounts:
            if of_version_1 == bool(controllers):
                found += [quota for folder in _upwards(place, root, mount) if (quota := _quota(folder)) is not None]
    return min(found, default=None)


def _mounts(path: Path) -> Iterator[tuple[str, Path, bool]]:
    """Yield the mounted trees of groups with a CPU controller: the group at the top, the folder, if it is version 1."""
    for line in path.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        fields, _, kind = line.partition(" - ")
        system, *_, options = kind.split(" ")
        if system == "cgroup2" or (system == "cgroup" and "cpu" in options.split(",")):
            root, mount = (re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), x) for x in fields.split(" ")[3:5])
            yield root, Path(mount), system == "cgroup"


def _upwards(place: str, root: str, mount: Path) -> Iterator[Path]:
    """Yield the folder of a group and those above it, up to the top of what is mounted.

    A container sees its own group as the top, and may be told a path that leads out of there.
    """
    group = PurePosixPath(place)
    inside = group.relative_to(root) if group.is_relative_to(root) else PurePosixPath()
    for part in (inside, *inside.parents):
        if ".." not in part.parts:
            yield mount / part


def _quota(folder: Path) -> float | None:
    """Return the quota of one group in cores; None if it has none."""
    for files in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        try:
            quota, period = " ".join((folder / name).read_text(encoding="ascii") for name in files).split()
            if quota not in ("max", "-1") and int(period) > 0:
                return int(quota) / int(period)
        except (OSError, ValueError):
            continue
    return None
