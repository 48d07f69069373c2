"""Serve the page's files from memory. They are loaded once, so no client path reaches the file system."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from starlette.requests import Request
from starlette.responses import Response

from mien.server.problems import Problem

INDEX = "index.html"

_MEDIA_TYPES = {
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
class StaticFile:
    """One file: content, media type, and an ETag that changes with the content."""

    data: bytes
    media_type: str
    etag: str


class PageFiles:
    """All files in `mien/server/page`, by their relative path."""

    def __init__(self) -> None:
        self._files = dict(_load(files("mien.server") / "page"))

    def get(self, name: str, request: Request) -> Response:
        """Return a file, or 304 if the browser's copy is current; raise Problem `not_found` if there is none."""
        found = self._files.get(name)
        if found is None:
            raise Problem("not_found", "the page has no such file")
        # The browser asks each time if the file changed, so a page never mixes files of two versions.
        headers = {"ETag": found.etag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == found.etag:
            return Response(status_code=304, headers=headers)
        return Response(found.data, headers=headers, media_type=found.media_type)


def _load(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, StaticFile]]:
    for entry in folder.iterdir():
        suffix = entry.name.rpartition(".")[2]
        if entry.is_dir():
            yield from _load(entry, f"{prefix}{entry.name}/")
        elif suffix in _MEDIA_TYPES:
            data = entry.read_bytes()
            etag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
            yield prefix + entry.name, StaticFile(data, _MEDIA_TYPES[suffix], etag)
