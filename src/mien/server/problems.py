"""Describe errors as problem documents (RFC 9457). Each has a stable `code`."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"

#: Status and title of every code.
CODES: dict[str, tuple[int, str]] = {
    "bad_request": (400, "The request is not valid HTTP"),
    "bad_parameter": (400, "A parameter is wrong"),
    "bad_multipart": (400, "The form is damaged"),
    "no_file": (400, "The request has no file"),
    "unauthorized": (401, "An API key is needed"),
    "forbidden_host": (403, "The host is not served here"),
    "forbidden_origin": (403, "The page's origin is not allowed"),
    "not_found": (404, "Not found"),
    "unknown_model": (404, "Unknown model"),
    "method_not_allowed": (405, "The method is not allowed here"),
    "slow_request": (408, "The request came too slowly"),
    "too_large": (413, "The request is too large"),
    "too_many_files": (413, "The request has too many files"),
    "too_many_pixels": (413, "The image has too many pixels"),
    "unsupported_media_type": (415, "This kind of body is not supported"),
    "unreadable_image": (422, "The image cannot be read"),
    "internal_error": (500, "The server failed"),
    "busy": (503, "The server is busy"),
    "shutting_down": (503, "The server is shutting down"),
    "timeout": (504, "The request took too long"),
}


class Problem(Exception):  # noqa: N818 (the word of RFC 9457)
    """An answer other than success.

    Args:
        code: one of `CODES`.
        detail: one line that says what is wrong and how to fix it.
        headers: further response headers; 503 gets `Retry-After: 1` by default.

    Examples:
        >>> Problem("busy", "256 requests are waiting").status
        503
    """

    def __init__(self, code: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail
        self.status, self.title = CODES[code]
        self.headers = dict(headers or {})
        if self.status == 503:
            self.headers.setdefault("Retry-After", "1")

    def to_dict(self) -> dict[str, Any]:
        """Return the problem document."""
        return document(self.code, self.detail)

    def response(self) -> Response:
        """Return the problem document as an HTTP response."""
        body = json.dumps(self.to_dict(), ensure_ascii=False).encode("utf-8", "replace")
        return Response(body, self.status, self.headers, MEDIA_TYPE)


def document(code: str, detail: str) -> dict[str, Any]:
    """Return a problem document as a JSON-serialisable dict."""
    status, title = CODES[code]
    return {"type": f"urn:mien:problem:{code}", "title": title, "status": status, "detail": detail, "code": code}
