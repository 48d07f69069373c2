"""A real Firefox for tests, driven by WebDriver BiDi, which it speaks itself: no other program is needed."""

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from websockets.sync.client import ClientConnection
from wire import open_websocket

#: What Firefox sends by itself, and what would show more than the page: switched off.
PREFERENCES = {
    "app.normandy.enabled": False, "app.update.disabledForTesting": True, "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False, "browser.shell.checkDefaultBrowser": False,
    "browser.startup.page": 0, "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.getAddons.cache.enabled": False, "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False, "services.settings.server": "data:,", "toolkit.telemetry.server": "",
}  # fmt: skip
EVENTS = ["log.entryAdded", "network.beforeRequestSent"]


class FirefoxTab:
    """A page in a tab of Firefox, with all its requests and all errors and warnings of the console."""

    def __init__(self, wire: ClientConnection, url: str) -> None:
        self.url = url
        self.errors: list[str] = []
        self.requests: list[str] = []
        self._wire = wire
        self._calls = 0
        self._send("session.new", capabilities={})
        self._send("session.subscribe", events=EVENTS)
        (first,) = self._send("browsingContext.getTree")["contexts"]
        self._context = first["context"]
        self._send("browsingContext.navigate", context=self._context, url=url, wait="complete")

    def run(self, script: str, argument: Any = None) -> Any:
        """Return what a function of the page returns, by way of JSON."""
        found = self._send(
            "script.callFunction",
            functionDeclaration=f"async (text) => JSON.stringify(await ({script})(JSON.parse(text)))",
            arguments=[{"type": "string", "value": json.dumps(argument)}],
            target={"context": self._context}, awaitPromise=True,
        )  # fmt: skip
        assert found["type"] == "success", found["exceptionDetails"]["text"]
        return json.loads(found["result"]["value"])

    def foreign_requests(self) -> list[str]:
        """Return all requests to another host than this server."""
        host = urljoin(self.url, "/")
        return [url for url in self.requests if not url.startswith((host, "blob:", "data:"))]

    def close(self) -> None:
        """End Firefox."""
        self._send("browser.close")

    def _send(self, method: str, **parameters: Any) -> Any:
        """Call a command and wait for its result; events that come before it are kept."""
        self._calls += 1
        self._wire.send(json.dumps({"id": self._calls, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._wire.recv())
            if message["type"] == "event":
                self._keep(message["method"], message["params"])
            elif message["id"] == self._calls:
                assert message["type"] == "success", message
                return message["result"]

    def _keep(self, name: str, event: dict[str, Any]) -> None:
        if name == "network.beforeRequestSent":
            self.requests.append(event["request"]["url"])
        elif event["level"] in ("error", "warn"):
            self.errors.append(event["text"])


@pytest.fixture(scope="package")
def open_firefox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], FirefoxTab]]:
    """Return a function that opens a page in a Firefox of its own.

    At the end no tab may have logged an error or sent a request to another host.
    """
    program = shutil.which("firefox-esr") or shutil.which("firefox")
    if program is None:
        pytest.skip("Firefox is not installed: apt-get install firefox-esr")
    tabs: list[FirefoxTab] = []
    with ExitStack() as stack:

        def start(url: str) -> FirefoxTab:
            address = stack.enter_context(_firefox(program, tmp_path_factory.mktemp("firefox")))
            tabs.append(FirefoxTab(stack.enter_context(open_websocket(f"{address}/session", max_size=None)), url))
            stack.callback(tabs[-1].close)
            return tabs[-1]

        yield start
    for tab in tabs:
        assert tab.errors == []
        assert tab.foreign_requests() == []


@contextmanager
def _firefox(program: str, profile: Path) -> Iterator[str]:
    """Run Firefox; yield the address of its WebDriver BiDi once it listens."""
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in PREFERENCES.items()]
    (profile / "user.js").write_text("".join(lines), encoding="utf-8")
    words = ["--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port", "0", "about:blank"]
    with subprocess.Popen([program, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield _address(process, profile)
        except BaseException:
            process.kill()
            raise


def _address(process: subprocess.Popen[bytes], profile: Path) -> str:
    """Wait until Firefox says where it listens."""
    told = profile / "WebDriverBiDiServer.json"
    while process.poll() is None:
        with suppress(OSError, ValueError):  # not there yet, or not whole
            found = json.loads(told.read_text("utf-8"))
            return f"ws://{found['ws_host']}:{found['ws_port']}"
        time.sleep(0.05)
    raise RuntimeError(f"Firefox has ended with {process.returncode}")
