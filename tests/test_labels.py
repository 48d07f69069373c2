"""Class names from people's own words."""

import pytest

from mien.errors import ConfigError
from mien.labels import EXPRESSIONS, FER2013_CODES, check_labels, parse_classes, parse_rename


def test_classes_keep_their_order_and_lose_their_spaces() -> None:
    assert parse_classes("sad, happy ,angry") == ("sad", "happy", "angry")


@pytest.mark.parametrize("text", ["", "happy", "happy,", ",happy", "happy,,sad", "happy,sad,happy", "happy, happy"])
def test_bad_classes_are_one_line(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_classes(text)
    assert "\n" not in str(caught.value)
    assert "class" in str(caught.value)


def test_rename_reads_repeated_options_and_lists() -> None:
    assert parse_rename(["smile=happy", "frown=sad, cry = sad"]) == {"smile": "happy", "frown": "sad", "cry": "sad"}
    assert parse_rename([]) == {}
    assert parse_rename(["a=b=c"]) == {"a": "b=c"}
    assert parse_rename(["a=b", "a=b"]) == {"a": "b"}


@pytest.mark.parametrize("pairs", [["smile"], ["=happy"], ["smile="], ["a=b,"], ["a=b", "a=c"]])
def test_bad_rename_is_refused(pairs: list[str]) -> None:
    with pytest.raises(ConfigError, match="rename"):
        parse_rename(pairs)


@pytest.mark.parametrize("text", ["happy\n,sad", "happy,sa\rd", "\n"])
def test_a_line_break_outside_of_quotes_is_one_line(text: str) -> None:
    with pytest.raises(ConfigError, match="a name with a line break stands in double quotes"):
        parse_classes(f"{text}x")
    with pytest.raises(ConfigError, match="a name with a line break stands in double quotes"):
        parse_rename([f"{text}=y"])
    assert parse_classes('"hap\npy",sad') == ("hap\npy", "sad")


def test_a_name_with_a_comma_stands_in_quotes() -> None:
    assert parse_classes('happy, "sad, crying"') == ("happy", "sad, crying")
    assert parse_rename(['"sad, crying=sad",joy=happy']) == {"sad, crying": "sad", "joy": "happy"}
    assert check_labels(["sad, crying", "happy"]) == ("sad, crying", "happy")


def test_labels_are_checked() -> None:
    assert check_labels(["sad", "happy"]) == ("sad", "happy")
    for bad in (["one"], ["a", "a"], ["a", ""], []):
        with pytest.raises(ConfigError):
            check_labels(bad)


def test_fer2013_codes_are_the_published_ones() -> None:
    assert FER2013_CODES == ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
    assert sorted(FER2013_CODES) == list(EXPRESSIONS)
