"""Record what an evaluation was made with: versions, seed, command, and groups of near-duplicates."""

import platform
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from mien.data.dataset import Manifest
from mien.data.split import merge_groups
from mien.evaluation.scoring import Predictions
from mien.version import __version__


def origin(seed: int) -> dict[str, Any]:
    """Return versions, seed, command line and date, for the `about` of a report."""
    versions = {"mien": __version__, "python": platform.python_version(), "platform": platform.platform(terse=True)}
    versions |= {name: metadata.version(name) for name in ("numpy", "onnxruntime", "pillow")}
    command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return {"seed": seed, "command": command, "created": created, "versions": versions}


def grouped(scored: Predictions, manifest: Manifest, copies: Sequence[Sequence[str]]) -> Predictions:
    """Return the same with its groups: those that the data names, people say, joined with the `copies`."""
    given = {one.name: one.group for one in manifest.samples if one.group}
    return replace(scored, groups=np.array(merge_groups(scored.names, given, copies), np.int64))
