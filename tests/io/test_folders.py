"""Folders are walked through in a fixed order, to a depth, and around links."""

import os
import subprocess
from pathlib import Path

import pytest
from archives import refused
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.io.folders import MAX_DEPTH, MAX_LINKED, is_junk
from mien.io.inputs import Inputs
from mien.io.sources import FolderSource, open_source


def test_links_to_folders_are_followed_but_not_back_up(tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "happy").mkdir(parents=True)
    (tmp_path / "elsewhere" / "happy" / "1.jpg").write_bytes(b"1")
    data = tmp_path / "data"
    data.mkdir()
    (data / "happy").symlink_to(tmp_path / "elsewhere" / "happy")
    (tmp_path / "elsewhere" / "happy" / "back").symlink_to(data)
    assert open_source(data).names == ["happy/1.jpg"]


def make_deep(folder: Path, depth: int) -> None:
    """Make folders in each other, also below the longest path that the system takes at once."""
    here = os.open(folder, os.O_RDONLY)
    try:
        for _ in range(depth):
            os.mkdir("d", dir_fd=here)
            below = os.open("d", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
        os.close(os.open("a.jpg", os.O_WRONLY | os.O_CREAT, dir_fd=here))
    finally:
        os.close(here)


@pytest.mark.skipif(os.mkdir not in os.supports_dir_fd, reason="needs folders by descriptor")
@pytest.mark.parametrize("depth", [1, MAX_DEPTH, MAX_DEPTH + 1, 1200, 3000])
def test_folders_are_read_to_a_depth_and_named_below(depth: int, tmp_path: Path) -> None:
    make_deep(tmp_path, depth)
    source = FolderSource(tmp_path)
    reached = "/".join("d" * min(depth, MAX_DEPTH + 1))
    assert source.folders[-1] == reached
    if depth <= MAX_DEPTH:
        assert (source.names, source.refused) == ([f"{reached}/a.jpg"], [])
        return
    assert source.names == []
    assert refused(source) == {reached: f"folder cannot be read (lies more than {MAX_DEPTH} folders deep)"}
    items = list(Inputs([str(tmp_path)]))
    assert [item.problem for item in items] == [f"the folder cannot be read (lies more than {MAX_DEPTH} folders deep)"]
    subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)  # Python's own removal recurses


@given(links=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=40))
@settings(max_examples=25)
def test_links_between_folders_do_not_multiply(
    links: list[tuple[int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Seven folders that all lead to each other have 13,700 paths, and a dozen more than can be counted."""
    top = tmp_path_factory.mktemp("links")
    for number in range(7):
        (top / f"{number}").mkdir()
        (top / f"{number}" / "a.jpg").touch()
    for here, there in set(links):
        (top / f"{here}" / f"to{there}").symlink_to(top / f"{there}")
    source = FolderSource(top)
    assert {f"{number}/a.jpg" for number in range(7)} <= set(source.names)
    assert len(source.names) <= 7 + 7 * MAX_LINKED
    assert set(refused(source).values()) <= {f"folder cannot be read (more than {MAX_LINKED} links lead to it)"}


@pytest.mark.parametrize(
    ("name", "junk"),
    [(".x", True), ("Thumbs.db", True), ("DESKTOP.INI", True), ("__MACOSX", True), ("x.jpg", False), ("docs", False)],
)
def test_junk(name: str, junk: bool) -> None:
    assert is_junk(name) is junk
