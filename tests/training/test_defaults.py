"""The settings under headings, and their defaults in words, agree with TrainConfig."""

import dataclasses

import pytest

from mien.training.augmentation.levels import LEVELS, resolve
from mien.training.config import TrainConfig
from mien.training.defaults import (
    FINE_TUNED,
    GROUPS,
    default_words,
    defaults_by_network,
    differing_settings,
    show_value,
)

FIELDS = [field.name for field in dataclasses.fields(TrainConfig)]


def test_every_setting_stands_under_one_heading() -> None:
    assert sorted(name for names in GROUPS.values() for name in names) == sorted(FIELDS)


@pytest.mark.parametrize("name", FIELDS)
def test_the_words_are_what_a_config_has(name: str) -> None:
    words, configs = default_words(name), defaults_by_network().values()
    if words == "by network":
        assert len({getattr(config, name) for config in configs}) > 1
    elif words.startswith("by --augment"):
        for level in ("light", "strong"):
            value = getattr(resolve(TrainConfig(augment=level)), name)
            assert (f"{level} {show_value(value)}" in words) == bool(value)
    elif name not in ("network", "start_from", "backbone_weights", "detect"):  # these say when
        assert {show_value(getattr(config, name)) for config in configs} - {"MobileNetV3Small"} == {words}


def test_a_backbone_has_the_defaults_of_fine_tuning() -> None:
    configs = defaults_by_network()
    for name in {*differing_settings()} - {"size", "colour"}:
        assert getattr(configs["backbone"], name) == getattr(configs[FINE_TUNED], name), name


def test_none_changes_nothing() -> None:
    assert not any(dataclasses.astuple(LEVELS["none"]))
