"""The same image gets the same answer from every interface, and each route answers as described."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

import mien
from mien.inference.calibration import probabilities
from mien.inference.reader import Reader
from mien.labels import EXPRESSIONS


@pytest.fixture(scope="module")
def averaging(make_bundle: Callable[..., Path]) -> Path:
    """A bundle that averages with the mirror image."""
    return make_bundle(EXPRESSIONS, size=48, channels=1, framing="face", mirror=True)


@pytest.fixture(scope="module")
def server(run_server: Callable[..., Any], reader: Reader, brightness_bundle: Path, averaging: Path) -> Any:
    others = {"brightness": mien.load(brightness_bundle, threads=1), "averaging": mien.load(averaging, threads=1)}
    return run_server({"mien": reader, **others})


def test_the_mirror_image_counts_in_every_interface(
    server: Any, averaging: Path, photo: bytes, call: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "astronaut.jpg"
    path.write_bytes(photo)
    own = mien.load(averaging, threads=1)
    (face,) = own.predict(photo).faces
    inputs: Any = np.stack(own.preprocess(photo).inputs)
    single = own.variant(mirror=False)
    by_hand = probabilities((single.logits(inputs) + single.logits(inputs[:, :, ::-1])) / 2, own.config.temperature)[0]
    assert np.abs(by_hand - single.probabilities(inputs)[0]).max() > 0.01
    expected = pytest.approx(dict(zip(own.config.labels, by_hand.tolist(), strict=True)), abs=1e-4)
    frame = next(own.watch([np.asarray(Image.open(io.BytesIO(photo)).convert("RGB"))], fps=1))
    rows = {
        "path": own.predict(path).to_dict(),
        "bytes": own.predict(photo).to_dict(),
        "batch": list(own.predict_many([path, path]))[1].to_dict(),
        "frame": {"faces": [person.to_dict() for person in frame.faces]},
        "explanation": mien.explain(path, model=averaging).result.to_dict(),
        "HTTP": server.post("/v1/predict?model=averaging", files={"file": ("astronaut.jpg", photo)}).json()[0],
        "command": json.loads(call("predict", path, "--model", averaging, "--json", "-")[1])[0],
    }
    assert {name: row["faces"][0]["probabilities"] for name, row in rows.items()} == dict.fromkeys(rows, expected)
    assert face.to_dict()["probabilities"] == expected
    models = {model["name"]: model["mirror"] for model in server.get("/v1/models").json()["models"]}
    assert models == {"mien": True, "brightness": False, "averaging": True}


def test_every_interface_gives_the_same_row(
    server: Any, reader: Reader, photo: bytes, call: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "astronaut.jpg"
    path.write_bytes(photo)
    by_path = [reader.predict(path).to_dict()]
    by_bytes = [reader.predict(photo).to_dict()]
    by_form = server.post(files={"file": ("astronaut.jpg", photo)}).json()
    by_body = server.post(content=photo, headers={"Content-Type": "image/jpeg"}).json()
    by_command = json.loads(call("predict", path, "--json", "-")[1])
    assert by_form[0]["faces"][0]["answer"] == "happy"
    sources = [rows[0].pop("source") for rows in (by_path, by_bytes, by_form, by_body, by_command)]
    assert sources == [str(path), "<bytes>", "astronaut.jpg", "body", str(path)]
    assert by_path == by_bytes == by_form == by_body
    # The command uses batches and more threads: the last digits may differ.
    assert close_to(by_command) == close_to(by_form)


def close_to(value: Any) -> Any:
    """Return the value with all numbers rounded."""
    if isinstance(value, dict):
        return {name: close_to(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [close_to(inner) for inner in value]
    return round(value, 4) if isinstance(value, float) else value


def test_merged_requests_get_their_own_answers(server: Any, reader: Reader, face: bytes, photo: bytes) -> None:
    """Small images of several requests share a batch."""
    import concurrent.futures

    pixels = np.asarray(Image.open(io.BytesIO(face)))
    images = []
    for shift in range(40):
        stream = io.BytesIO()
        Image.fromarray(np.roll(pixels, shift, axis=1)).save(stream, "PNG")
        images.append(stream.getvalue())
    alone = [reader.variant(detect=False).predict(data).to_dict()["faces"] for data in images]
    with httpx.Client() as client, concurrent.futures.ThreadPoolExecutor(20) as pool:

        def ask(data: bytes) -> Any:
            return client.post(
                f"{server.url}/v1/predict?detect=false", content=data, headers={"Content-Type": "image/png"}, timeout=60
            ).json()[0]["faces"]

        together = list(pool.map(ask, images))
    assert [close_to(faces) for faces in together] == [close_to(faces) for faces in alone]


def test_several_files_and_a_bad_one(server: Any, photo: bytes) -> None:
    files = [("file", ("a.jpg", photo)), ("file", ("b.jpg", b"not an image")), ("file", ("c.jpg", photo))]
    answer = server.post(files=files)
    assert answer.status_code == 200
    assert [(row["source"], row["status"]) for row in answer.json()] == [
        ("a.jpg", "ok"), ("b.jpg", "unreadable"), ("c.jpg", "ok"),
    ]  # fmt: skip
    assert answer.json()[1]["reason"].startswith("is text, not an image")


def test_parameters_set_the_options_of_the_reader(server: Any, reader: Reader, photo: bytes) -> None:
    two = np.concatenate([np.asarray(Image.open(io.BytesIO(photo)))] * 2, axis=1)
    stream = io.BytesIO()
    Image.fromarray(two).save(stream, "PNG")
    data = stream.getvalue()
    headers = {"Content-Type": "image/png"}

    def faces(query: str) -> Any:
        return server.post(f"/v1/predict{query}", content=data, headers=headers).json()[0]

    assert len(faces("")["faces"]) == len(faces("?faces=all")["faces"]) == 2
    assert len(faces("?faces=largest")["faces"]) == 1
    whole = faces("?detect=false")
    assert [face["score"] for face in whole["faces"]] == [None]
    assert (
        whole["faces"][0]["probabilities"]
        == reader.variant(detect=False).predict(data).to_dict()["faces"][0]["probabilities"]
    )
    assert faces("?model=brightness")["model"] == "linear"


def test_models_are_described(server: Any, reader: Reader) -> None:
    found = server.get("/v1/models").json()
    assert found["default"] == "mien"
    assert [model["name"] for model in found["models"]] == ["mien", "brightness", "averaging"]
    first = found["models"][0]
    assert first["labels"] == list(reader.config.labels)
    assert first["answers"] == list(reader.answers)
    assert (first["size"], first["channels"], first["framing"]) == (48, 1, "face")
    assert first["sha256"] == reader.config.sha256
    assert first["device"] == reader.device == "cpu"
    assert first["mirror"] is reader.mirror is True


@pytest.mark.parametrize("view", ["overlay", "heat"])
def test_explain_keeps_the_shape_of_the_image(server: Any, photo: bytes, view: str) -> None:
    answer = server.post(f"/v1/explain?label=happy&view={view}", content=photo, headers={"Content-Type": "image/jpeg"})
    assert answer.headers["content-type"] == "image/png"
    image = Image.open(io.BytesIO(answer.content))
    assert image.size == (512, 512)
    pixels = np.asarray(image).astype(int)
    if view == "heat":
        assert image.mode == "RGBA"
        assert pixels[400:, 400:, 3].max() == 0
        assert pixels[80:150, 190:260, 3].max() > 100
    else:
        original = np.asarray(Image.open(io.BytesIO(photo)).convert("RGB")).astype(int)
        assert abs(pixels - original)[400:, 400:].max() == 0
        assert abs(pixels - original)[80:150, 190:260].max() > 30


@pytest.mark.parametrize("view", ["overlay", "heat"])
def test_explain_shows_the_requested_faces(server: Any, photo: bytes, encode: Callable[..., bytes], view: str) -> None:
    """Two faces side by side, the right one smaller."""
    one = np.asarray(Image.open(io.BytesIO(photo)).convert("RGB"))
    small = np.full_like(one, 128)
    small[:320, :320] = Image.fromarray(one).resize((320, 320))
    data = encode(np.concatenate([one, small], axis=1), "PNG")

    def shown(query: str) -> tuple[bool, bool]:
        """Return whether there is heat over the left and over the right half."""
        answer = server.post(f"/v1/explain?view={view}{query}", content=data, headers={"Content-Type": "image/png"})
        assert answer.status_code == 200
        pixels = np.asarray(Image.open(io.BytesIO(answer.content))).astype(int)
        before = np.asarray(Image.open(io.BytesIO(data)))
        heat = pixels[..., 3] if view == "heat" else abs(pixels - before).max(axis=2)
        return heat[:, :512].max() > 30, heat[:, 512:].max() > 30

    assert shown("") == shown("&faces=all") == (True, True)
    assert shown("&faces=largest") == (True, False)
    assert shown("&faces=largest&detect=false") == (True, True)  # one crop: the whole image


def test_a_large_image_is_explained_at_1280_pixels(server: Any, photo: bytes, encode: Callable[..., bytes]) -> None:
    large = encode(Image.open(io.BytesIO(photo)).resize((2000, 1000)))
    for view in ("overlay", "heat"):
        answer = server.post(f"/v1/explain?view={view}", content=large, headers={"Content-Type": "image/jpeg"})
        image = Image.open(io.BytesIO(answer.content))
        assert image.size == (1280, 640)
    alpha = np.asarray(image)[..., 3]
    y, x = (alpha > 0).nonzero()
    # The face is at (223, 110) of 512.
    assert abs(x.mean() / 1280 - 223 / 512) < 0.05
    assert abs(y.mean() / 640 - 110 / 512) < 0.08


def test_health_and_metrics(server: Any, photo: bytes) -> None:
    assert server.get("/healthz").json() == {"status": "ok"}
    assert server.get("/readyz").json() == {"status": "ready"}
    server.post(content=photo)
    server.post("/v1/predict?model=nobody", content=photo)
    text = server.get("/metrics").text
    assert 'mien_requests_total{route="/v1/predict",status="200"}' in text
    assert 'mien_refused_total{code="unknown_model"} 1.0' in text
    assert "mien_held_bytes 0.0" in text


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/v1/models", "/v1/config"])
def test_a_head_request_is_answered_like_a_get(server: Any, path: str, check_problem: Callable[..., Any]) -> None:
    """Load balancers use HEAD."""
    asked, got = httpx.head(f"{server.url}{path}", timeout=60), server.get(path)
    assert (asked.status_code, asked.content) == (200, b"")
    assert asked.headers["content-length"] == str(len(got.content))
    refused = server.post(path)
    check_problem(refused, "method_not_allowed")
    assert refused.headers["allow"] == "GET, HEAD"


def test_config_has_the_limits_the_notice_and_the_version(server: Any) -> None:
    found = server.get("/v1/config").json()
    assert found["notice"] == "", "the page's own"
    assert found["auth"] is False
    assert found["version"] == mien.__version__
    assert found["limits"]["files"] == 32


def test_the_application_can_be_mounted(run_server: Callable[..., Any], reader: Reader, photo: bytes) -> None:
    """Below a prefix, public paths need no key, and others do."""
    from fastapi import FastAPI

    from mien.server import create_app

    inner = create_app(reader, key="a key of some length", threads=1)
    outer = FastAPI()
    outer.mount("/faces", inner)
    outer.state.mien = inner.state.mien
    import asyncio

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(outer)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            key = {"X-API-Key": "a key of some length"}
            return [
                await client.get("/faces/healthz"),
                await client.get("/faces/page/index.html"),
                await client.post("/faces/v1/predict", content=photo),
                await client.post("/faces/v1/predict", content=photo, headers=key),
            ]

    answers = asyncio.run(ask())
    assert [answer.status_code for answer in answers] == [200, 200, 401, 200]
    assert answers[-1].json()[0]["faces"][0]["answer"] == "happy"
