import dataclasses
import tomllib
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.errors import ConfigError
from mien.training.config import (
    Activation,
    TrainConfig,
    merge_settings,
    read_settings,
    read_training_settings,
)
from mien.training.network_defaults import NETWORK_DEFAULTS

TUNED = {"start_from": "mien"}


@pytest.mark.parametrize("network", list(NETWORK_DEFAULTS))
def test_toml_round_trip_keeps_every_setting(network: str) -> None:
    config = TrainConfig.make({"network": network, "minutes": 1.5, "patience": 4, "rotation": 12.5, "flip": False})
    assert TrainConfig.make(tomllib.loads(config.to_toml())) == config


@given(
    st.builds(
        dict,
        size=st.integers(16, 1024),
        width=st.floats(0.05, 16),
        learning_rate=st.floats(1e-8, 10),
        activation=st.sampled_from(get_args(Activation)),
        start_from=st.none() | st.text(max_size=12),
        minutes=st.none() | st.floats(0.01, 1e6),
        deterministic=st.booleans(),
    )
)
def test_any_valid_settings_survive_toml(settings: dict[str, object]) -> None:
    config = TrainConfig.make(settings)
    assert TrainConfig.make(tomllib.loads(config.to_toml())) == config


def test_classic_has_the_tutorials_defaults() -> None:
    config = TrainConfig.make({"network": "classic"})
    assert (config.size, config.colour, config.optimizer, config.epochs) == (256, "rgb", "adam", 20)
    assert (config.augment, config.schedule, config.dropout) == ("none", "constant", 0.0)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"learnig_rate": 0.1}, "unknown setting 'learnig_rate'"),
        ({"network": "vgg"}, "`network='vgg'`: is none of classic, stack, residual"),
        ({"optimizer": "lion"}, "`optimizer='lion'`: is none of adam, adamw, muon, sgd"),
        ({"activation": "rleu"}, "`activation='rleu'`: is none of relu, leaky_relu"),
        ({"epochs": 0}, "`epochs=0`: must lie between 1"),
        ({"epochs": "ten"}, "`epochs='ten'`: must be a whole number, not text"),
        ({"epochs": True}, "`epochs=True`: must be a whole number"),
        ({"dropout": float("nan")}, "`dropout=nan`"),
        ({"flip": 1}, "`flip=1`: must be true or false"),
        ({"mirror": "maybe"}, "`mirror='maybe'`: is none of auto, yes, no"),
        ({"mirror": True}, "`mirror=True`: is none of auto, yes, no"),
        ({"freeze_epochs": 3}, "`freeze_epochs=`: needs `start_from=`"),
        ({"freeze_epochs": 3, "start_from": "none"}, "`freeze_epochs=`: needs `start_from=`"),
        ({"freeze_epochs": 9, "epochs": 8, "start_from": "mien"}, "`freeze_epochs=9`: more than `epochs=8`"),
        ({"start_from": 3}, "`start_from=3`: must be text"),
        ({"validation_share": 0.5, "test_share": 0.5}, "together at most 0.9"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        TrainConfig.make(settings)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("epochs = 0", "`epochs=0`: must lie between"),
        ('activation = "rleu"', "`activation='rleu'`: is none of relu"),
        ('from = "none"', "unknown setting 'from'; did you mean 'start_from'?"),
        ("epoch = 3", "unknown setting 'epoch'; did you mean 'epochs'?"),
    ],
)
def test_a_wrong_setting_in_a_file_names_the_file(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "x.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_training_settings(path)
    assert str(caught.value).startswith(f"{path}: {words}")


def test_settings_that_need_others_may_stand_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text('freeze_epochs = 2\nbackbone_weights = "imagenet"\n')
    assert read_training_settings(path) == {"freeze_epochs": 2, "backbone_weights": "imagenet"}


def test_a_broken_settings_file_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text("epochs = = 3")
    with pytest.raises(ConfigError, match=r"x\.toml: is not valid TOML"):
        read_settings(path)


def test_every_setting_is_explained() -> None:
    assert all(field.metadata["help"] for field in dataclasses.fields(TrainConfig))


def test_fine_tuning_has_its_own_defaults_and_none_means_from_scratch() -> None:
    tuned, scratch = TrainConfig.make(TUNED), TrainConfig.make({"start_from": "none"})
    assert scratch == TrainConfig.make({})
    assert tuned.learning_rate < scratch.learning_rate
    assert 0 < tuned.freeze_epochs < tuned.epochs
    assert tuned.learning_rate < tuned.head_learning_rate
    assert TrainConfig.make(tomllib.loads(tuned.to_toml())) == tuned


@pytest.mark.parametrize(("epochs", "frozen"), [(1, 0), (4, 1), (8, 2), (100, TrainConfig.make(TUNED).freeze_epochs)])
def test_a_short_run_freezes_for_fewer_epochs(epochs: int, frozen: int) -> None:
    assert TrainConfig.make({**TUNED, "epochs": epochs}).freeze_epochs == frozen
    assert TrainConfig.make({**TUNED, "epochs": epochs, "freeze_epochs": epochs}).freeze_epochs == epochs


@pytest.mark.parametrize(
    ("file", "epochs", "frozen"),
    [
        ("freeze_epochs = 5\nepochs = 25", 3, 0),  # as in the config.toml of a run
        ("freeze_epochs = 5\nepochs = 25", 8, 2),
        ("freeze_epochs = 5\nepochs = 25", 40, 5),
        ("freeze_epochs = 5", 8, 2),
        ("freeze_epochs = 9\nepochs = 10", 10, 9),  # more than usual: only as short as it must be
        ("freeze_epochs = 9\nepochs = 10", 4, 4),
    ],
)
def test_fewer_epochs_freeze_a_files_trunk_for_fewer_of_them(
    tmp_path: Path, file: str, epochs: int, frozen: int
) -> None:
    path = tmp_path / "x.toml"
    path.write_text(f'{file}\nstart_from = "mien"\n')
    said: list[str] = []
    found = merge_settings(path, {"epochs": epochs, "freeze_epochs": None}, said.append)
    assert TrainConfig.make(found).freeze_epochs == frozen
    changed = frozen != read_settings(path)["freeze_epochs"]
    assert [f"; this run takes {frozen}" in line for line in said] == [True] * changed


def test_a_freeze_that_the_user_asks_for_stays(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text('freeze_epochs = 5\nstart_from = "mien"\n')
    with pytest.raises(ConfigError, match="`freeze_epochs=4`: more than `epochs=3`"):
        TrainConfig.make(merge_settings(path, {"epochs": 3, "freeze_epochs": 4}))
