"""Read a sweep from TOML: a grid of settings, each combination trained with several seeds.

::

    title = "Which activation?"
    seeds = [0, 1, 2]            # or `seeds = 3`
    [base]                       # settings of all runs, as for `mien train --config`
    network = "stack"
    [grid]                       # values to try, by setting
    activation = ["relu", "gelu"]
"""

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mien.errors import ConfigError
from mien.text import did_you_mean
from mien.training.config import TrainConfig, read_settings
from mien.training.networks.pretrained import build_config

#: The file that marks the folder of an experiment.
JOB = "job.json"
_KNOWN = ("title", "seeds", "base", "grid")
_MOST_RUNS = 10_000


@dataclass(frozen=True)
class SweepRun:
    """One run of a sweep: its values by setting, its seed and its config."""

    values: Mapping[str, Any]
    seed: int
    config: TrainConfig

    @property
    def label(self) -> str:
        """The values as text, like `activation=relu`."""
        return " ".join(f"{name}={value}" for name, value in self.values.items())

    @property
    def folder(self) -> str:
        """The name of its run folder, unique in the sweep."""
        return re.sub(r"[^\w.+=-]+", "_", f"{self.label} seed={self.seed}")


@dataclass(frozen=True)
class Sweep:
    """A grid of settings, and the seeds that each combination is trained with.

    Examples:
        >>> len(Sweep("widths", {}, {"width": (0.5, 1.0)}, seeds=(0, 1, 2)).runs())
        6
    """

    title: str
    base: Mapping[str, Any]
    grid: Mapping[str, tuple[Any, ...]]
    seeds: tuple[int, ...]

    def runs(self) -> list[SweepRun]:
        """Return all runs, seed by seed, so that an unfinished sweep has all combinations of its first seeds.

        Raises ConfigError for an unknown setting, a value out of range, or two values that would share a folder.
        """
        found = []
        for seed in self.seeds:
            for chosen in itertools.product(*self.grid.values()):
                values = dict(zip(self.grid, chosen, strict=True))
                found.append(SweepRun(values, seed, build_config({**self.base, **values, "seed": seed})))
        if len({run.folder.casefold() for run in found}) < len(found):
            raise ConfigError("[grid]: two of the values would be stored under one name; give each once")
        return found

    def with_detect(self, detect: bool | None) -> "Sweep":
        """Return the sweep with this `detect` in its base; None changes nothing.

        Raises ConfigError if the grid tries several.
        """
        if detect is None:
            return self
        if "detect" in self.grid:
            raise ConfigError("`detect=`: [grid] tries several; leave one out")
        return replace(self, base={**self.base, "detect": detect})

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict."""
        grid = {name: list(values) for name, values in self.grid.items()}
        return {"title": self.title, "seeds": list(self.seeds), "base": dict(self.base), "grid": grid}


def read_sweep(path: Path) -> Sweep:
    """Read a sweep from a TOML file; ConfigError names the file and the error."""
    raw = read_settings(path)
    try:
        return _parse(raw, path.stem)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def _parse(raw: Mapping[str, Any], name: str) -> Sweep:
    unknown = sorted(set(raw) - set(_KNOWN))
    if unknown:
        raise ConfigError(
            f"unknown entry '{unknown[0]}'; known are {', '.join(_KNOWN)}{did_you_mean(unknown[0], _KNOWN)}"
        )
    base, grid = raw.get("base", {}), raw.get("grid", {})
    if not isinstance(base, dict) or not isinstance(grid, dict):
        raise ConfigError("[base] and [grid] must be tables of settings")
    if not grid:
        raise ConfigError('[grid] is missing; name settings and the values to try, like activation = ["relu", "gelu"]')
    for setting, values in grid.items():
        if not isinstance(values, list) or len(values) < 2:
            raise ConfigError(f"[grid] {setting}: must be a list of at least two values")
        if setting in base:
            raise ConfigError(f"{setting}: is in [base] and in [grid]; leave one out")
    if "seed" in base or "seed" in grid:
        raise ConfigError("seed: is not a setting of a sweep; write seeds = [0, 1, 2] at the top")
    title = raw.get("title", name)
    if not isinstance(title, str):
        raise ConfigError("title: must be text")
    sweep = Sweep(title, base, {key: tuple(values) for key, values in grid.items()}, _seeds(raw.get("seeds", 3)))
    count = len(sweep.seeds)
    for values in sweep.grid.values():
        count *= len(values)
    if count > _MOST_RUNS:
        raise ConfigError(f"{count} runs are more than {_MOST_RUNS}; remove values from [grid]")
    sweep.runs()
    return sweep


def _seeds(raw: Any) -> tuple[int, ...]:
    """Return the listed seeds, or 0, 1, … for a count."""
    if type(raw) is int and 1 <= raw <= 1000:
        return tuple(range(raw))
    if isinstance(raw, list) and raw and all(type(seed) is int for seed in raw) and len(set(raw)) == len(raw):
        return tuple(raw)
    raise ConfigError("seeds: must be a count from 1 to 1000, or a list of different whole numbers")
