"""Loss, metric and optimizer of the training model."""

from typing import Any

import keras

from mien.training.config import TrainConfig
from mien.training.loop.adam import Adam, AdamW
from mien.training.loop.muon import Muon
from mien.training.networks.pretrained import HEAD


def compile_model(model: Any, network: Any, config: TrainConfig, frozen: bool) -> None:
    """Compile a training model with a new optimizer.

    Batch normalisation in frozen layers uses its running statistics and does not update them.

    Args:
        model: the augmentation, followed by `network` up to its logits.
        network: the network whose layers are frozen or trained.
        config: loss and optimizer.
        frozen: train only the head.
    """
    for layer in network.layers:
        layer.trainable = layer.name == HEAD or not frozen
    one_unit = model.output.shape[-1] == 1
    smoothing = config.label_smoothing
    if one_unit:
        loss = keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=smoothing)
    else:
        loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)
    metric = keras.metrics.MeanMetricWrapper(_binary_hits if one_unit else _hits, name="accuracy")
    model.compile(make_optimizer(config), loss, metrics=[metric])
    model.optimizer.build(model.trainable_variables)


def make_optimizer(config: TrainConfig) -> Any:
    """Return the optimizer that a config names. Biases and normalisation weights are not decayed."""
    if config.optimizer == "sgd":
        return keras.optimizers.SGD(
            config.learning_rate, momentum=config.momentum, nesterov=config.momentum > 0,
            weight_decay=config.weight_decay or None,
        )  # fmt: skip
    if config.optimizer == "adam":
        return Adam(config.learning_rate)
    decay = config.weight_decay
    if config.optimizer == "muon":
        found = Muon(config.learning_rate, weight_decay=decay, adam_weight_decay=decay, exclude_layers=[HEAD])
    else:
        found = AdamW(config.learning_rate, weight_decay=decay)
    found.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return found


def _binary_hits(truth: Any, logits: Any) -> Any:
    """Return 1 if the logit is on the side of the (possibly soft) label, else 0."""
    return keras.ops.cast(keras.ops.equal(truth >= 0.5, logits >= 0), "float32")


def _hits(truth: Any, logits: Any) -> Any:
    same = keras.ops.equal(keras.ops.argmax(truth, axis=-1), keras.ops.argmax(logits, axis=-1))
    return keras.ops.cast(same, "float32")
