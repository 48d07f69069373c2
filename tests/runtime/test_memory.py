"""Threads share a memory budget and never exceed it; freed memory goes back to the system."""

import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from mien.runtime.memory import MemoryBudget, private_memory, release_freed_memory, release_pages


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
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


@pytest.mark.skipif(sys.platform != "linux", reason="needs glibc")
@pytest.mark.parametrize(("kept", "piece"), [(16, 4), (32, 17)])
def test_what_is_freed_is_used_again(kept: int, piece: int) -> None:
    """A process that is told to keep freed memory does not fault in the same pages for image after image."""
    code = textwrap.dedent("""
        import resource, sys
        from mien.runtime.memory import keep_freed_memory

        def decode():
            pieces = [b"x" * (int(sys.argv[3]) << 20), b"x" * 3_000_000, b"x" * 3_000_000]

        if sys.argv[1] == "keep":
            keep_freed_memory(int(sys.argv[2]) << 20)
        decode()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(20):
            decode()
        print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    """)
    faults = {
        kind: int(
            subprocess.run(
                [sys.executable, "-c", code, kind, str(kept), str(piece)], capture_output=True, text=True, check=True
            ).stdout
        )
        for kind in ("usual", "keep")
    }
    assert faults["keep"] < 1000
    assert faults["usual"] > 4_000


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


def test_what_fits_together_runs_side_by_side() -> None:
    budget, meet = MemoryBudget(100), threading.Barrier(2)

    def work(size: int) -> None:
        with budget.reserve(size):
            meet.wait()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, (60, 40)))


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


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux is told which pages it may have")
def test_pages_without_content_go_back_to_the_system() -> None:
    block = np.ones(64 * 2**20, np.uint8)
    assert release_pages(block.ctypes.data, block.nbytes) > 60 * 2**20
    assert not block[4096:-4096].any()
    assert release_pages(block.ctypes.data, 100) == 0
    before = private_memory()
    block[:] = 1
    assert private_memory() - before > 60 * 2**20
