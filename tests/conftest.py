"""Fixtures that several test files share."""

import gc
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import skimage.data
from hypothesis import settings
from model_fixtures import brightness_bundle, make_bundle, nothing_shipped, shipped, stand_in, three_way
from PIL import Image
from video_fixtures import two_people, write_video

from mien.cli import main
from mien.data.synthetic.faces import write_dataset

__all__ = [
    "brightness_bundle", "make_bundle", "nothing_shipped", "shipped", "stand_in", "three_way", "two_people",
    "write_video",
]  # fmt: skip

NOBODY = 65534

# A loaded machine must not fail a test: no example has a time limit.
settings.register_profile("mien", deadline=None)
settings.load_profile("mien")


def pytest_configure() -> None:
    """Let Ctrl-C reach the commands that tests start; a test run in the background ignores it, and so would they."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.pop("COLUMNS", None)  # tables are as wide here as everywhere


def pytest_collection_finish() -> None:
    """Let collections of garbage leave out what was imported: half a million objects, a quarter of a second each time.

    Keras collects after each training.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of drawn faces, `happy/` and `sad/` with 20 files of 64 pixels each; copy it before changing it."""
    folder = tmp_path_factory.mktemp("faces") / "faces"
    write_dataset(folder, 20, seed=0, size=64)
    return folder


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo with one happy face, 512x512 pixels."""
    path = tmp_path_factory.mktemp("photo") / "astronaut.png"
    Image.fromarray(skimage.data.astronaut()).save(path)  # type: ignore[no-untyped-call]
    return path


@pytest.fixture
def as_nobody(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], AbstractContextManager[None]]:  # fmt: skip
    """A context in which permissions hold: root, who may read everything, acts as another user in it."""
    if not hasattr(os, "geteuid"):
        pytest.skip("needs POSIX permissions")
    # pytest makes these for its own user alone; below `pytest-of-root`, workers of xdist have one more each.
    own = [place for place in tmp_path.parents if place.name.startswith(("pytest-", "popen-"))]
    made = {tmp_path, tmp_path_factory.getbasetemp(), *own}

    @contextmanager
    def become() -> Iterator[None]:
        if os.geteuid() != 0:
            yield
            return
        for place in made:
            place.chmod(0o755)  # each time: another pytest that begins closes the last one again
        os.seteuid(NOBODY)
        try:
            yield
        finally:
            os.seteuid(0)

    with become():
        if not os.access(tmp_path, os.R_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
            pytest.skip("another user cannot reach the temporary folder")
    return become


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run the command in this process; returns (exit status, stdout, stderr)."""

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        code = left.value.code
        assert isinstance(code, int)
        return code, captured.out, captured.err

    return run


@pytest.fixture
def start_server() -> Iterator[Callable[..., tuple[subprocess.Popen[str], str]]]:
    """Start `mien serve` and return (process, address); keyword arguments are environment variables."""
    running = []

    def start(*arguments: object, **variables: str) -> tuple[subprocess.Popen[str], str]:
        command = [sys.executable, "-m", "mien", "serve", "--port", "0", *map(str, arguments)]
        environment = {name: value for name, value in os.environ.items() if name != "MIEN_API_KEY"} | variables
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment)
        running.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found, (line, process.communicate())
        return process, found.group()

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()
