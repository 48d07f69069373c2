"""Check the extras for `mien doctor`: is each installed, in a version that fits, and can it be imported?

Each extra is imported in its own process, so that a crashing library (TensorFlow on a processor without AVX) becomes
a line of the report.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mien.cli.doctor_system import Check

#: What each extra is for, in the order in which they are shown.
PURPOSE = {
    "train": "mien train, export, demo", "report": "plots", "parquet": "--parquet", "video": "videos and webcams",
    "serve": "mien serve", "tune": "mien tune", "tune-db": "mien tune --storage postgresql://…",
    "tensorboard": "mien train --tensorboard", "cluster": "--engine ray",
}  # fmt: skip
#: Distributions whose module has another name.
_MODULES = {"pillow": "PIL", "scikit-learn": "sklearn", "tensorflow-cpu": "tensorflow", "tensorboardx": "tensorboardX"}
#: Either of these meets a requirement for the other.
_ALTERNATIVES = {"tensorflow-cpu": "tensorflow", "tensorflow": "tensorflow-cpu"}
_PROBE = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
if "keras" in sys.modules:
    print("backend", sys.modules["keras"].backend.backend())
"""
_TIMEOUT = 600


def extras() -> list[str]:
    """Return the names of mien's extras, the best known first."""
    try:
        known = metadata.metadata("mien").get_all("Provides-Extra") or []
    except metadata.PackageNotFoundError:
        known = []
    return sorted(known, key=lambda name: (list(PURPOSE).index(name) if name in PURPOSE else len(PURPOSE), name))


def requirements(extra: str) -> list[Requirement]:
    """Return what an extra requires on this machine, with the requirements of the extras that it includes."""
    found: list[Requirement] = []
    for requirement in map(Requirement, metadata.requires("mien") or []):
        if not _is_of(extra, requirement):
            continue
        if canonicalize_name(requirement.name) == "mien":
            for included in sorted(requirement.extras):
                found += requirements(included)
        else:
            found.append(requirement)
    return found


def _is_of(extra: str, requirement: Requirement) -> bool:
    """Whether a requirement holds on this machine because of the extra."""
    marker = requirement.marker
    return marker is not None and marker.evaluate({"extra": extra}) and not marker.evaluate({"extra": ""})


def check_extra(extra: str) -> Check:
    """Check one extra: missing, broken, or working."""
    name, purpose = f"extra {extra}", PURPOSE.get(extra, "")
    needed = requirements(extra)
    installed = {row.name: _installed(row.name) for row in needed}
    missing = [name for name, found in installed.items() if found is None]
    if missing:
        fix = f"pip install 'mien[{extra}]'"
        return Check(name, "missing", f"{purpose}: not installed ({', '.join(missing)} missing)", fix)
    present = {row.name: found for row in needed if (found := installed[row.name])}
    unfit = [row for row in needed if not row.specifier.contains(present[row.name][1], prereleases=True)]
    if unfit:
        listing = ", ".join(f"{' '.join(present[row.name])} is not {row.specifier}" for row in unfit)
        return Check(name, "broken", f"{purpose}: {listing}", f"pip install {_words(unfit)}")
    reason, backend = _import([_module(distribution) for distribution, _ in present.values()])
    if reason:
        return Check(name, "broken", f"{purpose}: {reason}", f"pip install --force-reinstall {_words(needed)}")
    versions = ", ".join(" ".join(found) for found in present.values())
    return Check(name, "ok", f"{purpose}: {versions}{backend}")


def _words(needed: Sequence[Requirement]) -> str:
    """Return requirements as words of a command. They name packages, for mien itself may not be on an index."""
    return " ".join(f"'{canonicalize_name(row.name)}{row.specifier}'" for row in needed)


def _installed(name: str) -> tuple[str, str] | None:
    """Return the distribution that meets a requirement by name, and its version; None if it is not installed."""
    for one in (name, _ALTERNATIVES.get(canonicalize_name(name))):
        try:
            if one:
                return one, metadata.version(one)
        except metadata.PackageNotFoundError:
            continue
    return None


def _module(distribution: str) -> str:
    name = canonicalize_name(distribution)
    return _MODULES.get(name, name.replace("-", "_"))


def _import(modules: list[str]) -> tuple[str, str]:
    """Import modules in a fresh process; returns what went wrong, in one line, and which backend Keras has."""
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROBE, *modules], capture_output=True, text=True, errors="replace",
            env={**quiet, **os.environ}, check=False, timeout=_TIMEOUT,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"could not be imported within {_TIMEOUT} seconds", ""
    if done.returncode < 0:
        return f"crashes when imported ({signal.Signals(-done.returncode).name}); is the processor too old?", ""
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["unknown reason"]
        return f"cannot be imported ({' '.join(lines[-1].split())[:200]})", ""
    backend = re.search(r"^backend (\w+)$", done.stdout, re.MULTILINE)
    return "", f"; Keras runs on {backend.group(1)}" if backend else ""
