"""Check the extras for `mien doctor`: is each installed, in a version that fits, and can it be imported?

Each extra is imported in its own process, so that a crashing library (TensorFlow on a processor without AVX) becomes
a line of the report.
"""

import os
import re
import signal
import subprocess
import sys
from importlib import metadata

from packaging.utils import canonicalize_name

from mien.cli.doctor_requirements import look_up, requirements, words
from mien.cli.doctor_system import Check

#: What each extra is for, in the order in which they are shown.
PURPOSE = {
    "train": "mien train, export, demo", "report": "plots", "parquet": "--parquet", "video": "videos and webcams",
    "serve": "mien serve", "tune": "mien tune", "tune-db": "mien tune --storage postgresql://…",
    "tensorboard": "mien train --tensorboard", "cluster": "--engine ray",
    "page": "mien export --page",
}  # fmt: skip
#: Distributions whose module has another name.
_MODULES = {"pillow": "PIL", "scikit-learn": "sklearn", "tensorflow-cpu": "tensorflow", "tensorboardx": "tensorboardX"}
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


def check_extra(extra: str) -> Check:
    """Check one extra: missing, broken, or working."""
    name, purpose = f"extra {extra}", PURPOSE.get(extra, "")
    needed = requirements(extra)
    found = look_up(needed)
    if missing := [row for row in found if row.version is None]:
        listing = ", ".join(row.requirement.name for row in missing)
        return Check(name, "missing", f"{purpose}: not installed ({listing} missing)", f"pip install 'mien[{extra}]'")
    if unfit := [row for row in found if not row.fits]:
        fix = f"pip install {words([row.requirement for row in unfit])}"
        return Check(name, "broken", f"{purpose}: {', '.join(map(str, unfit))}", fix)
    direct = [row for row in found if row.direct]
    reason, backend = _import([_module(str(row.distribution)) for row in direct])
    if reason:
        return Check(name, "broken", f"{purpose}: {reason}", f"pip install --force-reinstall {words(needed)}")
    return Check(name, "ok", f"{purpose}: {', '.join(map(str, direct))}{backend}")


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
