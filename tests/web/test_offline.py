"""The static page works without a network after the first visit, and never mixes two versions of itself."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from chromium import PATIENCE, sync_api
from page_tab import Visit
from served_page import served
from static_site import StaticSite

expect = sync_api.expect
TITLE = "mien: the expression on a face"


@pytest.fixture
def folder(page_folder: Path, tmp_path: Path) -> Path:
    """A copy of the page, for a test to change."""
    return Path(shutil.copytree(page_folder, tmp_path / "site"))


@pytest.fixture
def site(folder: Path, start_host: Callable[..., StaticSite]) -> StaticSite:
    """A host of that copy."""
    return start_host(folder)


@pytest.fixture
def page(start_browser: Callable[..., Any], visit: Callable[..., Visit], site: StaticSite) -> Visit:
    """The page, once all of it is kept."""
    found = visit(start_browser("--deny-permission-prompts"), site.url)
    found.wait_for(".what", "Works offline.")
    return found


def change(folder: Path, *changes: tuple[str, str, str], listed: bool = True) -> None:
    """Put a new version on the host: replace a text in some files, and list the files as they are now."""
    sha256 = json.loads((folder / "files.json").read_text("utf-8"))
    for name, old, new in changes:
        path = folder / name
        text = path.read_text("utf-8")
        assert old in text
        path.write_text(text.replace(old, new), "utf-8")
        sha256[name] = hashlib.sha256(path.read_bytes() if listed else b"another file").hexdigest()
    (folder / "files.json").write_text(json.dumps(sha256), "utf-8")


NEW_VERSION = ("index.html", f"<title>{TITLE}", "<title>new"), ("page/text.js", "${counted(row", "new ${counted(row")


def test_the_page_works_without_a_network(page: Visit, site: StaticSite, photo: Path) -> None:
    site.close()
    page.context.set_offline(True)
    page.tab.reload()
    page.wait_for(".what", "Works offline.")
    page.add(photo)
    page.wait_for(".face .answer", "happy")
    page.tab.check("#heat-on")
    page.tab.locator("#heat[src]").wait_for()
    page.tab.select_option("#scope", "largest")  # a new worker with its networks
    page.wait_for(".face .answer", "happy")
    assert page.tab.evaluate("crossOriginIsolated"), "and may use several threads"
    page.check_accessible()


def test_what_the_service_worker_does_is_watched(
    start_browser: Callable[..., Any], visit: Callable[..., Visit], folder: Path
) -> None:  # fmt: skip
    """That other tests see no foreign request and no error of it says something only if they would be seen."""
    script = """console.error("said"); fetch(data).catch(() => {}); throw new Error("thrown");"""
    first = "const VERSION ="
    change(folder, ("service-worker.js", first, f"self.onmessage = ({{ data }}) => {{ {script} }};\n{first}"))
    with served(folder) as address:  # no policy of the host's keeps the worker from other hosts
        page = visit(start_browser("--deny-permission-prompts"), address)
        page.wait_for(".what", "Works offline.")
        assert {address + "files.json", address + "mien/worker.js"} <= set(page.worker_requests)
        assert page.foreign_requests() == page.errors == []
        foreign = address.replace("127.0.0.1", "localhost") + "icons/icon-192.png"
        page.tab.evaluate(
            "(url) => navigator.serviceWorker.ready.then(({ active }) => active.postMessage(url))", foreign
        )
        wanted = ("said", "thrown")
        page.allow_errors(*wanted, "blocked by CORS policy", "net::ERR_")
        for _ in range(PATIENCE // 50):
            if page.foreign_requests() and all(any(text in error for error in page.errors) for text in wanted):
                break
            page.tab.wait_for_timeout(50)
        assert page.foreign_requests() == [foreign]
        assert all(any(text in error for error in page.errors) for text in wanted), page.errors
        page.requests.clear()


def test_the_page_can_be_installed(page: Visit) -> None:
    chromium = page.context.new_cdp_session(page.tab)
    assert chromium.send("Page.getAppManifest")["errors"] == []
    found = chromium.send("Page.getInstallabilityErrors")["installabilityErrors"]
    assert {error["errorId"] for error in found} <= {"in-incognito"}, "as every browser of a test"


def test_a_new_version_is_used_whole(page: Visit, site: StaticSite, folder: Path, photo: Path) -> None:
    change(folder, *NEW_VERSION)
    page.tab.reload()
    page.wait_for("#update", "A new version of this page is ready.")
    page.check_accessible()
    assert page.tab.title() == TITLE
    page.add(photo)
    page.tab.locator("#photo[alt='astronaut.png: 1 face: happy 100%']").wait_for()
    other = page.context.new_page()
    other.goto(site.url)
    assert other.title() == TITLE
    page.tab.click("#update button")
    page.wait_for("#update", "Close the other tabs with this page")
    other.close()
    expect(page.tab).to_have_title("new", timeout=30_000)
    page.wait_for(".what", "Works offline.")
    page.add(photo)
    page.tab.locator("#photo[alt='astronaut.png: new 1 face: happy 100%']").wait_for()
    assert page.tab.evaluate("caches.keys().then((names) => names.length)") == 1


def test_a_new_version_is_used_at_the_next_visit(page: Visit, folder: Path) -> None:
    change(folder, *NEW_VERSION)
    page.tab.reload()
    page.wait_for("#update", "A new version of this page is ready.")
    page.tab.reload()
    expect(page.tab).to_have_title("new", timeout=30_000)


def test_a_damaged_new_version_is_not_used(page: Visit, folder: Path, photo: Path) -> None:
    change(folder, *NEW_VERSION, listed=False)
    page.tab.reload()
    page.wait_for("#update", "The new version of this page cannot be used")
    page.wait_for("#update", "on the host is damaged or of another version: its sha256 is not the one in files.json.")
    page.wait_for("#update", "This one stays.")
    assert page.tab.title() == TITLE
    page.add(photo)
    page.wait_for(".face .answer", "happy")


def test_a_network_that_fails_in_the_middle_of_a_file(
    start_browser: Callable[..., Any], visit: Callable[..., Visit], start_host: Callable[..., StaticSite], folder: Path
) -> None:
    lost = "icons/maskable-512.png"  # the page itself does not load it
    page = visit(start_browser("--deny-permission-prompts"), start_host(folder, cut=lost).url)
    page.wait_for("#update", f"This page cannot be kept for use without a network: {lost} cannot be fetched.")
    page.allow_errors("net::ERR_")


def test_a_full_storage(
    start_browser: Callable[..., Any], visit: Callable[..., Visit], site: StaticSite, folder: Path, photo: Path
) -> None:
    listed = folder / "files.json"
    listed.rename(folder / "later.json")
    page = visit(start_browser("--deny-permission-prompts"), site.url)
    page.add(photo)
    chromium = page.context.new_cdp_session(page.tab)
    chromium.send("Storage.overrideQuotaForOrigin", {"origin": site.url.rstrip("/"), "quotaSize": 1000})
    (folder / "later.json").rename(listed)
    page.tab.reload()
    page.wait_for(
        "#update", "This page cannot be kept for use without a network: the browser's storage is full; free some space"
    )
    page.check_accessible()
    page.add(photo)
    page.wait_for(".face .answer", "happy")
    page.allow_errors("404")  # there was no list at first
