"""The server answers for HEIC and AVIF photographs as for the same pixels in a PNG."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from photographs import ASTRONAUT, STORED, twin
from wire import open_websocket

import mien
from mien.io.images.decoding import load_image


@pytest.fixture(scope="module")
def server(run_server: Callable[..., Any]) -> Any:
    return run_server(mien.load(threads=1), frame_bytes=1_000_000)


@pytest.mark.parametrize("name", STORED)
def test_http_and_streams_take_them(server: Any, name: str) -> None:
    stored = STORED[name](ASTRONAUT)
    png = twin(stored)
    expected = server.post(content=png).json()[0]["faces"]
    assert expected[0]["answer"] == "happy"
    assert server.post(content=stored).json()[0]["faces"] == expected
    (row,) = server.post(files={"file": (name, stored)}).json()
    assert (row["faces"], row["width"], row["height"]) == (expected, 512, 512)
    heat = [server.post("/v1/explain", content=data, params={"view": "heat"}) for data in (stored, png)]
    assert heat[0].status_code == 200
    assert heat[0].content == heat[1].content
    image = server.post("/v1/explain", content=stored, params={"view": "image"})
    assert np.array_equal(load_image(image.content), load_image(stored))
    answers = []
    for data in (stored, png):
        with open_websocket(f"ws://127.0.0.1:{server.port}/v1/stream") as stream:
            stream.send(data)
            answers.append(json.loads(stream.recv(timeout=60))["row"]["faces"])
    assert answers[0] == answers[1]


def test_a_photograph_cut_short_is_a_row_that_says_so(server: Any) -> None:
    stored = STORED["turned.heic"](ASTRONAUT)
    (row,) = server.post(content=stored[: len(stored) // 2]).json()
    assert row["status"] == "unreadable"
    assert "damaged" in row["reason"]
