"""Fixtures: one server for the tests of a module."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mien


@pytest.fixture(scope="package")
def reader(make_bundle: Callable[..., Path]) -> Any:
    return mien.load(make_bundle(maps=True), threads=1, detect=False)


@pytest.fixture(scope="module")
def server(run_server: Callable[..., Any], reader: Any) -> Any:
    return run_server(reader, answer_seconds=0.5, frame_bytes=200_000)
