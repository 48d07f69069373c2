"""Mutated images and bodies get documented answers: no crash, no hang."""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fuzzing import mutated
from heif_files import encode_heic, tiled_heic
from PIL import Image

import mien
from mien.data.synthetic.faces import draw_face
from mien.server.jobs import Later
from mien.server.models import Models
from mien.server.problems import CODES, Problem
from mien.server.uploads import Upload

KINDS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF")
MANY = 100_000
BOUNDARY = b"edge"


@pytest.fixture(scope="module")
def seeds(encode: Callable[..., bytes]) -> list[bytes]:
    """Drawn faces in all supported formats, and some others."""
    found = []
    for number, kind in enumerate([*KINDS, "EPS", "TGA", "ICO", "PCX"]):
        found.append(encode(draw_face("happy", number, 40), kind))
    found += [encode_heic(Image.fromarray(draw_face("happy", number, 40)), thumbnails=[16]) for number in range(3)]
    found.append(tiled_heic(Image.fromarray(draw_face("happy", 0, 32)), 2, 2, (60, 50)))
    return found


def form(seeds: list[bytes], seed: int) -> bytes:
    """Return a form with mutated images. One in three forms is mutated too."""
    rng = random.Random(seed)
    body = b""
    for number in range(rng.randrange(1, 4)):
        name = rng.choice((b"a.png", b"../../etc/passwd", b"", b"\xff\xfe", b'"', b"x" * 300))
        head = b'Content-Disposition: form-data; name="file"; filename="' + name + b'"\r\n\r\n'
        body += b"--" + BOUNDARY + b"\r\n" + head + mutated(seeds, 3 * seed + number) + b"\r\n"
    body += b"--" + BOUNDARY + b"--\r\n"
    return mutated([body], seed) if rng.random() < 0.33 else body


def check_decoder(bundle: Path, seeds: list[bytes], numbers: range) -> dict[str, int]:
    """Predict mutated images like the worker threads; return the number of images per status."""
    reader = mien.load(bundle, threads=1, detect=False)
    models = Models(reader, 1_000_000)
    counts: dict[str, int] = {}
    for number in numbers:
        work, later = models.batch_functions(reader)
        request = [[Upload("fuzz", mutated(seeds, number))]]
        (found,) = work(request)
        if isinstance(found, Later):
            (found,) = later(request)
        status = found.code if isinstance(found, Problem) else json.loads(found)[0]["status"]
        counts[status] = counts.get(status, 0) + 1
    assert set(counts) <= {"ok", "unreadable", "too_many_pixels"}
    return counts


def check_server(server: Any, seeds: list[bytes], numbers: range) -> dict[int, int]:
    counts: dict[int, int] = {}
    with httpx.Client(base_url=server.url, timeout=60) as client:
        for number, (path, headers, body) in zip(numbers, requests(seeds, numbers), strict=True):
            answer = client.post(path, content=body, headers=headers)
            counts[answer.status_code] = counts.get(answer.status_code, 0) + 1
            assert answer.status_code < 500, (number, answer.text)
            if answer.status_code != 200:
                assert answer.json()["code"] in CODES
    return counts


def requests(seeds: list[bytes], numbers: range) -> Iterator[tuple[str, dict[str, str], bytes]]:
    for number in numbers:
        if number % 3 == 0:
            kind = {"Content-Type": "multipart/form-data; boundary=edge"}
            yield "/v1/predict?detect=false", kind, form(seeds, number)
        elif number % 3 == 1:
            yield "/v1/predict", {"Content-Type": "image/png"}, mutated(seeds, number)
        else:
            yield "/v1/explain", {"Content-Type": "image/png"}, mutated(seeds, number)


@pytest.fixture(scope="module")
def bundle(make_bundle: Callable[..., Path]) -> Path:
    return make_bundle(maps=True)


@pytest.fixture(scope="module")
def server(run_server: Callable[..., Any], bundle: Path) -> Any:
    return run_server(mien.load(bundle, threads=1), pixels=1_000_000)


def test_mutated_images_are_predicted_or_refused(bundle: Path, seeds: list[bytes]) -> None:
    counts = check_decoder(bundle, seeds, range(500))
    assert counts["ok"] > 50
    assert counts["unreadable"] > 50


def test_mutated_bodies_are_answered(server: Any, seeds: list[bytes]) -> None:
    counts = check_server(server, seeds, range(90))
    assert counts[200] > 20
    assert counts[422] > 3


@pytest.mark.slow
def test_a_hundred_thousand_mutated_images(bundle: Path, seeds: list[bytes]) -> None:
    print(check_decoder(bundle, seeds, range(MANY)))


@pytest.mark.slow
def test_ten_thousand_mutated_bodies(server: Any, seeds: list[bytes]) -> None:
    print(check_server(server, seeds, range(MANY // 10)))
    assert server.get("/healthz").status_code == 200
