"""What is searched, around which defaults."""

from typing import Any

import pytest

from mien.errors import ConfigError
from mien.training.config import TrainConfig
from mien.training.networks.pretrained import build_config
from mien.training.search.space import SPACE, make_space, parse_fixed

optuna = pytest.importorskip("optuna")


def space_of(given: dict[str, Any], names: list[str] | None = None) -> Any:
    return make_space(given, build_config(given), names)


def test_the_defaults_are_in_the_space_and_are_what_training_would_take() -> None:
    for given in ({}, {"network": "classic"}, {"network": "stack", "learning_rate": 1.0}):
        space = space_of(given)
        assert space.config(space.defaults) == TrainConfig.make(given)
        study = optuna.create_study()
        study.enqueue_trial(space.defaults)
        assert space.suggest(study.ask()) == TrainConfig.make(given)


def test_every_point_of_the_space_is_a_sound_config_with_the_same_epochs() -> None:
    space = space_of({"epochs": 7})
    assert set(space.searched) == set(SPACE)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    found = [space.suggest(study.ask()) for _ in range(60)]
    assert {config.epochs for config in found} == {7}
    assert {config.network for config in found} == {"stack", "residual"}
    rates = [config.learning_rate for config in found]
    assert min(rates) < 1e-3
    assert max(rates) > 1e-2


def test_the_search_can_be_restricted_and_settings_fixed() -> None:
    assert set(space_of({}, ["learning_rate", "dropout"]).searched) == {"learning_rate", "dropout"}
    assert "network" not in space_of(parse_fixed(["network=stack"])).searched


def test_what_initial_weights_fix_is_not_searched() -> None:
    assert set(space_of({"start_from": "mien"}).searched) == set(SPACE) - {"network", "width", "activation", "size"}
    backbone = space_of({"backbone": "MobileNetV3Small", "backbone_weights": "none"})
    assert set(backbone.searched) == set(SPACE) - {"network", "width", "activation"}


@pytest.mark.parametrize(
    ("given", "names", "words"),
    [
        ({}, ["lerning_rate"], "`search=lerning_rate`: is none of network, width"),
        ({"dropout": 0.1}, ["dropout"], "`search=dropout`: has a fixed value, too"),
        ({"start_from": "mien"}, ["size"], "`search=size`: is fixed by the initial weights"),
        ({name: getattr(TrainConfig.make({}), name) for name in SPACE}, None, "nothing is left to search"),
    ],
)
def test_a_search_that_makes_no_sense_is_refused(given: dict[str, Any], names: list[str] | None, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        space_of(given, names)


def test_fixed_settings_are_read_as_in_a_settings_file() -> None:
    found = parse_fixed(["network=stack", "learning-rate=1e-3", "epochs=8", "flip=false", "activation=gelu"])
    assert found == {"network": "stack", "learning_rate": 1e-3, "epochs": 8, "flip": False, "activation": "gelu"}


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        ("epochs", "`fix='epochs'`: must be NAME=VALUE"),
        ("epcohs=3", "`fix='epcohs=3'`: must be NAME=VALUE"),
        ("epochs=many", "`epochs='many'`: must be a whole number, not text"),
        ("dropout=2", "`dropout=2`: must lie between"),
        ("seed=3", "`fix=seed`: use `seed=`"),
    ],
)
def test_a_wrong_fixed_setting_is_one_line(pair: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_fixed([pair])


def test_a_setting_cannot_be_fixed_twice() -> None:
    with pytest.raises(ConfigError, match="`fix=epochs`: is given twice"):
        parse_fixed(["epochs=2", "epochs=3"])
