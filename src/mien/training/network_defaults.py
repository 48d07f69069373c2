"""The default settings of each network: `mien.training.config` takes what is not set from here."""

from collections.abc import Mapping
from typing import Any

#: Defaults that the networks with global average pooling share.
_POOLING: Mapping[str, Any] = {
    "augment": "light", "optimizer": "adamw", "schedule": "cosine", "epochs": 20, "dropout": 0.2, "warmup_epochs": 1.0,
    "weight_decay": 5e-3, "label_smoothing": 0.05, "weight_average": 0.999,
}  # fmt: skip

#: Defaults of each network. Those of `classic` follow the tutorial that it comes from.
NETWORK_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "classic": {"size": 256, "colour": "rgb", "augment": "none", "optimizer": "adam", "learning_rate": 1e-3,
                "schedule": "constant", "epochs": 20, "batch_size": 32, "dropout": 0.0},
    "stack": {"size": 48, "colour": "grey", "augment": "light", "optimizer": "adam", "learning_rate": 1e-3,
              "schedule": "plateau", "epochs": 40, "batch_size": 64, "dropout": 0.25, "patience": 8},
    "residual": {**_POOLING, "size": 48, "colour": "grey", "learning_rate": 2e-3, "batch_size": 64},
    "light": {**_POOLING, "size": 48, "colour": "grey", "learning_rate": 2e-3, "batch_size": 64, "epochs": 30,
              "dropout": 0.1},
    "backbone": {**_POOLING, "size": 96, "colour": "rgb", "learning_rate": 1e-3, "batch_size": 32,
                 "backbone": "MobileNetV3Small", "backbone_weights": "imagenet"},
}  # fmt: skip

#: Defaults that replace them if a network starts from trained weights: chosen for a few hundred images.
FINE_TUNING_DEFAULTS: Mapping[str, Any] = {
    **_POOLING, "augment": "strong", "freeze_epochs": 5, "head_learning_rate": 2e-2, "learning_rate": 5e-4,
    "epochs": 25, "patience": None, "batch_size": 16,
}  # fmt: skip
