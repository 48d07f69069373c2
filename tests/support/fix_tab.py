"""The page of `mien fix` for tests: a dataset with planted issues, its server, and the page in a browser tab."""

import asyncio
import csv
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from chromium import PATIENCE, Tab, sync_api
from PIL import Image

from mien.data.fixes.session import FixSession
from mien.data.synthetic.faces import draw_face
from mien.server.fix.app import create_fix_app
from mien.server.limits import Limits
from mien.server.runner import build_server, listen

TOKEN = "the-token-of-the-tests-only"
SIZE = 96
#: Sad faces under `happy`, which the model is sure of.
WRONG = tuple(f"happy/wrong-{number}.png" for number in range(9))


def save(path: Path, pixels: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels)).save(path)


def write_data(folder: Path) -> None:
    """Write drawn faces: 12 of each class, nine with a wrong label, and two near copies."""
    for number in range(12):
        save(folder / "happy" / f"happy-{number}.png", draw_face("happy", 1000 + number, SIZE))
        save(folder / "sad" / f"sad-{number}.png", draw_face("sad", 1100 + number, SIZE))
    for number, name in enumerate(WRONG):
        save(folder / name, draw_face("sad", 2000 + number, SIZE))
    twin = draw_face("sad", 3000, SIZE)
    save(folder / "sad" / "twin.png", twin)
    save(folder / "sad" / "twin-small.png", Image.fromarray(twin).resize((72, 72)))


class Page(Tab):
    """The page in a browser tab, with what a test does on it."""

    def wait_for(self, selector: str, text: str, patience: float = PATIENCE) -> None:
        sync_api.expect(self.tab.locator(selector)).to_contain_text(text, timeout=patience)

    def wait_until_shown(self, name: str) -> None:
        """Wait until a picture is on the stage, with its faces."""
        sync_api.expect(self.tab.locator("#title")).to_have_text(name, timeout=PATIENCE)
        self.tab.locator(".stage[data-state=shown]").first.wait_for()

    def wait_until_not(self, name: str) -> None:
        """Wait until another picture than this one is to be decided."""
        sync_api.expect(self.tab.locator("#title")).not_to_have_text(name, timeout=PATIENCE)

    def wait_until_more_than(self, decided: int) -> None:
        """Wait until more pictures than so many are decided."""
        old = re.compile(rf"^{decided} decided")
        sync_api.expect(self.tab.locator("#progress-text")).not_to_have_text(old, timeout=PATIENCE)

    def press(self, key: str) -> None:
        self.tab.keyboard.press(key)

    @property
    def name(self) -> str:
        return str(self.tab.text_content("#title"))


class Served:
    """An application of the page, served by a thread of this process."""

    def __init__(self, session: FixSession) -> None:
        self.session, self.app = session, create_fix_app(session, TOKEN)
        listening = listen("127.0.0.1", 0)
        self.origin = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        self.url = f"{self.origin}#{TOKEN}"
        self._server = build_server(self.app, Limits())
        self._thread = threading.Thread(target=lambda: asyncio.run(self._server.serve([listening])))
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive()
            time.sleep(0.01)

    @property
    def rows(self) -> list[dict[str, str]]:
        """What is in the file of decisions."""
        return read_rows(self.session.store)

    def close(self) -> None:
        self._server.stop()
        self._thread.join()


def read_rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


class Command:
    """`mien fix` in its own process, which keeps its port when it is killed and started again."""

    def __init__(self, folder: Path, *arguments: object, browser: bool = False) -> None:
        self._held = socket.socket()
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._held.bind(("127.0.0.1", 0))
        port = self._held.getsockname()[1]
        self._command = [sys.executable, "-m", "mien", "fix", str(folder), "--port", str(port)]
        self._command += [*map(str, arguments), *([] if browser else ["--no-browser"])]
        self._cwd = folder.parent
        self._process: subprocess.Popen[str] | None = None
        self.url = ""

    def start(self) -> str:
        """Start, wait until the page can be opened, and return its address."""
        self._process = subprocess.Popen(
            self._command,
            cwd=self._cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if "http://" in line:
                self.url = line[line.index("http://") :].split()[0]
                return self.url
        raise RuntimeError(self._process.communicate()[1])

    def end(self, number: int = signal.SIGTERM) -> str:
        """End it, and return what it has said to stderr."""
        if self._process is None:
            return ""
        with suppress(ProcessLookupError):
            self._process.send_signal(number)
        said = self._process.communicate()[1]
        self._process = None
        return said

    def close(self) -> None:
        self.end()
        self._held.close()
