"""Kinds of routes that FastAPI and Starlette lack. The routes themselves are in `app`, and in `fix.app`."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope


class RawRoute(APIRoute):
    """A route that FastAPI documents and matches, but whose endpoint takes the request and returns the response.

    FastAPI's own handling of dependencies, of which there are none here, takes a seventh of the event loop's time for
    a crop.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the endpoint itself."""
        return self.endpoint


class PageFiles(StaticFiles):
    """The files of a page. The browser asks each time if one changed, so a page never mixes two versions.

    Args:
        package: the one whose folder `page` holds the files.
    """

    def __init__(self, package: str = "mien.server") -> None:
        super().__init__(packages=[(package, "page")])

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return a file, or 304 if the browser's copy is current. Ranges cost more than the files, which are small."""
        scope["headers"] = [pair for pair in scope["headers"] if pair[0] != b"range"]
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"], response.headers["Accept-Ranges"] = "no-cache", "none"
        return response
