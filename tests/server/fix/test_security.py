"""Nobody but the page that has the token reads or decides anything, and only under the names of this machine."""

from typing import Any

import httpx
import pytest
from fix_tab import TOKEN

ROUTES = [
    ("GET", "/v1/fix"), ("GET", "/v1/fix/alike"), ("GET", "/v1/fix/image?name=happy/wrong-0.png"),
    ("GET", "/v1/fix/training"), ("POST", "/v1/fix/training"), ("POST", "/v1/fix/decisions"), ("POST", "/v1/fix/undo"),
    ("POST", "/v1/fix/later"),
]  # fmt: skip


def ask(served: Any, method: str, path: str, token: str | None = TOKEN, **headers: str) -> httpx.Response:
    sent = headers | ({"Authorization": f"Bearer {token}"} if token else {})
    return httpx.request(method, served.origin.rstrip("/") + path, headers=sent, timeout=60, verify=False)


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_route_needs_the_token(served: Any, method: str, path: str) -> None:
    for wrong in (None, "another-token"):
        assert ask(served, method, path, wrong).status_code == 401
    query = f"{path}{'&' if '?' in path else '?'}token={TOKEN}&key={TOKEN}"
    assert ask(served, method, query, None).status_code == 401, "never in a query"
    assert ask(served, method, path).status_code != 401
    assert served.rows == []


def test_other_pages_and_other_names_are_refused(served: Any) -> None:
    for method, path in [*ROUTES, ("GET", "/"), ("GET", "/page/fix/app.js")]:
        assert ask(served, method, path, Origin="https://example.org").json()["code"] == "forbidden_origin"
        answer = ask(served, method, path, Host="rebound.example:80")
        assert answer.json()["code"] == "forbidden_host"
        assert "--allow-host" not in answer.text, "mien fix has no such option"
    port = served.origin.split(":")[2].strip("/")
    assert ask(served, "GET", "/v1/fix", Host=f"localhost:{port}").status_code == 200


def test_the_page_holds_no_data_and_a_strict_policy(served: Any) -> None:
    answer = ask(served, "GET", "/", None)
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert str(served.session.data) not in answer.text and "wrong-" not in answer.text
    for outside in ("http://", "https://", " style=", " onclick="):
        assert outside not in answer.text


def test_only_files_of_the_dataset_are_shown(served: Any) -> None:
    data = served.session.data
    (data.parent / "secret.png").write_bytes((data / "sad" / "sad-0.png").read_bytes())
    for name in ("../secret.png", str(data.parent / "secret.png"), "mien-fixes.csv", "sad/none.png", ""):
        assert ask(served, "GET", f"/v1/fix/image?name={name}").status_code == 404
    assert ask(served, "GET", "/v1/fix/image?name=sad/sad-0.png").headers["content-type"] == "image/jpeg"
    assert ask(served, "GET", "/v1/fix/image?name=sad/sad-0.png&size=huge").status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        "", "[]", '{"id": "12345678"}', '{"id": "12345678", "decisions": []}',
        '{"id": "12345678", "decisions": [{"name": "sad/sad-0.png", "sha256": "0", "decision": "undo"}]}',
        '{"id": "12345678", "decisions": [], "more": 1}', '{"id": "12345678", "decisions": "' + "x" * 2**20 + '"}',
    ],
)  # fmt: skip
def test_a_body_that_is_not_as_declared_changes_nothing(served: Any, body: str) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = httpx.post(f"{served.origin}v1/fix/decisions", content=body, headers=headers, timeout=60, verify=False)
    assert answer.json()["code"] in ("bad_parameter", "too_large")
    assert served.rows == []


def test_a_decision_names_the_content_that_was_seen(served: Any) -> None:
    body = {
        "id": "12345678",
        "decisions": [{"name": "sad/sad-0.png", "sha256": "0" * 64, "decision": "keep", "label": None, "box": None}],
    }
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = httpx.post(f"{served.origin}v1/fix/decisions", json=body, headers=headers, timeout=60, verify=False)
    assert answer.json()["refused"] == [{"name": "sad/sad-0.png", "detail": "is another file than the one on the page"}]
    assert served.rows == []


def test_the_token_is_long_and_of_one_start(command: Any) -> None:
    first = command.start().split("#")[1]
    command.end()
    second = command.start().split("#")[1]
    assert first != second
    assert min(len(first), len(second)) >= 32
