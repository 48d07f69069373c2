"""Files are found by what others call them, and no number of files of one name makes that slow."""

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from steps import grows_linearly

from mien.data.layouts.names import NameIndex

NAMES = st.lists(st.sampled_from(["a", "b", "c", "1.jpg", "2.jpg"]), min_size=1, max_size=5).map("/".join)


def common(one: str, other: str) -> int:
    """Count the last folders that two paths have in common."""
    first, second = PurePosixPath(one).parts[-2::-1], PurePosixPath(other).parts[-2::-1]
    return next(
        (n for n, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(map(len, (first, second)))
    )


@given(st.lists(NAMES, unique=True, min_size=1), NAMES)
def test_those_with_most_of_the_path_in_common_are_found(names: list[str], wanted: str) -> None:
    same = [
        name for name in names if PurePosixPath(wanted).name in (PurePosixPath(name).name, PurePosixPath(name).stem)
    ]
    most = max((common(name, wanted) for name in same), default=0)
    expected = [name for name in same if common(name, wanted) == most]
    assert sorted(set(NameIndex(names, names).alike(wanted))) == sorted(expected)


def test_many_files_of_one_name_are_found_as_fast_as_few() -> None:
    def every_one(count: int) -> Callable[[], Any]:
        names = [f"data/{number}/face.jpg" for number in range(count)]
        index = NameIndex(names, names)
        return lambda: [index.alike(f"elsewhere/{number}/face.jpg") for number in range(count)]

    assert grows_linearly(every_one, 100)
