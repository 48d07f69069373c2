"""Limits are above 0, whatever their type."""

from dataclasses import fields, replace
from typing import Any

import pytest

from mien.errors import ConfigError
from mien.server import Limits


@pytest.mark.parametrize("name", [field.name for field in fields(Limits)])
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_a_limit_that_lets_nothing_through_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"{name} .*: give a number above 0"):
        replace(Limits(), **{name: value})


def test_the_limits_are_returned_by_name() -> None:
    assert Limits(files=4).to_dict() == Limits().to_dict() | {"files": 4}
