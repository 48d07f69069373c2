"""A real browser for tests: Chromium, driven by Playwright. A package of tests imports its fixtures in its conftest."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urljoin

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pip install playwright")

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --use-fake-device-for-media-stream"
).split()
#: The first two are pages below the address bar, which a window that nobody sees loads, too: a third of a second of the
#: processor for each context. The others are Playwright's own list, which this one replaces.
DISABLED = (
    "WebUIOmniboxPopup", "WebUIOmniboxAimPopup",
    "AvoidUnnecessaryBeforeUnloadCheckSync", "DestroyProfileOnBrowserClose", "HttpsUpgrades",
    "HttpsFirstBalancedModeAutoEnable", "LensOverlay", "MediaRouter", "PaintHolding", "ThirdPartyStoragePartitioning",
    "AvoidCorsURLLoaderRestartOnRedirect", "OptimizationHints", "NetworkTimeServiceQuerying", "AimEnabled",
    "PreconnectToSearch",
)  # fmt: skip


#: A service worker that refuses a version of the page throws, so that it is not installed: the page says why.
REFUSALS = (
    "ServiceWorker failed to install", "on the host is damaged or of another version", "cannot be fetched",
    "QuotaExceededError", "Quota exceeded",
)  # fmt: skip

#: How long a step may take, in milliseconds: a machine that does much else at the same time may stop for long.
PATIENCE = 180_000


# Playwright keeps an event loop running in this thread until it ends: no other test could run one.
@pytest.fixture(scope="package")
def start_browser() -> Iterator[Callable[..., Any]]:
    """Return a function that starts Chromium with further arguments; the same arguments give the same browser."""
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not there: apt-get install chromium")
    with sync_api.sync_playwright() as playwright, ExitStack() as stack:
        browsers: dict[tuple[str, ...], Any] = {}

        def start(*arguments: str) -> Any:
            if arguments not in browsers:
                browser = playwright.chromium.launch(
                    executable_path=CHROMIUM,
                    args=[*ARGUMENTS, f"--disable-features={','.join(DISABLED)}", *arguments],
                    timeout=PATIENCE,
                )
                browsers[arguments] = stack.enter_context(browser)
            return browsers[arguments]

        yield start


class Tab:
    """A page in a browser tab, with all requests and all errors and warnings of the console.

    Those of other tabs in its context, of workers and of the service worker are among them.
    """

    def __init__(self, browser: Any, url: str, **options: Any) -> None:
        self.url = url
        self.context = browser.new_context(**({"accept_downloads": True} | options))
        self.tab = self.context.new_page()
        self.tab.set_default_timeout(PATIENCE)
        self.errors: list[str] = []
        self._allowed: tuple[str, ...] = ()
        self.requests: list[str] = []
        #: Requests of the service worker itself; `requests` has them, too.
        self.worker_requests: list[str] = []
        self.context.on("console", self._on_console)
        self.context.on("weberror", lambda found: self.errors.append(str(found.error)))
        self.context.on("request", self._on_request)
        self._watch_service_worker()
        self.tab.on("websocket", lambda opened: self.requests.append(opened.url))
        self.tab.goto(url)

    def _on_console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(message.text)

    def _on_request(self, request: Any) -> None:
        self.requests.append(request.url)
        if request.service_worker:
            self.worker_requests.append(request.url)

    def _watch_service_worker(self) -> None:
        """Note the uncaught errors of the service worker, which Playwright does not tell."""

        def note(event: dict[str, Any]) -> None:
            error = event["errorMessage"]
            text = error["errorMessage"]
            if not any(refusal in text for refusal in REFUSALS):
                self.errors.append(f"{text} ({error['sourceURL']}, line {error['lineNumber'] + 1})")

        self._chromium = self.context.new_cdp_session(self.tab)
        self._chromium.on("ServiceWorker.workerErrorReported", note)
        self._chromium.send("ServiceWorker.enable")

    def allow_errors(self, *texts: str) -> None:
        """Let errors pass that contain one of these texts, whenever they come: some are logged late."""
        self._allowed += texts

    def unexpected_errors(self) -> list[str]:
        """Return the errors that nobody has allowed."""
        return [error for error in self.errors if not any(text in error for text in self._allowed)]

    def check_accessible(self) -> None:
        """Check that the page breaks no rule of axe-core and does not scroll sideways."""
        axe_api = pytest.importorskip(
            "axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python"
        )
        found = axe_api.Axe().run(self.tab)
        assert not found.response["violations"], found.generate_report()
        content_width, window_width = self.tab.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert content_width <= window_width

    def foreign_requests(self) -> list[str]:
        """Return all requests to another host than this server (a blob: is the page's own memory)."""
        host = urljoin(self.url, "/")
        own = (host, host.replace("http", "ws", 1), "blob:" + host, "data:")
        return [url for url in self.requests if not url.startswith(own)]


TabKind = TypeVar("TabKind", bound=Tab)


def watch_tabs(kind: Callable[..., TabKind]) -> Iterator[Callable[..., TabKind]]:
    """Yield a function that opens a tab of some kind.

    At the end no tab may have logged an error or sent a request to another host. A test that provokes errors calls
    `allow_errors`.
    """
    tabs: list[TabKind] = []

    def open_tab(browser: Any, url: str, **options: Any) -> TabKind:
        tabs.append(kind(browser, url, **options))
        return tabs[-1]

    yield open_tab
    for tab in tabs:
        tab.context.close()
        errors = tab.unexpected_errors()
        assert not errors, errors
        foreign = tab.foreign_requests()
        assert not foreign, foreign
