"""Errors as problem documents (RFC 9457), each with a `code` that does not change."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"

#: Every code: its status and its title.
CODES: dict[str, tuple[int, str]] = {
    "bad_request": (400, "The request is not HTTP"),
    "bad_parameter": (400, "A parameter is wrong"),
    "bad_multipart": (400, "The form is damaged"),
    "no_file": (400, "There is no file in the request"),
    "unauthorized": (401, "An API key is needed"),
    "forbidden_host": (403, "The host is not served here"),
    "forbidden_origin": (403, "The page's origin is not allowed"),
    "not_found": (404, "There is nothing here"),
    "unknown_model": (404, "There is no such model"),
    "method_not_allowed": (405, "The method is not allowed here"),
    "slow_request": (408, "The request came too slowly"),
    "too_large": (413, "The request is too large"),
    "too_many_files": (413, "There are too many files in the request"),
    "too_many_pixels": (413, "The picture has too many pixels"),
    "unsupported_media_type": (415, "This kind of body is not read"),
    "unreadable_image": (422, "The picture cannot be read"),
    "internal_error": (500, "The server failed"),
    "busy": (503, "The server is busy"),
    "shutting_down": (503, "The server is shutting down"),
    "timeout": (504, "Reading took too long"),
}


class Problem(Exception):  # noqa: N818 (the word of RFC 9457)
    """An answer other than success: one of `CODES`, and a `detail` that says what is wrong and how to mend it."""

    def __init__(self, code: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail
        self.status, self.title = CODES[code]
        self.headers = dict(headers or {})
        if self.status == 503:
            self.headers.setdefault("Retry-After", "1")

    def to_dict(self) -> dict[str, Any]:
        """Return the document."""
        return document(self.code, self.detail)

    def response(self) -> Response:
        """Return the answer."""
        body = json.dumps(self.to_dict(), ensure_ascii=False).encode("utf-8", "replace")
        return Response(body, self.status, self.headers, MEDIA_TYPE)


def document(code: str, detail: str) -> dict[str, Any]:
    """Return a problem document as plain values."""
    status, title = CODES[code]
    return {"type": f"urn:mien:problem:{code}", "title": title, "status": status, "detail": detail, "code": code}
