"""Problem documents (RFC 9457)."""

import json

import pytest

from mien.server.problems import CODES, MEDIA_TYPE, Problem


@pytest.mark.parametrize("code", CODES)
def test_a_response_holds_the_document(code: str) -> None:
    problem = Problem(code, "half a \ud800 character", {"X-Test": "yes"})
    response = problem.response()
    status, title = CODES[code]
    assert (response.status_code, response.media_type, response.headers["x-test"]) == (status, MEDIA_TYPE, "yes")
    assert ("retry-after" in response.headers) == (status == 503)
    assert json.loads(bytes(response.body)) == {
        "type": f"urn:mien:problem:{code}", "title": title, "status": status, "detail": "half a ? character",
        "code": code,
    }  # fmt: skip


def test_retry_after_can_be_set() -> None:
    assert Problem("busy", "later", {"Retry-After": "7"}).headers == {"Retry-After": "7"}
