"""Record what an evaluation was made with: versions, seed, command and date. Also group near-duplicates."""

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
from mien.runtime.providers import installed_runtimes
from mien.version import __version__


def command_line() -> str:
    """Return how this process was started, as a user would type it: `python -m mien` is `mien`."""
    name = Path(sys.argv[0]).name
    return shlex.join(["mien" if name == "__main__.py" else name, *sys.argv[1:]])


def record_provenance(seed: int) -> dict[str, Any]:
    """Return seed, command line, date and versions, JSON-ready."""
    versions = {"mien": __version__, "python": platform.python_version(), "platform": platform.platform(terse=True)}
    versions |= {name: metadata.version(name) for name in ("numpy", "pillow")} | installed_runtimes()
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return {"seed": seed, "command": command_line(), "created": created, "versions": versions}


def with_groups(predictions: Predictions, manifest: Manifest, copies: Sequence[Sequence[str]]) -> Predictions:
    """Return the predictions with the group of each image; metrics then count each group as one draw.

    Args:
        predictions: made on samples of the manifest.
        manifest: names groups of samples, such as people.
        copies: groups of near-duplicates, by file name; groups that share a sample are joined.
    """
    given = {sample.name: sample.group for sample in manifest.samples if sample.group}
    return replace(predictions, groups=np.array(merge_groups(predictions.names, given, copies), np.int64))
