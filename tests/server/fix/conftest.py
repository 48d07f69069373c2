"""The page of `mien fix` for a dataset of drawn faces, in a real browser."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import start_browser, watch_tabs
from drawn import drawn_bundle

pytest.importorskip("uvicorn", reason="the server is not installed: pip install 'mien[serve]'")

from fix_tab import Command, Page, Served, write_data

from mien.data.fixes.opening import open_session
from mien.data.fixes.session import FixSession
from mien.data.fixes.store import FixesFile

__all__ = ["drawn_bundle", "start_browser"]  # fixtures


@pytest.fixture(scope="session")
def opened(tmp_path_factory: pytest.TempPathFactory, drawn_bundle: Path) -> FixSession:
    """The dataset of most tests, audited once. They decide in files of their own, and change no file of it."""
    folder = tmp_path_factory.mktemp("fix") / "data"
    write_data(folder)
    return open_session(folder, model=drawn_bundle, detect=False, out=folder.parent / "unused.csv")


@pytest.fixture
def session_of(opened: FixSession, tmp_path: Path) -> Callable[..., FixSession]:
    """Return a function that begins a session of a person."""

    def begin(who: str = "ann") -> FixSession:
        file = FixesFile(tmp_path / "mien-fixes.csv")
        return FixSession(opened.audit, file, who, opened.classes, False, opened.source_flags)

    return begin


@pytest.fixture
def serve(session_of: Callable[..., FixSession]) -> Iterator[Callable[..., Served]]:
    """Return a function that serves a session; by default a new one."""
    served: list[Served] = []

    def start(session: FixSession | None = None) -> Served:
        served.append(Served(session or session_of()))
        return served[-1]

    yield start
    for one in served:
        one.close()


@pytest.fixture
def served(serve: Callable[..., Served]) -> Served:
    """A new session, served."""
    return serve()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A dataset of one test, which may change it."""
    write_data(tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def command(data: Path, drawn_bundle: Path) -> Iterator[Command]:
    """`mien fix` on `data`, not started."""
    found = Command(data, "--model", drawn_bundle, "--detect", "no", "--who", "ann")
    yield found
    found.close()


@pytest.fixture(scope="package")
def browser(start_browser: Callable[..., Any]) -> Any:
    """A browser."""
    return start_browser()


@pytest.fixture
def visit() -> Iterator[Callable[..., Page]]:
    """Return a function that opens the page in a browser, as `watch_tabs` does."""
    yield from watch_tabs(Page)
