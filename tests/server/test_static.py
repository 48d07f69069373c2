"""The files of the page come from memory, and from one folder only."""

from collections.abc import Callable
from typing import Any

import pytest

from mien.inference.reader import Reader


@pytest.fixture(scope="module")
def server(run_server: Callable[..., Any], reader: Reader) -> Any:
    return run_server(reader)


def test_page_files_come_from_one_folder_only(server: Any, check_problem: Any) -> None:
    for path in (
        "/page/../app.py",
        "/page/%2e%2e/app.py",
        "/page/..%2fapp.py",
        "/page//etc/passwd",
        "/page/%00",
        "/page/",
    ):
        check_problem(server.send_raw(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()), "not_found")


def test_an_unchanged_page_file_is_answered_304(server: Any) -> None:
    first = server.get("/page/index.html")
    assert first.headers["content-type"] == "text/html; charset=utf-8"
    again = server.get("/page/index.html", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert server.get("/").content == first.content


def test_the_browser_asks_for_page_files_each_time(server: Any) -> None:
    kinds = {
        "app.js": "text/javascript",
        "base.css": "text/css",
        "icon.svg": "image/svg+xml",
        "index.html": "text/html",
    }
    for name, kind in kinds.items():
        answer = server.get(f"/page/{name}")
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["content-type"].partition(";")[0] == kind
        again = server.get(f"/page/{name}", headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.headers["cache-control"]) == (304, "no-cache")


def test_ranges_of_page_files_are_not_cut_out(server: Any) -> None:
    """Thousands of them would cost much more than the file."""
    ranges = ",".join(f"{start}-{start}" for start in range(0, 3000, 2))
    for path in ("/", "/page/index.html"):
        whole = server.get(path)
        answer = server.get(path, headers={"Range": f"bytes={ranges}"})
        assert (answer.status_code, answer.content) == (200, whole.content)
        assert answer.headers["accept-ranges"] == "none"


def test_the_page_loads_nothing_from_other_sites(server: Any) -> None:
    """Its policy forbids to load anything from other sites, and it does not try."""
    text = server.get("/").text
    assert 'src="http' not in text
    assert "<script>" not in text
    assert 'style="' not in text
