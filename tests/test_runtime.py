"""Threads share a memory budget and never exceed it; stderr is silenced and comes back."""

import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.errors import ConfigError
from mien.runtime import (
    MAX_THREADS,
    MemoryBudget,
    available_cores,
    quiet_stderr,
    release_freed_memory,
    thread_count,
)


def test_threads_never_hold_more_together_than_there_is() -> None:
    budget, lock, held, most = MemoryBudget(100), threading.Lock(), list[int](), list[int]()

    def work(size: int) -> None:
        with budget.reserve(size):
            with lock:
                held.append(size)
                most.append(sum(held))
            time.sleep(0.001)
            with lock:
                held.remove(size)

    sizes = np.random.default_rng(0).integers(1, 70, 60).tolist()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, sizes))
    assert max(most) <= 100
    assert max(most) > max(sizes), "nothing ran side by side"


def test_what_needs_more_than_there_is_runs_alone() -> None:
    budget, order = MemoryBudget(100), list[str]()
    small_in, go = threading.Event(), threading.Event()

    def small() -> None:
        with budget.reserve(10):
            small_in.set()
            go.wait()
            order.append("small")

    def huge() -> None:
        with budget.reserve(10_000):
            order.append("huge")

    threads = [threading.Thread(target=small), threading.Thread(target=huge)]
    threads[0].start()
    small_in.wait()
    threads[1].start()
    go.set()
    for thread in threads:
        thread.join()
    assert order == ["small", "huge"]


def test_the_budget_is_free_again_after_an_error() -> None:
    budget = MemoryBudget(100)
    for _ in range(3):
        with pytest.raises(ValueError, match="no image"), budget.reserve(100):
            raise ValueError("no image")


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@given(threads=st.one_of(st.none(), st.integers(), st.floats(), st.text()))
def test_threads_are_bounded(threads: Any) -> None:
    if threads is None:
        assert thread_count(threads) == available_cores()
    elif isinstance(threads, int) and 1 <= threads <= MAX_THREADS:
        assert thread_count(threads) == threads
    else:
        with pytest.raises(ConfigError, match="whole number from 1 to 256"):
            thread_count(threads)


def test_freed_memory_goes_back_to_the_system() -> None:
    """What a thread has freed is no longer the process's."""

    def resident() -> int:
        return int(Path("/proc/self/statm").read_bytes().split()[1]) * 4096

    def work() -> None:
        del pieces[:]
        pieces.extend(bytes([1]) * 60_000 for _ in range(2000))
        keep.append(bytes([2]) * 60_000)  # on top of them: glibc alone would keep all that is below
        del pieces[:]
        before.append(resident())
        release_freed_memory()

    pieces, keep, before = list[bytes](), list[bytes](), list[int]()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert resident() < before[0] - 60_000_000


def test_stderr_is_quiet_and_comes_back(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet_stderr():
        os.write(2, b"from C++\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


@pytest.mark.parametrize("show", [False, True])
def test_what_was_held_back_is_shown_after_an_error_only_if_asked(
    capfd: pytest.CaptureFixture[str], show: bool
) -> None:
    with pytest.raises(ValueError, match="broken"), quiet_stderr(show_on_error=show):
        os.write(2, b"from C++\n")
        raise ValueError("broken")
    assert capfd.readouterr().err == ("from C++\n" if show else "")
