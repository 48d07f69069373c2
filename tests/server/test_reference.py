"""`/docs` lists every route and parameter, needs no key, and works under a prefix."""

import asyncio
import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from mien.inference.reader import Reader
from mien.server import create_app
from mien.server.reference import render_reference

KEY = "a key of some length"


@pytest.fixture(scope="module")
def server(run_server: Callable[..., Any], reader: Reader) -> Any:
    """A server that needs a key."""
    return run_server(reader, key=KEY)


def test_the_page_has_every_route_and_parameter(server: Any) -> None:
    page = server.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    document = server.get("/openapi.json", headers={"X-API-Key": KEY}).json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert f"{method.upper()} {path}</code>" in page.text
            assert all(f"<td>{one['name']}</td>" in page.text for one in operation.get("parameters", ()))
    assert "sad=0.6" in page.text
    assert f"curl -s -H &#39;Authorization: Bearer KEY&#39; -F file=@photo.jpg {server.url}/v1/predict" in page.text


def test_nothing_is_loaded_from_elsewhere(server: Any) -> None:
    text = server.get("/docs").text
    assert "<script" not in text and "style=" not in text
    for link in re.findall(r'(?:href|src)="([^"]+)"', text):
        assert server.get("/" + link, headers={"X-API-Key": KEY}).status_code == 200


def test_a_host_name_is_text(reader: Reader) -> None:
    assert "<b>" not in render_reference(create_app(reader).openapi(), "http://<b>", locked=False)


def test_a_mounted_application_guards_itself_alone(reader: Reader, photo: bytes) -> None:
    asyncio.run(_ask_a_mounted_application(reader, photo))


async def _ask_a_mounted_application(reader: Reader, photo: bytes) -> None:
    outer = FastAPI()
    outer.mount("/faces", create_app(reader, key=KEY, threads=1, hosts=["faces.test"]))

    @outer.get("/own")
    async def own() -> str:
        return "without a key"

    transport = httpx.ASGITransport(outer)
    async with httpx.AsyncClient(transport=transport, base_url="http://faces.test") as client:
        assert (await client.get("/own")).json() == "without a key"
        assert (await client.post("/faces/v1/predict", content=photo)).status_code == 401
        page = await client.get("/faces/docs")
        assert "http://faces.test/faces/v1/predict" in page.text
        style = re.search(r'href="(page/base.css)"', page.text)
        assert style and (await client.get(f"/faces/{style[1]}")).status_code == 200
    async with httpx.AsyncClient(transport=transport, base_url="http://other.test") as client:
        assert (await client.get("/faces/docs")).json()["code"] == "forbidden_host"
        assert (await client.get("/own")).status_code == 200
