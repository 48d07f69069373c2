"""The search space of `mien tune`: settings, ranges and defaults."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args, get_type_hints

from mien.errors import ConfigError
from mien.text import did_you_mean
from mien.training.config import TrainConfig, check_setting


@dataclass(frozen=True)
class Choice:
    """One of several values."""

    values: tuple[Any, ...]

    def including(self, value: Any) -> "Choice":
        """Return the choice, extended by a value."""
        return self if value in self.values else Choice((*self.values, value))

    def suggest(self, trial: Any, name: str) -> Any:
        """Return the value that an Optuna trial suggests."""
        return trial.suggest_categorical(name, self.values)


@dataclass(frozen=True)
class Range:
    """A number from `low` to `high`, uniform or (`log`) log-uniform."""

    low: float
    high: float
    log: bool = False

    def including(self, value: float) -> "Range":
        """Return the range, extended to a value."""
        return Range(min(self.low, value), max(self.high, value), self.log)

    def suggest(self, trial: Any, name: str) -> float:
        """Return the value that an Optuna trial suggests."""
        return float(trial.suggest_float(name, self.low, self.high, log=self.log))


#: All settings that can be searched. The network `classic` is searched only if it is the default.
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

#: Settings that trained weights fix, so that they cannot be searched.
_FIXED_BY_WEIGHTS = ("network", "width", "activation", "size")
_FIXED_BY_BACKBONE = ("network", "width", "activation")


@dataclass(frozen=True)
class Space:
    """The settings to search, around the given settings and the defaults of the others (`base`)."""

    given: Mapping[str, Any]
    base: TrainConfig
    searched: Mapping[str, Choice | Range]

    @property
    def defaults(self) -> dict[str, Any]:
        """The values that `mien train` would use: the first trial."""
        return {name: getattr(self.base, name) for name in self.searched}

    def config(self, chosen: Mapping[str, Any]) -> TrainConfig:
        """Return the config of a trial; all trials have the same number of epochs."""
        budget = {"epochs": self.base.epochs, "patience": self.base.patience}
        return TrainConfig.make({**budget, **self.given, **chosen})

    def suggest(self, trial: Any) -> TrainConfig:
        """Return the config that an Optuna trial suggests."""
        return self.config({name: values.suggest(trial, name) for name, values in self.searched.items()})


def resolved(given: Mapping[str, Any], base: TrainConfig) -> dict[str, Any]:
    """Return the given settings with those that trained weights fix, so that trials need not read the weights."""
    if base.start_from is None:
        return dict(given)
    return {
        **given,
        "start_from": base.start_from,
        **{name: getattr(base, name) for name in (*_FIXED_BY_WEIGHTS, "colour")},
    }


def make_space(given: Mapping[str, Any], base: TrainConfig, names: Iterable[str] | None = None) -> Space:
    """Return the search space.

    Args:
        given: settings with a fixed value.
        base: the config made from `given`.
        names: the settings to search; None: all that are not given.

    Raises:
        ConfigError: a setting cannot be searched, or is given and searched.

    Examples:
        >>> sorted(make_space({}, TrainConfig.make({}), ["width", "dropout"]).searched)
        ['dropout', 'width']
    """
    fixed = _FIXED_BY_WEIGHTS if base.start_from else _FIXED_BY_BACKBONE if getattr(base, "backbone", None) else ()
    if names is None:
        chosen = [name for name in SPACE if name not in given and name not in fixed]
    else:
        chosen = list(dict.fromkeys(names))
        _check(chosen, given, fixed)
    if not chosen:
        raise ConfigError("`fix=`: nothing is left to search; fix less")
    searched = {name: SPACE[name].including(getattr(base, name)) for name in SPACE if name in chosen}
    return Space(given, base, searched)


def _check(names: Iterable[str], given: Mapping[str, Any], fixed: Iterable[str]) -> None:
    for name in names:
        if name not in SPACE:
            raise ConfigError(f"`search={name}`: is none of {', '.join(SPACE)}{did_you_mean(name, SPACE)}")
        if name in given:
            raise ConfigError(f"`search={name}`: has a fixed value, too; leave one out")
        if name in fixed:
            raise ConfigError(f"`search={name}`: is fixed by the initial weights; leave it out")


def parse_fixed(pairs: Iterable[str]) -> dict[str, Any]:
    """Parse `name=value` pairs, values as in a TOML file but text without quotes; ConfigError if one is wrong.

    Examples:
        >>> parse_fixed(["epochs=8", "activation=gelu"])
        {'epochs': 8, 'activation': 'gelu'}
    """
    kinds = get_type_hints(TrainConfig)
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or name not in kinds:
            raise ConfigError(f"`fix={pair!r}`: must be NAME=VALUE with a setting of mien train, like network=stack")
        if name in ("seed", "detect"):
            raise ConfigError(f"`fix={name}`: use `{name}=`")
        if name in found:
            raise ConfigError(f"`fix={name}`: is given twice")
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


def format_settings(values: Mapping[str, Any]) -> str:
    """Return settings as text.

    Examples:
        >>> format_settings({"network": "stack", "learning_rate": 0.00213})
        'network=stack learning_rate=0.00213'
    """
    return " ".join(f"{name}={value:.3g}" if type(value) is float else f"{name}={value}"
                    for name, value in values.items())  # fmt: skip
