"""The settings of a training run: names, types, ranges, defaults, TOML. Needs no Keras."""

import dataclasses
import json
import math
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn, get_args, get_origin, get_type_hints

from mien.errors import ConfigError
from mien.io.bounded import parse_toml, read_bytes
from mien.text import did_you_mean, first_line
from mien.training.augmentation.levels import check_mirror
from mien.training.network_defaults import FINE_TUNING_DEFAULTS, NETWORK_DEFAULTS

Network = Literal["classic", "stack", "residual", "light", "backbone"]
#: Activations by their Keras names.
Activation = Literal["relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "selu", "mish"]

#: A run freezes its trunk for at most one in so many epochs, unless the user says otherwise.
_UNFROZEN = 4

#: The value of `start_from` and `backbone_weights` that asks for random weights.
FROM_SCRATCH = "none"
_TYPE_WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
_DETECT_FIX = (
    "give detect = true to crop each image to its largest face, false to use it whole; leave it out to let mien decide"
)
#: The value of `backbone_weights` that asks for the ImageNet weights, which Keras downloads.
IMAGENET = "imagenet"


def _setting(default: Any, meaning: str, low: float = -math.inf, high: float = math.inf) -> Any:
    return dataclasses.field(default=default, metadata={"help": meaning, "low": low, "high": high})


@dataclass(frozen=True)
class TrainConfig:
    """All settings of one run. `TrainConfig.make({...})` fills in the network's own defaults.

    With `start_from`, size, colour and network must match the weights: use `pretrained.build_config`, which reads them.

    Examples:
        >>> TrainConfig.make({"network": "stack"}).batch_size
        64
    """

    # --- network
    network: Network = _setting("residual", "network architecture")
    size: int = _setting(48, "side of the square input in pixels", 16, 1024)
    colour: Literal["grey", "rgb"] = _setting("grey", "colour of the input")
    width: float = _setting(1.0, "factor for the number of filters in every layer", 0.05, 16)
    dropout: float = _setting(0.0, "dropout rate before the head (stack: after every block, too)", 0, 0.95)
    activation: Activation = _setting("relu", "activation function")
    backbone: str | None = _setting(None, "backbone: a network of keras.applications, like EfficientNetV2B0")

    # --- initial weights
    start_from: str | None = _setting(
        None, "fine-tune from the weights of a shipped model, a bundle or a finished run; none: train from scratch"
    )
    backbone_weights: str = _setting(
        FROM_SCRATCH, "weights of the backbone: imagenet (Keras downloads them), a file, or none"
    )
    freeze_epochs: int = _setting(
        0, "epochs at the start that train only the new head (with `start_from=` or `backbone=`)", 0, 100_000
    )
    head_learning_rate: float = _setting(1e-3, "learning rate while only the head is trained", 1e-8, 10)

    # --- optimisation
    optimizer: Literal["adam", "adamw", "muon", "sgd"] = _setting("adam", "optimizer")
    learning_rate: float = _setting(1e-3, "peak learning rate", 1e-8, 10)
    weight_decay: float = _setting(0.0, "decoupled weight decay (adamw, muon, sgd)", 0, 1)
    momentum: float = _setting(0.9, "momentum (sgd)", 0, 0.9999)
    schedule: Literal["constant", "plateau", "cosine"] = _setting("constant", "learning rate schedule")
    warmup_epochs: float = _setting(0.0, "epochs of linear warm-up from 0", 0, 1000)
    plateau_patience: int = _setting(3, "plateau schedule: epochs without improvement before the rate falls", 1, 1000)
    plateau_factor: float = _setting(0.3, "plateau schedule: factor for the learning rate", 0.001, 0.999)
    batch_size: int = _setting(64, "images per training step", 1, 8192)
    label_smoothing: float = _setting(0.0, "label smoothing (Szegedy et al., 2016)", 0, 0.9)
    weight_average: float = _setting(0.0, "decay of the moving average of the weights (EMA); 0: none", 0, 0.99999)
    precision: Literal["float32", "bfloat16"] = _setting(
        "float32", "training precision; bfloat16 is faster if the processor supports it (AMX, AVX512-BF16)"
    )
    class_weight: Literal["none", "balanced"] = _setting("none", "balanced: weight classes by inverse frequency")

    # --- budget
    epochs: int = _setting(20, "passes over the training split", 1, 100_000)
    minutes: float | None = _setting(None, "time budget in minutes, at which a cosine schedule ends", 0.01, 1e6)
    patience: int | None = _setting(None, "early stopping: epochs without a better validation loss", 1, 100_000)

    # --- augmentation: a level, and transforms that override it
    augment: Literal["none", "light", "strong"] = _setting("none", "augmentation level; single transforms override it")
    flip: bool | None = _setting(None, "random horizontal flip, with probability 0.5")
    rotation: float | None = _setting(None, "largest rotation, in degrees", 0, 180)
    zoom: float | None = _setting(None, "largest zoom: factors from 1 / (1 + zoom) to 1 + zoom", 0, 4)
    translation: float | None = _setting(None, "largest shift, as a fraction of the image side", 0, 0.9)
    brightness: float | None = _setting(None, "largest brightness change, as a fraction of the full range", 0, 1)
    contrast: float | None = _setting(None, "largest contrast change, as a fraction", 0, 1)
    erasing: float | None = _setting(None, "probability of random erasing (Zhong et al., 2020)", 0, 1)
    degradation: float | None = _setting(
        None, "probability of each degradation: blur, low resolution, JPEG artefacts, noise, uneven light", 0, 1
    )
    mixup: float = _setting(0.0, "alpha of mixup (Zhang et al., 2018); 0: no mixup", 0, 100)
    mirror: Literal["auto", "yes", "no"] = _setting(
        "auto", "average each crop with its mirror image when reading; auto: if flips are on and validation gains"
    )

    # --- data
    detect: bool | None = _setting(
        None, "crop each image to its largest face first, or use it whole; unset: decided by a sample of the images"
    )
    validation_share: float = _setting(0.2, "fraction held out for validation if DATA does not say", 0.01, 0.9)
    test_share: float = _setting(0.1, "fraction held out for testing if DATA does not say", 0, 0.9)
    seed: int = _setting(0, "seed of the split, the initial weights and all random choices", 0, 2**31 - 1)
    deterministic: bool = _setting(False, "bit-identical runs on one machine; slower")
    tensorboard: bool = _setting(False, "also write TensorBoard logs to the run folder")

    def __post_init__(self) -> None:
        """Check the type and range of every setting; ConfigError names the first that is wrong."""
        for field in dataclasses.fields(self):
            check_setting(field.name, getattr(self, field.name))
        if self.validation_share + self.test_share > 0.9:
            raise ConfigError("`validation_share=` and `test_share=`: together at most 0.9")
        self._check_backbone()
        check_mirror(self)
        if self.freeze_epochs and not self.starts_trained:
            raise ConfigError(
                "`freeze_epochs=`: needs `start_from=`, or `backbone=` with weights; freezing random weights is no use"
            )
        if self.freeze_epochs > self.epochs:
            raise ConfigError(f"`freeze_epochs={self.freeze_epochs}`: more than `epochs={self.epochs}`")

    def _check_backbone(self) -> None:
        if self.network != "backbone":
            if self.backbone is not None:
                raise ConfigError(f"`network={self.network!r}`: cannot have a `backbone=`; give one of the two")
            if self.backbone_weights != FROM_SCRATCH:
                raise ConfigError(f"`backbone_weights={self.backbone_weights!r}`: needs `backbone=NAME`")
            return
        if self.backbone is None:
            raise ConfigError("`network='backbone'`: needs `backbone=NAME`, like MobileNetV3Small")
        if self.start_from is not None and self.backbone_weights != FROM_SCRATCH:
            raise ConfigError("`start_from=` and `backbone_weights=`: give only one of them")
        for name, own in (("width", 1.0), ("activation", "relu"), ("precision", "float32")):
            if getattr(self, name) != own:
                raise ConfigError(f"`{name}={getattr(self, name)!r}`: a backbone has its own; leave it out")

    @property
    def starts_trained(self) -> bool:
        """Whether training starts from trained weights (except the head's)."""
        return self.start_from is not None or self.backbone_weights != FROM_SCRATCH

    @classmethod
    def make(cls, settings: Mapping[str, Any]) -> "TrainConfig":
        """Build a config from settings by name; those absent or None get the network's default.

        Raises ConfigError for an unknown name, a wrong type or a value out of range.
        """
        if unknown := sorted(set(settings) - set(_FIELDS)):
            _refuse_unknown(unknown[0])
        given = {name: value for name, value in settings.items() if value is not None}
        network = given.get("network", "backbone" if "backbone" in given else cls.network)
        given["network"] = network
        if not isinstance(network, str) or network not in NETWORK_DEFAULTS:
            raise ConfigError(f"`network={network!r}`: is none of {', '.join(NETWORK_DEFAULTS)}"
                              f"{did_you_mean(str(network), NETWORK_DEFAULTS)}")  # fmt: skip
        if given.get("start_from") == FROM_SCRATCH:
            del given["start_from"]
        found = {**NETWORK_DEFAULTS[network], **given}
        if "start_from" in given and "backbone_weights" not in given:
            found["backbone_weights"] = FROM_SCRATCH
        if "start_from" not in given and found.get("backbone_weights", FROM_SCRATCH) == FROM_SCRATCH:
            return cls(**found)
        found = {**found, **FINE_TUNING_DEFAULTS, **given}
        if "freeze_epochs" not in given and type(found["epochs"]) is int:  # a short run freezes for fewer epochs
            found["freeze_epochs"] = min(found["freeze_epochs"], found["epochs"] // _UNFROZEN)
        return cls(**found)

    @property
    def channels(self) -> int:
        """Number of input channels: 1 for grey, 3 for RGB."""
        return 1 if self.colour == "grey" else 3

    def to_toml(self) -> str:
        """Return the settings as TOML for `--config`, without those that are unset."""
        rows = dataclasses.asdict(self).items()
        return "".join(f"{name} = {_toml(value)}\n" for name, value in rows if value is not None)


def merge_settings(
    path: Path | None, overrides: Mapping[str, Any], say: Callable[[str], None] = lambda text: None
) -> dict[str, Any]:
    """Return the settings of a TOML file, replaced by the overrides that are not None.

    If only `epochs` is overridden, `freeze_epochs` of the file keeps to its share of them, and `say` receives a line.
    """
    settings = read_training_settings(path) if path else {}
    given = {name: value for name, value in overrides.items() if value is not None}
    frozen, epochs = settings.get("freeze_epochs", 0), given.get("epochs")
    if type(epochs) is int and "freeze_epochs" not in given:
        usual = frozen <= settings.get("epochs", FINE_TUNING_DEFAULTS["epochs"]) // _UNFROZEN
        most = max(0, epochs // _UNFROZEN if usual else epochs)
        if frozen > most:
            given["freeze_epochs"] = most
            say(f"{path}: `freeze_epochs={frozen}` is too many for `epochs={epochs}`; this run takes {most}")
    return settings | given


def read_training_settings(path: Path) -> dict[str, Any]:
    """Read a user's TOML file of settings; ConfigError names the file and the wrong setting."""
    settings = read_settings(path)
    try:
        for name, value in settings.items():
            check_setting(name, value)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    return settings


def read_settings(path: Path) -> dict[str, Any]:
    """Read a TOML file; ConfigError if it is not TOML."""
    try:
        return parse_toml(read_bytes(path))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; give a TOML file of settings") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: is a folder; give a TOML file of settings") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise ConfigError(f"{path}: is not valid TOML ({first_line(error)})") from None


def check_setting(name: str, value: object) -> None:
    """Check one setting by itself; ConfigError for an unknown name, a wrong type or a value out of range."""
    if name not in _FIELDS:
        _refuse_unknown(name)
    field, kind = _FIELDS[name]
    _check_type(name, value, kind)
    low, high = field.metadata["low"], field.metadata["high"]
    if isinstance(value, int | float) and not low <= value <= high:
        raise ConfigError(f"`{name}={value!r}`: must lie between {low:g} and {high:g}")


def _refuse_unknown(name: str) -> NoReturn:
    if name == "faces":  # the flag of other verbs, which means another thing there
        raise ConfigError(f"unknown setting 'faces'; {_DETECT_FIX}")
    if name == "from":  # the flag; Python reserves the word
        raise ConfigError("unknown setting 'from'; did you mean 'start_from'?")
    known = f"; known are {', '.join(sorted(_FIELDS))}"
    raise ConfigError(f"unknown setting '{name}'{did_you_mean(name, _FIELDS) or known}")


_KINDS = get_type_hints(TrainConfig)
_FIELDS = {field.name: (field, _KINDS[field.name]) for field in dataclasses.fields(TrainConfig)}


def _toml(value: object) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{value} cannot be stored")
    # TOML writes numbers, booleans and basic strings as JSON does, except that DEL must be escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _check_type(field: str, value: object, kind: Any) -> None:
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            near = did_you_mean(str(value), get_args(kind))
            raise ConfigError(f"`{field}={value!r}`: is none of {', '.join(get_args(kind))}{near}")
        return
    kinds = get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    fits = type(value) in kinds or (float in kinds and type(value) is int)
    if not fits and field == "detect":
        raise ConfigError(f"detect {value!r:.40}: is neither true nor false; {_DETECT_FIX}")
    if not fits or (isinstance(value, float) and math.isnan(value)):
        wanted = " or ".join(_TYPE_WORDS[one] for one in kinds if one is not type(None))
        raise ConfigError(f"`{field}={value!r}`: must be {wanted}{', not text' * isinstance(value, str)}")
