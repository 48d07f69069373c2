"""Help pages: every option has its default, under headings that a newcomer finds, within 80 columns."""

import re

import click
import pytest

from mien.cli import PURPOSES, VERBS, cli
from mien.cli.help import Verb, meaning
from mien.training.config import TrainConfig


def verb(name: str) -> Verb:
    found = cli.get_command(click.Context(cli), name)
    assert isinstance(found, Verb)
    return found


def context(name: str) -> click.Context:
    return click.Context(
        verb(name), info_name=f"mien {name}", terminal_width=80, help_option_names=["-h", "--help"]
    )  # fmt: skip


def page(name: str) -> str:
    return verb(name).get_help(context(name))


def shown(name: str) -> list[click.Option]:
    return [option for option in verb(name).params if isinstance(option, click.Option) and not option.hidden]


def headings(name: str) -> dict[str, list[str]]:
    found = verb(name).options_by_heading(context(name))
    return {title: [option.opts[0] for option in options] for title, options in found.items()}


@pytest.mark.parametrize("name", VERBS)
def test_a_page_fits_80_columns_and_names_each_option_once(name: str) -> None:
    text = page(name)
    assert max(map(len, text.splitlines())) <= 80
    options = text[text.index(f"{next(iter(headings(name)))}:") :].split("Defaults by network")[0]
    listed = re.findall(r"^  (--[a-z0-9-]+)", options, re.MULTILINE)
    assert sorted(listed) == sorted(o.opts[0] for o in shown(name))
    assert "Sentinel" not in text
    assert "RANGE" not in text


@pytest.mark.parametrize("name", VERBS)
def test_a_default_that_click_has_is_shown(name: str) -> None:
    for option in verb(name).params:
        if isinstance(option, click.Option) and isinstance(option.default, str | int | float) and not option.is_flag:
            shown = f"{option.default:g}" if isinstance(option.default, float) else option.default
            assert f"default: {shown}" in meaning(option)


def test_train_begins_with_the_ten_options_that_a_newcomer_needs() -> None:
    found = headings("train")
    assert list(found) == [
        "Start here", "Network", "Optimisation", "Augmentation", "Data", "Output", "Other",
    ]  # fmt: skip
    assert {"--out", "--resume", "--classes", "--from", "--epochs", "--minutes", "--augment"} < {*found["Start here"]}
    assert len(found["Start here"]) == 10
    assert found["Other"] == ["-h"]


def test_every_training_setting_says_its_default() -> None:
    settings = {*TrainConfig.__dataclass_fields__}
    for option in verb("train").params:
        if option.name in settings and isinstance(option, click.Option):
            assert re.search(r"  \[(default: \S|by network|by --augment: )", meaning(option)), option.name
    assert re.search(r"^  --epochs +20 +40 +20 +30 +25 +25$", page("train"), re.MULTILINE)


def test_show_lists_only_what_changes_its_drawing() -> None:
    listed = {name for names in headings("show").values() for name in names}
    assert {"--augment", "--rotation", "--erasing", "--size"} < listed
    assert not listed & {"--optimizer", "--epochs", "--learning-rate", "--network", "--patience"}


def test_the_first_page_lists_every_verb_under_its_purpose() -> None:
    text = cli.get_help(click.Context(cli, info_name="mien", terminal_width=80))
    assert max(map(len, text.splitlines())) <= 80
    places = [text.index(f"{purpose}:") for purpose in PURPOSES]
    assert places == sorted(places)
    assert all(re.search(rf"^  {name} +[a-z]", text, re.MULTILINE) for name in VERBS)
