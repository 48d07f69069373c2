"""Decide whether a bundle averages with mirror images: if that lowers the loss on validation images by more than noise.

A network that was trained on flipped images need not answer an image and its mirror image alike. The average of both is
a small ensemble (test-time augmentation). Needs no Keras.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mien.arrays import Float64
from mien.metrics.bootstrap import percentile_interval, resample_groups
from mien.metrics.estimates import Estimate
from mien.metrics.formatting import format_estimate
from mien.metrics.validation import group_indices
from mien.training.augmentation.levels import resolve
from mien.training.config import TrainConfig
from mien.training.export.temperature import MIN_ROWS_TO_FIT, fit_temperature, log_losses


@dataclass(frozen=True, eq=False)
class MirrorChoice:
    """Whether a bundle averages with mirror images.

    Attributes:
        mirror: whether it does.
        logits: float64 (N, K), of the validation images as the bundle gives them.
        sentence: what was chosen, why, and the setting that changes it.
        gain: by how much averaging lowers the negative log-likelihood, in nats; None if it was not measured.
    """

    mirror: bool
    logits: Float64
    sentence: str
    gain: Estimate | None = None


def choose_mirror(
    config: TrainConfig, logits: Callable[[bool], Float64], targets: npt.ArrayLike, groups: npt.ArrayLike | None = None
) -> MirrorChoice:
    """Decide as `mirror` of the config says; `auto` averages if that is significantly better on validation images.

    Better is a lower negative log-likelihood, each at its own fitted temperature, with the 95 % interval of a paired
    bootstrap by group above 0. With fewer than `MIN_ROWS_TO_FIT` images no temperature is fitted, and nothing decided.
    If training does not flip images, left and right may mean something, and mirror images are never averaged.

    Args:
        config: the settings of the run.
        logits: returns float64 (N, K) of the validation images, or of their mirror images.
        targets: float (N, K), rows sum to 1.
        groups: (N,) near-duplicates and images of one person have one number. By default each image has its own.
    """
    single, goal, off = logits(False), np.asarray(targets, np.float64), "mirror images are not averaged"
    if config.mirror == "no":
        return MirrorChoice(False, single, f"{off}, as asked")
    if not resolve(config).flip:
        return MirrorChoice(False, single, f"{off}, because training does not flip images (`flip=True`)")
    few = len(goal) < MIN_ROWS_TO_FIT
    if few and config.mirror == "auto":
        why = f"{len(goal)} validation images are too few to tell what they are worth ({MIN_ROWS_TO_FIT} are needed)"
        return MirrorChoice(False, single, f"{off}: {why}; `mirror='yes'` averages them")
    both = (single + logits(True)) / 2
    if few:
        return MirrorChoice(True, both, "mirror images are averaged, as asked")
    gain = measure_gain(single, both, goal, groups)
    measured = f"lowers the validation negative log-likelihood by {format_estimate(gain, digits=4)}"
    if config.mirror == "yes":
        return MirrorChoice(True, both, f"mirror images are averaged, as asked, which {measured}", gain)
    if gain.low > 0:
        return MirrorChoice(
            True, both, f"mirror images are averaged, which {measured}; `mirror='no'` leaves them out", gain
        )
    return MirrorChoice(
        False, single, f"{off}: that {measured}, which is not clearly above 0; `mirror='yes'` averages them", gain
    )


def measure_gain(
    single: Float64, both: Float64, targets: Float64, groups: npt.ArrayLike | None = None, seed: int = 0
) -> Estimate:
    """Return how much lower the negative log-likelihood of `both` is than that of `single`, in nats.

    Args:
        single: logits, float64 (N, K).
        both: other logits of the same images.
        targets: float64 (N, K), rows sum to 1.
        groups: (N,) numbers; images of one group are drawn together.
        seed: of the bootstrap.
    """
    before, after = (log_losses(z, targets, fit_temperature(z, targets)) for z in (single, both))
    group = group_indices(groups, len(before))
    sums, sizes = np.bincount(group, weights=before - after), np.bincount(group)
    replicates = np.concatenate([counts @ sums / (counts @ sizes) for counts in resample_groups(len(sums), seed=seed)])
    low, high = percentile_interval(replicates, len(sums))
    return Estimate(float((before - after).mean()), low, high)
