"""The pages that the site makes from the code: every setting, and the help of every verb."""

import dataclasses
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from mien.cli import VERBS
from mien.training.config import TrainConfig


@pytest.fixture(scope="module")
def macros() -> ModuleType:
    spec = importlib.util.spec_from_file_location("macros", Path(__file__).parents[2] / "docs" / "macros.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_setting_has_a_row_under_a_heading(macros: ModuleType) -> None:
    text: str = macros.settings_tables()
    assert text.index("## Start here") < text.index("## Optimisation") < text.index("## Defaults by network")
    rows = [line for line in text.splitlines() if line.startswith("| <code>")]
    assert len(rows) == len(dataclasses.fields(TrainConfig))
    assert all(row.count(" | ") == 2 for row in rows)
    assert "| `epochs` | 20 | 40 | 20 | 30 | 25 | 25 |" in text


def test_every_verb_has_its_help(macros: ModuleType) -> None:
    text: str = macros.commands()
    assert [line[8:] for line in text.splitlines() if line.startswith("## ")] == list(VERBS)
    rows = [line for line in text.splitlines() if line.startswith("| <code>")]
    assert len(rows) > 100
    assert all(row.count("|") == 3 for row in rows)


def test_every_result_is_on_the_page_of_measurements(macros: ModuleType) -> None:
    text: str = macros.measurements()
    names = sorted(path.stem for path in (macros.ROOT / "benchmarks" / "results").glob("*.json"))
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == names
