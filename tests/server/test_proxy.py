"""The server behind nginx, with the configuration of docs/http.md: prefix, host, origin, uploads and streams."""

import json
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from polling import wait_until
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin
from wire import open_websocket

import mien
from mien.errors import ConfigError
from mien.server import Limits
from mien.server.runner import build_server

DOCS = Path(__file__).parents[2] / "docs" / "http.md"
KEY = "correct horse battery staple"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
needs_nginx = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def server(run_server: Callable[..., Any], make_bundle: Callable[..., Path]) -> Any:
    reader = mien.load(make_bundle(maps=True), threads=1, detect=False)
    return run_server(reader, hosts=["example.org"], key=KEY, root_path="/faces")


@pytest.fixture(scope="module")
def proxy(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of nginx, which runs the documented configuration without TLS."""
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    (block,) = re.findall(r"```nginx\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    block = re.sub(r" *ssl_certificate.*\n", "", block).replace("listen 443 ssl;", f"listen 127.0.0.1:{port};")
    block = block.replace("127.0.0.1:8000", f"127.0.0.1:{server.port}")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    (folder / "nginx.conf").write_text(
        f"daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log {folder}/errors;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{places}{block}}}\n",
        encoding="utf-8",
    )
    assert NGINX is not None
    process = subprocess.Popen(
        [NGINX, "-p", str(folder), "-e", f"{folder}/errors", "-c", f"{folder}/nginx.conf"], stderr=subprocess.DEVNULL
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"Host": "example.org"}, timeout=60) as client:

            def answers() -> bool:
                assert process.poll() is None, (folder / "errors").read_text(encoding="utf-8")
                try:
                    return client.get("/faces/healthz").status_code == 200
                except httpx.TransportError:
                    return False

            wait_until(answers)
            yield client
            # Neither uploads nor answers were written to the disk.
            written = [path for kind in kinds for path in (folder / kind).rglob("*") if path.is_file()]
            assert written == []
            assert "temporary file" not in (folder / "errors").read_text(encoding="utf-8")
    finally:
        process.terminate()
        process.wait(timeout=60)


@needs_nginx
def test_uploads_pass_the_proxy(proxy: httpx.Client, face: bytes, check_problem: Any) -> None:
    headers = {"X-API-Key": KEY}
    large = face + bytes(5_000_000)
    for body in ({"content": face}, {"files": {"file": face}}, {"content": large}, {"files": {"file": large}}):
        answer = proxy.post("/faces/v1/predict", headers=headers, **body)
        assert answer.json()[0]["status"] == "ok"
    png = proxy.post("/faces/v1/explain", content=face, headers=headers)
    assert png.content.startswith(b"\x89PNG")
    check_problem(proxy.post("/faces/v1/predict", content=face), "unauthorized")
    check_problem(proxy.get("/faces/nothing", headers=headers), "not_found")
    assert proxy.post("/faces/v1/predict", content=bytes(34_000_000), headers=headers).status_code == 413


@needs_nginx
def test_host_and_origin_are_those_of_the_client(proxy: httpx.Client, face: bytes, check_problem: Any) -> None:
    headers = {"X-API-Key": KEY}
    check_problem(proxy.get("/faces/healthz", headers={"Host": "evil.example"}), "forbidden_host")
    for origin, accepted in (("https://example.org", True), ("https://evil.example", False)):
        answer = proxy.post("/faces/v1/predict", content=face, headers=headers | {"Origin": origin})
        assert (answer.status_code == 200) == accepted
    forged = {"X-Forwarded-Host": "evil.example", "X-Forwarded-For": "127.0.0.1", "X-Forwarded-Prefix": "/evil"}
    assert "evil" not in proxy.get("/faces/docs", headers=forged).text


@needs_nginx
def test_pages_show_the_address_of_the_proxy(proxy: httpx.Client) -> None:
    page = proxy.get("/faces/docs")
    assert "http://example.org/faces/v1/predict" in page.text
    for link in [*re.findall(r'(?:href|src)="(page/[^"]+)"', page.text + proxy.get("/faces/").text)]:
        assert proxy.get(f"/faces/{link}").status_code == 200, link
    document = proxy.get("/faces/openapi.json", headers={"X-API-Key": KEY}).json()
    assert document["servers"] == [{"url": "/faces"}]


@needs_nginx
def test_a_stream_passes_the_proxy(proxy: httpx.Client, face: bytes) -> None:
    port = proxy.base_url.port
    address = "ws://example.org/faces/v1/stream"

    def through(origin: str) -> Any:
        tunnel = socket.create_connection(("127.0.0.1", port))
        return open_websocket(address, origin=Origin(origin), sock=tunnel, proxy=None)

    with through("https://example.org") as stream:
        stream.send(json.dumps({"key": KEY}))
        stream.send(face)
        assert json.loads(stream.recv(timeout=60))["row"]["status"] == "ok"
    with pytest.raises(InvalidStatus) as refused:
        through("https://evil.example")
    assert refused.value.response.status_code == 403


def test_a_forwarded_scheme_is_shown_and_changes_nothing_else(server: Any) -> None:
    headers = {"Host": "example.org", "X-Forwarded-Proto": "https"}
    assert "https://example.org/faces/v1/predict" in server.get("/docs", headers=headers).text
    shown = server.get("/docs", headers=headers | {"X-Forwarded-Proto": "javascript"}).text
    assert "javascript" not in shown


@pytest.mark.parametrize("path", ["faces", "/", "/faces/", "//", "/a b", "/a?b", "/é"])
def test_a_prefix_that_is_none_is_refused(server: Any, path: str) -> None:
    with pytest.raises(ConfigError, match="give a path prefix like /faces"):
        build_server(server.app, Limits(), path)
