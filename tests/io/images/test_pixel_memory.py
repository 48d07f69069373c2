"""Pixels in memory that a decoder shares with its parent: the same, for as long as they are lent, and no longer."""

import io
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mien.data.synthetic.faces import draw_face
from mien.io.images.decoding import decode, load_image, open_image
from mien.io.images.isolation import Decoders
from mien.io.images.loading import decode_with_size
from mien.runtime.memory import MemoryBudget

linux = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="needs shared memory of Linux")
FACE = Image.fromarray(draw_face("happy", 3, 96))


def encode(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


LARGE = encode(FACE.resize((800, 800)), "PNG")
TURNED = encode(FACE.transpose(Image.Transpose.ROTATE_90).resize((800, 800)), "PNG")


@pytest.fixture
def decoders() -> Iterator[Decoders]:
    found = Decoders(4, MemoryBudget(2**30))
    yield found
    found.close()


def lent(decoders: Decoders, data: bytes, held: ExitStack) -> np.ndarray[Any, Any]:
    """Decode with pixels that may be used until `held` ends."""
    options = {"shrink_to": None, "max_pixels": None}
    pixels = decoders.run("decode", data, "photo", options, held, lend=True).pixels
    assert pixels is not None
    return pixels


def processes(decoders: Decoders) -> list[int]:
    return [one._process.pid for one in decoders._all]


def here(data: bytes) -> np.ndarray[Any, Any]:
    return decode_with_size(data, "photo").rgb


@pytest.mark.parametrize("size", [(60, 40), (800, 600), (4200, 1300), (3000, 2600)])
def test_lent_pixels_are_those_that_are_sent(size: tuple[int, int], decoders: Decoders) -> None:
    data = encode(FACE.resize(size), "JPEG")
    for _ in range(2):
        with ExitStack() as held:
            assert np.array_equal(lent(decoders, data, held), here(data))


@linux
def test_a_decoder_that_lends_pixels_serves_nobody_else_until_they_are_given_back(decoders: Decoders) -> None:
    with ExitStack() as held, ExitStack() as other:
        first, second = lent(decoders, LARGE, held), lent(decoders, TURNED, other)
        assert np.array_equal(first, here(LARGE))
        assert np.array_equal(second, here(TURNED))
        assert len(processes(decoders)) == 2
    with ExitStack() as held:
        lent(decoders, LARGE, held)
        assert len(processes(decoders)) == 2


@linux
def test_half_of_the_decoders_lend_and_the_others_serve(decoders: Decoders) -> None:
    with ExitStack() as held:
        pixels = [lent(decoders, LARGE, held) for _ in range(12)]
        assert len(processes(decoders)) == 3
        assert all(np.array_equal(one, here(LARGE)) for one in pixels)


def test_pixels_outside_a_block_are_not_lent() -> None:
    first = [load_image(LARGE, isolated="all"), decode(LARGE, "a")]
    for _ in range(4):  # whichever decoder takes it
        with open_image(TURNED, "b", isolated="all") as found:
            assert not any(np.shares_memory(found.rgb, one) for one in first)
    assert all(np.array_equal(one, here(LARGE)) for one in first)


def test_without_shared_memory_pixels_come_through_a_pipe(monkeypatch: pytest.MonkeyPatch, decoders: Decoders) -> None:
    def refuse(name: str) -> int:
        raise PermissionError(1, "Operation not permitted", name)

    monkeypatch.setattr(os, "memfd_create", refuse, raising=False)
    with ExitStack() as held:
        assert np.array_equal(lent(decoders, LARGE, held), here(LARGE))
        lent(decoders, LARGE, held)
        assert len(processes(decoders)) == 1  # it serves the next one at once


@linux
def test_memory_of_a_large_image_is_returned(decoders: Decoders) -> None:
    data = encode(FACE.resize((4000, 3000)), "JPEG")
    with ExitStack() as held:
        assert lent(decoders, data, held).nbytes == 36_000_000
        assert shared_bytes(*processes(decoders)) >= 36_000_000
    assert shared_bytes(*processes(decoders)) < 20_000_000
    with ExitStack() as held:
        assert np.array_equal(lent(decoders, data, held), here(data))


def shared_bytes(pid: int) -> int:
    """Return how much of its memory for pixels a decoder has taken."""
    every = Path(f"/proc/{pid}/fd").iterdir()
    return next(one.stat().st_blocks * 512 for one in every if "mien-pixels" in str(one.readlink()))
