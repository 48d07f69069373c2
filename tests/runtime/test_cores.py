"""The CPU quota of containers is found: nested groups, both versions, damaged files, a real group."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.runtime import cores as cores_module
from mien.runtime.cores import available_cores, cpu_quota

V1, V2 = "cgroup cgroup rw,cpu,cpuacct", "cgroup2 cgroup2 rw,nsdelegate"


def process(proc: Path, group: str, *mounts: str) -> Path:
    """Write what the kernel says of a process: its group, and what is mounted."""
    proc.mkdir(exist_ok=True)
    (proc / "cgroup").write_text(f"9:name=systemd:/\n3:cpuset:{group}\n{group_line(group, *mounts)}\n")
    other = "25 1 0:23 / /proc rw,nosuid - proc proc rw\n"
    (proc / "mountinfo").write_text(other + "".join(f"3{n} 1 0:3{n} {mount}\n" for n, mount in enumerate(mounts)))
    return proc


def group_line(group: str, *mounts: str) -> str:
    return f"4:cpu,cpuacct:{group}" if any(V1 in mount for mount in mounts) else f"0::{group}"


def grant(folder: Path, quota: str, period: int = 100_000, version: int = 2) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if version == 2:
        (folder / "cpu.max").write_text(f"{quota} {period}\n")
    else:
        (folder / "cpu.cfs_quota_us").write_text(f"{quota}\n")
        (folder / "cpu.cfs_period_us").write_text(f"{period}\n")


@pytest.mark.parametrize(("version", "kind", "none"), [(1, V1, "-1"), (2, V2, "max")])
def test_the_least_quota_of_the_groups_above_counts(tmp_path: Path, version: int, kind: str, none: str) -> None:
    top = tmp_path / "my cgroups"
    proc = process(tmp_path / "proc", "/pod/box", f"/ {tmp_path}/my\\040cgroups rw - {kind}")
    assert cpu_quota(proc) is None
    grant(top / "pod" / "box", none, version=version)
    assert cpu_quota(proc) is None
    grant(top / "pod" / "box", "250000", version=version)
    assert cpu_quota(proc) == 2.5
    grant(top / "pod", "50000", 200_000, version)
    assert cpu_quota(proc) == 0.25
    grant(top, "10000", version=version)
    assert cpu_quota(proc) == 0.1
    grant(top / "pod" / "other", "1000", version=version)
    assert cpu_quota(proc) == 0.1, "a group beside this process's does not count"


def test_a_container_sees_its_own_group_at_the_top(tmp_path: Path) -> None:
    grant(tmp_path / "fs", "150000")
    with_its_own_names = process(tmp_path / "a", "/", f"/ {tmp_path}/fs ro - {V2}")
    with_names_of_the_host = process(tmp_path / "b", "/docker/1f", f"/docker/1f {tmp_path}/fs ro - {V2}")
    below = process(tmp_path / "c", "/docker/1f/init", f"/docker/1f {tmp_path}/fs ro - {V2}")
    moved_out = process(tmp_path / "d", "/../other", f"/ {tmp_path}/fs ro - {V2}")
    for proc in (with_its_own_names, with_names_of_the_host, below, moved_out):
        assert cpu_quota(proc) == 1.5


def test_both_versions_at_once(tmp_path: Path) -> None:
    """systemd's hybrid: the CPU is controlled by version 1, version 2 is mounted without controllers."""
    grant(tmp_path / "cpu" / "box", "300000", version=1)
    (tmp_path / "unified").mkdir()
    mounts = f"/ {tmp_path}/cpu rw - {V1}", f"/ {tmp_path}/unified rw - {V2}"
    proc = process(tmp_path / "proc", "/box", *mounts)
    (proc / "cgroup").write_text("4:cpu,cpuacct:/box\n0::/box\n")
    assert cpu_quota(proc) == 3


def test_without_control_groups_there_is_no_quota(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path / "none") is None


@given(text=st.sampled_from(["max 100000", "-1", ""]) | st.text(st.characters(codec="utf-8", exclude_characters="\r")))
def test_whatever_is_in_the_file_there_is_an_answer(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("cgroup")
    (folder / "cpu.max").write_text(text, encoding="utf-8")
    quota = cpu_quota(process(folder / "proc", "/", f"/ {folder} rw - {V2}"))
    assert quota is None or quota == int(text.split(maxsplit=1)[0]) / int(text.split()[1])


@pytest.mark.parametrize(("quota", "cores"), [(None, 4), (64.0, 4), (2.5, 3), (1.0, 1), (0.2, 1)])
def test_cores_are_those_of_the_quota_rounded_up(
    monkeypatch: pytest.MonkeyPatch, quota: float | None, cores: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2, 3}, raising=False)
    monkeypatch.setattr(cores_module, "cpu_quota", lambda: quota)
    assert available_cores() == cores


@pytest.fixture
def group() -> Iterator[Path]:
    """A real control group with a quota of half a core above one without; removed at the end."""
    name = f"mien-test-{uuid4().hex}"
    made: list[Path] = []
    try:
        for top, version in ((Path("/sys/fs/cgroup"), 2), (Path("/sys/fs/cgroup/cpu"), 1)):
            try:
                for folder in (top / name, top / name / "inner"):
                    folder.mkdir()
                    made.append(folder)
                    (folder / "cgroup.procs").stat()  # else it is a folder like any other
                    if version == 2 and folder.name == name:
                        (folder / "cgroup.subtree_control").write_text("+cpu")
                if version == 2:
                    (top / name / "cpu.max").write_text("50000 100000")
                else:
                    (top / name / "cpu.cfs_quota_us").write_text("50000")
                yield made[-1]
                return
            except OSError:
                continue
        pytest.skip("no right to make a control group with a CPU quota")
    finally:
        for folder in reversed(made):
            if folder.is_dir():
                folder.rmdir()


@pytest.mark.skipif(sys.platform != "linux", reason="control groups are Linux's")
def test_a_process_in_a_real_group_keeps_to_its_quota(group: Path) -> None:
    code = f"""
import os
open({str(group / "cgroup.procs")!r}, "w").write(str(os.getpid()))
from mien.runtime.cores import cpu_quota
from mien.cli.doctor_system import cores
print(cpu_quota(), cores())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"0.5 1 of {os.cpu_count()} may be used, a CPU quota of 0.5")
