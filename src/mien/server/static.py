"""The page's files: read once, served from memory, so that no path of a client ever meets the file system."""

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from starlette.requests import Request
from starlette.responses import Response

from mien.server.problems import Problem

INDEX = "index.html"

_TYPES = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
    "png": "image/png",
    "ico": "image/x-icon",
    "json": "application/json",
    "webmanifest": "application/manifest+json",
    "woff2": "font/woff2",
    "txt": "text/plain; charset=utf-8",
}


@dataclass(frozen=True)
class PageFile:
    """One file: its bytes, media type and a tag that changes with the bytes."""

    data: bytes
    kind: str
    tag: str


class Page:
    """All files below `serve/page`, by their path in it."""

    def __init__(self) -> None:
        self._files = dict(_below(files("mien.server") / "page"))

    def get(self, name: str, request: Request) -> Response:
        """Answer with a file, or that the browser still has it; Problem `not_found` where there is none."""
        found = self._files.get(name)
        if found is None:
            raise Problem("not_found", "the page has no such file")
        # The browser asks each time whether it has changed, so that no page is ever of two versions.
        headers = {"ETag": found.tag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == found.tag:
            return Response(status_code=304, headers=headers)
        return Response(found.data, headers=headers, media_type=found.kind)


def _below(folder: Traversable, before: str = "") -> list[tuple[str, PageFile]]:
    found: list[tuple[str, PageFile]] = []
    if not folder.is_dir():
        return found
    for entry in folder.iterdir():
        suffix = entry.name.rpartition(".")[2]
        if entry.is_dir():
            found += _below(entry, f"{before}{entry.name}/")
        elif suffix in _TYPES:
            data = entry.read_bytes()
            found.append(
                (before + entry.name, PageFile(data, _TYPES[suffix], f'"{hashlib.sha256(data).hexdigest()[:16]}"'))
            )
    return found
