"""Run the page in a real browser: Chromium, driven by Playwright, with a real `mien serve`."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import skimage.data
from chromium import start_browser, watch_tabs
from drawn import drawn_bundle
from page_tab import Visit
from PIL import Image

pytest.importorskip("uvicorn", reason="the server is not installed: pip install 'mien[serve]'")

__all__ = ["drawn_bundle", "start_browser"]  # fixtures


class Server:
    """`mien serve` in its own process. It keeps its port when it is stopped and started again."""

    def __init__(self, *arguments: object, key: str | None = None) -> None:
        # Bound but not listening, so that no other process gets the port while the server does not run.
        self._held = socket.socket()
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._held.bind(("127.0.0.1", 0))
        self.port: int = self._held.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        self._command = [sys.executable, "-m", "mien", "serve", "--port", str(self.port), *map(str, arguments)]
        self._environment = {name: value for name, value in os.environ.items() if name != "MIEN_API_KEY"}
        if key:
            self._environment["MIEN_API_KEY"] = key
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, unless it runs already, and wait until it answers."""
        if self._process is not None:
            return
        self._process = subprocess.Popen(
            self._command, env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        while not self._is_ready():
            if self._process.poll() is not None:
                _, message = self._process.communicate()
                raise RuntimeError(message.decode())
            time.sleep(0.02)

    def _is_ready(self) -> bool:
        with suppress(OSError):
            return bool(urllib.request.urlopen(f"{self.url}healthz", timeout=5).status == 200)
        return False

    def stop(self) -> None:
        """Stop, if it runs."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.communicate()
            self._process = None

    def close(self) -> None:
        """Stop for good."""
        self.stop()
        self._held.close()


@pytest.fixture(scope="session")
def start_page_server() -> Iterator[Callable[..., Server]]:
    """Return a function that starts a server; the same arguments give the same server.

    Its arguments are those of `mien serve`, and `key`.
    """
    servers: dict[tuple[object, ...], Server] = {}

    def start(*arguments: object, key: str | None = None) -> Server:
        settings = (*arguments, key)
        if settings not in servers:
            servers[settings] = Server(*arguments, key=key)
        servers[settings].start()
        return servers[settings]

    yield start
    for server in servers.values():
        server.close()


@pytest.fixture
def visit() -> Iterator[Callable[..., Visit]]:
    """Return a function that opens the page in a browser, as `watch_tabs` does."""
    yield from watch_tabs(Visit)


@pytest.fixture(scope="session")
def astronaut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo of Eileen Collins by NASA, public domain: a happy face."""
    path = tmp_path_factory.mktemp("images") / "astronaut.jpg"
    Image.fromarray(skimage.data.astronaut()).save(path, quality=92)  # type: ignore[no-untyped-call]
    return path


@pytest.fixture(scope="session")
def page_server(start_page_server: Callable[..., Server], brightness_bundle: Path) -> Server:
    """A server with two models and tight limits."""
    models = ("--model", "mien", "--model", f"bright={brightness_bundle}")
    return start_page_server(*models, "--max-body", 1, "--max-pixels", 0.5, "--allow-host", "mien.test")


@pytest.fixture
def server(page_server: Server) -> Server:
    """The server of a test. It runs, even if an earlier test has stopped it."""
    page_server.start()
    return page_server


@pytest.fixture(scope="session")
def api_key() -> str:
    """The API key of `locked_server`."""
    return "a-key-of-the-tests-only"


@pytest.fixture(scope="session")
def locked_server(start_page_server: Callable[..., Server], brightness_bundle: Path, api_key: str) -> Server:
    """A server that needs an API key."""
    return start_page_server("--model", brightness_bundle, key=api_key)


@pytest.fixture(scope="package")
def browser(start_browser: Callable[..., Any]) -> Any:
    """A browser that refuses the webcam unless a context allows it, and knows this machine as mien.test too."""
    return start_browser("--deny-permission-prompts", "--host-resolver-rules=MAP mien.test 127.0.0.1")


@pytest.fixture
def page(browser: Any, server: Server, visit: Callable[..., Visit]) -> Visit:
    """The page in a browser tab."""
    return visit(browser, server.url)
