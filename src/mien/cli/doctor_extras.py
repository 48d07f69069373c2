"""What `mien doctor` says of the optional parts: what each needs, whether it is there, and whether it can be imported.

Each part is imported in a process of its own: a library that crashes (TensorFlow on a processor without AVX, say) is
then a line in the report.
"""

import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata

from mien.cli.doctor_system import Check

#: What each part is for, and the order in which they are shown.
PURPOSE = {
    "train": "mien train, export, demo", "report": "plots", "parquet": "--parquet", "video": "films and cameras",
    "serve": "mien serve", "tune": "mien tune", "cluster": "--engine ray",
}  # fmt: skip
#: Distributions whose module has another name.
_MODULES = {"pillow": "PIL", "scikit-learn": "sklearn", "tensorflow-cpu": "tensorflow"}
#: Any one of these will do.
_ALTERNATIVES = ("tensorflow-cpu", "tensorflow")
_REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)(?:\[([^]]*)\])?\s*(?:\(?([^;)]*)\)?)?\s*(?:;(.*))?$")
_PROBE = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
if "keras" in sys.modules:
    print("backend", sys.modules["keras"].backend.backend())
"""
_LIMIT = 600


@dataclass(frozen=True)
class Requirement:
    """A distribution that an optional part needs, and from which version on (empty: any)."""

    name: str
    low: str


def extras() -> list[str]:
    """Return the names of the optional parts of this installation, the best known first."""
    try:
        known = metadata.metadata("mien").get_all("Provides-Extra") or []
    except metadata.PackageNotFoundError:
        known = []
    return sorted(known, key=lambda name: (list(PURPOSE).index(name) if name in PURPOSE else len(PURPOSE), name))


def requirements(extra: str) -> list[Requirement]:
    """Return what a part needs, with what the parts that it includes need."""
    found: list[Requirement] = []
    for line in metadata.requires("mien") or []:
        match = _REQUIREMENT.match(line)
        if match is None:
            continue
        name, inner, versions, marker = match.groups()
        if not re.search(rf"extra\s*==\s*['\"]{re.escape(extra)}['\"]", marker or ""):
            continue
        if name == "mien":
            for part in (inner or "").split(","):
                found += requirements(part.strip())
            continue
        low = re.search(r">=\s*([0-9.]+)", versions or "")
        found.append(Requirement(name.lower(), low.group(1) if low else ""))
    return found


def check_extra(extra: str) -> Check:
    """Look at one optional part: missing, broken, or working."""
    name, purpose = f"extra {extra}", PURPOSE.get(extra, "")
    needed = requirements(extra)
    present = {row.name: version for row in needed if (version := _version(row.name))}
    missing = [row.name for row in needed if row.name not in present and not _alternative(row.name, present)]
    install = f"pip install 'mien[{extra}]'"
    if missing:
        return Check(name, "missing", f"{purpose}: not installed ({', '.join(missing)} missing)", install)
    old = [f"{row.name} {present[row.name]} is older than {row.low}" for row in needed
           if row.name in present and _older(present[row.name], row.low)]  # fmt: skip
    if old:
        return Check(name, "broken", f"{purpose}: {', '.join(old)}", f"pip install --upgrade 'mien[{extra}]'")
    reason, said = _import([_MODULES.get(one, one.replace("-", "_")) for one in present])
    if reason:
        return Check(name, "broken", f"{purpose}: {reason}", f"pip install --force-reinstall 'mien[{extra}]'")
    versions = ", ".join(f"{one} {version}" for one, version in present.items())
    return Check(name, "ok", f"{purpose}: {versions}{said}")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _alternative(name: str, present: dict[str, str]) -> bool:
    return name in _ALTERNATIVES and any(other in present for other in _ALTERNATIVES)


def _older(version: str, low: str) -> bool:
    """Compare the leading numbers of two versions."""

    def numbers(text: str) -> list[int]:
        return [int(part) for part in re.findall(r"\d+", re.split(r"[a-zA-Z+-]", text)[0])]

    return bool(low) and numbers(version) < numbers(low)


def _import(modules: list[str]) -> tuple[str, str]:
    """Import modules in a fresh process; returns what went wrong, in one line, and what else is worth saying."""
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROBE, *modules], capture_output=True, text=True, errors="replace",
            env={**quiet, **os.environ}, check=False, timeout=_LIMIT,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"could not be imported within {_LIMIT} seconds", ""
    if done.returncode < 0:
        return f"crashes when imported ({signal.Signals(-done.returncode).name}); is the processor too old?", ""
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["unknown reason"]
        return f"cannot be imported ({' '.join(lines[-1].split())[:200]})", ""
    backend = re.search(r"^backend (\w+)$", done.stdout, re.MULTILINE)
    return "", f"; Keras runs on {backend.group(1)}" if backend else ""
