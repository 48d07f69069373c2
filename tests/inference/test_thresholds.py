"""Thresholds as users write them."""

import pytest

from mien.errors import ConfigError
from mien.inference.thresholds import parse_threshold


@pytest.mark.parametrize("text", ["", "much", "sad=", "sad=0.6,happy", "sad=much"])
def test_other_text_is_no_threshold(text: str) -> None:
    with pytest.raises(ConfigError, match="give a number between 0 and 1, or ANSWER=NUMBER"):
        parse_threshold(text)
