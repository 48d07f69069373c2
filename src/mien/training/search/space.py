"""What `mien tune` searches: which settings, in what ranges, around which defaults."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args, get_type_hints

from mien.errors import ConfigError
from mien.training.config import TrainConfig, check_setting


@dataclass(frozen=True)
class Choice:
    """One of several values."""

    values: tuple[Any, ...]

    def including(self, value: Any) -> "Choice":
        """Return the choice with this value among them."""
        return self if value in self.values else Choice((*self.values, value))

    def suggest(self, trial: Any, name: str) -> Any:
        """Ask an Optuna trial for a value."""
        return trial.suggest_categorical(name, self.values)


@dataclass(frozen=True)
class Range:
    """A number from `low` to `high`, evenly or, with `log`, evenly in its logarithm."""

    low: float
    high: float
    log: bool = False

    def including(self, value: float) -> "Range":
        """Return the range stretched to hold this value."""
        return Range(min(self.low, value), max(self.high, value), self.log)

    def suggest(self, trial: Any, name: str) -> float:
        """Ask an Optuna trial for a value."""
        return float(trial.suggest_float(name, self.low, self.high, log=self.log))


#: Every setting that is searched, unless it is fixed; the classic network is left to those who ask for it.
SPACE: Mapping[str, Choice | Range] = {
    "network": Choice(("stack", "residual")),
    "width": Range(0.25, 2.0, log=True),
    "activation": Choice(("relu", "leaky_relu", "elu", "gelu", "silu")),
    "optimizer": Choice(("adam", "adamw", "muon", "sgd")),
    "learning_rate": Range(1e-4, 5e-2, log=True),
    "augment": Choice(("none", "light", "strong")),
    "dropout": Range(0.0, 0.6),
    "label_smoothing": Range(0.0, 0.2),
    "size": Choice((32, 48, 64)),
}

#: What trained weights decide, and therefore cannot be searched with them.
_OF_WEIGHTS = ("network", "width", "activation", "size")
_OF_BACKBONE = ("network", "width", "activation")


@dataclass(frozen=True)
class Space:
    """What is searched around the settings `given`, whose other values are the network's defaults."""

    given: Mapping[str, Any]
    base: TrainConfig
    searched: Mapping[str, Choice | Range]

    @property
    def defaults(self) -> dict[str, Any]:
        """The values that `mien train` would take: the first trial."""
        return {name: getattr(self.base, name) for name in self.searched}

    def config(self, chosen: Mapping[str, Any]) -> TrainConfig:
        """Return the settings of a trial; every trial has as many epochs as the first."""
        budget = {"epochs": self.base.epochs, "patience": self.base.patience}
        return TrainConfig.make({**budget, **self.given, **chosen})

    def suggest(self, trial: Any) -> TrainConfig:
        """Ask an Optuna trial for the settings to try."""
        return self.config({name: what.suggest(trial, name) for name, what in self.searched.items()})


def resolved(given: Mapping[str, Any], base: TrainConfig) -> dict[str, Any]:
    """Return the given settings with those that trained weights decide, so that trials need not look them up."""
    if base.start_from is None:
        return dict(given)
    return {**given, "start_from": base.start_from, **{name: getattr(base, name) for name in (*_OF_WEIGHTS, "colour")}}


def make_space(given: Mapping[str, Any], base: TrainConfig, names: Iterable[str] | None = None) -> Space:
    """Return the space of the settings `names` (None: all that are not given) around `base`, made from `given`.

    Raises ConfigError for a setting that cannot be searched, or that is given and searched.
    """
    decided = _OF_WEIGHTS if base.start_from else _OF_BACKBONE if getattr(base, "backbone", None) else ()
    if names is None:
        chosen = [name for name in SPACE if name not in given and name not in decided]
    else:
        chosen = list(dict.fromkeys(names))
        _check(chosen, given, decided)
    if not chosen:
        raise ConfigError("--fix: nothing is left to search; fix less")
    searched = {name: SPACE[name].including(getattr(base, name)) for name in SPACE if name in chosen}
    return Space(given, base, searched)


def _check(names: Iterable[str], given: Mapping[str, Any], decided: Iterable[str]) -> None:
    for name in names:
        if name not in SPACE:
            raise ConfigError(f"--search {name}: can be searched are {', '.join(SPACE)}")
        if name in given:
            raise ConfigError(f"--search {name}: is given a value, too; leave one out")
        if name in decided:
            raise ConfigError(f"--search {name}: is decided by the weights to start from; leave it out")


def parse_fixed(pairs: Iterable[str]) -> dict[str, Any]:
    """Read `name=value` pairs; values as in a settings file, text without quotes. ConfigError for any other."""
    kinds = get_type_hints(TrainConfig)
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or name not in kinds:
            raise ConfigError(f"--fix {pair}: must be NAME=VALUE with a setting of mien train, like network=stack")
        if name == "seed":
            raise ConfigError("--fix seed: is given by --seed")
        if name in found:
            raise ConfigError(f"--fix {name}: is given twice")
        found[name] = _value(text.strip(), str in (kinds[name], *get_args(kinds[name])))
        check_setting(name, found[name])
    return found


def _value(text: str, is_text: bool) -> Any:
    if is_text:
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def settings_words(config: TrainConfig, names: Iterable[str]) -> str:
    """Return settings as a person reads them, like `network=stack learning_rate=0.0021`."""
    values = {name: getattr(config, name) for name in names}
    return " ".join(f"{name}={value:.3g}" if type(value) is float else f"{name}={value}"
                    for name, value in values.items())  # fmt: skip
