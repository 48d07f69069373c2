"""Slow parsing gets a share of the event loop's time; plain data is never held up."""

import asyncio
import time
from collections.abc import AsyncGenerator

from hypothesis import given
from hypothesis import strategies as st

from mien.server.connections.ration import (
    FORM_SECONDS_PER_BYTE,
    FREE_SECONDS,
    MAX_SECONDS,
    SECONDS_PER_BYTE,
    SHARE,
    SLICE_SECONDS,
    ParseTime,
    Ration,
)
from mien.server.uploads import _sliced

SPENT = st.lists(st.floats(0.0001, 0.1), min_size=1, max_size=50)


@given(SPENT, st.floats(0, 1e6))
def test_slow_slices_of_all_clients_take_their_share_of_the_time(slices: list[float], now: float) -> None:
    """Each client begins at the same moment and goes on when it may."""
    ration = Ration()
    delays = [ration.delay(spent, now) for spent in slices]
    assert delays == sorted(delays)
    assert abs(sum(slices) / delays[-1] - SHARE) < 1e-3


@given(SPENT)
def test_a_ration_that_nobody_used_is_not_saved_up(slices: list[float]) -> None:
    ration, now = Ration(), 0.0
    for spent in slices:
        assert abs(ration.delay(spent, now) - spent / SHARE) < 1e-6
        now += 100


@given(st.lists(st.integers(0, 300_000), max_size=50))
def test_plain_data_is_not_held_up(sizes: list[int]) -> None:
    parsed = ParseTime(Ration())
    assert all(parsed.charge(0.9 * size * SECONDS_PER_BYTE, size) == 0 for size in sizes)
    assert not parsed.exhausted


@given(SPENT)
def test_slow_parsing_is_refused_in_the_end(slices: list[float]) -> None:
    parsed = ParseTime(Ration())
    for number, spent in enumerate(slices):
        waits = parsed.charge(spent, 0) > 0
        assert waits or sum(slices[: number + 1]) <= FREE_SECONDS
    assert parsed.exhausted == (sum(slices) > MAX_SECONDS)
    parsed.reset()
    assert not parsed.exhausted


def test_a_form_that_takes_long_is_parsed_in_smaller_slices() -> None:
    data, sizes = bytes(range(256)) * 80, list[int]()

    async def parse() -> bytes:
        async def arriving() -> AsyncGenerator[bytes, None]:
            yield data[:15_000]
            yield data[15_000:]

        received = b""
        async for piece in _sliced(arriving(), ParseTime(Ration())):
            sizes.append(len(piece))
            received += piece
            end = time.thread_time() + 1.5 * SLICE_SECONDS * (len(sizes) <= 6)
            while time.thread_time() < end:
                pass
        return received

    assert asyncio.run(parse()) == data
    assert sizes[:6] == [4096, 2048, 1024, 512, 256, 256]
    assert max(sizes[6:]) == 256


def test_a_form_of_carriage_returns_is_rationed_and_a_photo_is_not() -> None:
    photo, returns = (ParseTime(Ration(), FORM_SECONDS_PER_BYTE) for _ in range(2))
    assert all(photo.charge(1.5e-9 * 4096, 4096) == 0 for _ in range(7500))
    assert sum(returns.charge(3.4e-9 * 4096, 4096) > 0 for _ in range(7500)) > 6000
    assert not returns.exhausted


def test_others_come_between_the_slices_of_a_form_that_is_not_held_up() -> None:
    """Eight pieces take less than what is free, and more than a slice."""
    data, turns, seen = bytes(8 * 4096), 0, list[int]()

    async def parse() -> None:
        async def arriving() -> AsyncGenerator[bytes, None]:
            yield data

        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        other = asyncio.create_task(others())
        async for _ in _sliced(arriving(), ParseTime(Ration())):
            seen.append(turns)
            end = time.thread_time() + 0.35 * SLICE_SECONDS
            while time.thread_time() < end:
                pass
        other.cancel()

    asyncio.run(parse())
    assert len(seen) >= 8
    assert seen[0] == 0
    assert seen[-1] > 0
