"""Limits are above 0 and finite, whatever their type."""

from dataclasses import fields, replace
from typing import Any

import pytest

from mien.errors import ConfigError
from mien.server import Limits
from mien.server.limits import MAX_SECONDS


@pytest.mark.parametrize("name", [field.name for field in fields(Limits)])
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_a_limit_that_lets_nothing_through_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"`{name}=.*`: give a finite number above 0"):
        replace(Limits(), **{name: value})


@pytest.mark.parametrize("name", [field.name for field in fields(Limits) if field.name.endswith("seconds")])
def test_no_time_is_longer_than_timers_take(name: str) -> None:
    values: list[Any] = [{name: MAX_SECONDS}, {name: MAX_SECONDS + 1}]
    replace(Limits(), **values[0])
    with pytest.raises(ConfigError, match="at most 86400 seconds"):
        replace(Limits(), **values[1])


def test_the_limits_are_returned_by_name() -> None:
    assert Limits(files=4).to_dict() == Limits().to_dict() | {"files": 4}
