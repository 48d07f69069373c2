"""Check what a reader is told about faces, and describe a reader in one line."""

from typing import Literal, get_args

from mien.arguments import choice_argument
from mien.errors import ConfigError
from mien.inference.bundle_config import BundleConfig
from mien.inference.decision import AnswerRule
from mien.runtime.providers import Device
from mien.text import one_line

#: Which of the faces in an image are classified.
Faces = Literal["largest", "all"]

#: So many labels are named in a description.
_SHOWN = 8


def detects(config: BundleConfig, detect: bool | None) -> bool:
    """Return whether faces are found first: as asked for, or as the bundle was trained if `detect` is None."""
    if not isinstance(detect, bool | None):
        raise ConfigError(f"`detect={detect!r:.20}`: give True, False or None")
    return config.framing == "face" if detect is None else detect


def max_faces(faces: str) -> int | None:
    """Return how many faces of an image are classified; None for all."""
    return 1 if choice_argument("faces", faces, get_args(Faces)) == "largest" else None


def describe_mirror(config: BundleConfig, mirror: bool) -> dict[str, str]:
    """Return the entry of a report on mirror images; none if neither the bundle nor the caller wants them.

    Examples:
        >>> describe_mirror(BundleConfig("m", ("a", "b"), 48, 1, "0" * 64), True)
        {'mirror': 'yes, which is not the setting of the model'}
    """
    changed = ", which is not the setting of the model" if mirror != config.mirror else ""
    return {"mirror": f"{'yes' if mirror else 'no'}{changed}"} if mirror or changed else {}


def describe(
    config: BundleConfig, rule: AnswerRule, detect: bool, most: int | None, device: Device, mirror: bool
) -> str:
    """Say a reader's model, its labels, what it reads and when it gives which answer, in one line.

    Args:
        config: of its bundle.
        rule: when it gives which answer.
        detect: whether it finds faces first.
        most: how many faces of an image it classifies; None is all.
        device: where its model runs.
        mirror: whether it averages with mirror images.
    """
    labels = ", ".join(config.labels) if len(config.labels) <= _SHOWN else f"{len(config.labels)} labels"
    read = f"{'each face' if most is None else 'the largest face'} (found first)" if detect else "whole images"
    read += " with their mirror images" if mirror else ""
    where = "" if device == "cpu" else f" on {device}"
    changed = "" if rule == config.rule else " (not the model's own rule)"
    return one_line(f"<mien.Reader {config.name}: {labels}; reads {read}{where}; answers {rule.describe()}{changed}>")
