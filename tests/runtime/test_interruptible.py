"""A job that the main thread waits for gives what it gives, in one thread for all, and ends with Ctrl-C."""

import os
import signal
import threading
import time

import pytest

from mien.runtime.interruptible import run_interruptibly


def nothing() -> None:
    """Stop nothing."""


def interrupt_after(begun: threading.Event) -> None:
    """Press Ctrl-C once something has begun."""

    def interrupt() -> None:
        begun.wait()
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()


def test_jobs_share_a_thread_that_is_not_the_main_one() -> None:
    names = {run_interruptibly(threading.get_ident, nothing) for _ in range(5)}
    assert len(names) == 1
    assert threading.main_thread().ident not in names


def test_an_error_of_a_job_is_raised_and_the_next_one_runs() -> None:
    with pytest.raises(ZeroDivisionError):
        run_interruptibly(lambda: 1 // 0, nothing)
    assert run_interruptibly(lambda: 3, nothing) == 3


def test_a_job_may_say_that_it_took_too_long() -> None:
    def job() -> None:
        raise TimeoutError("as some libraries do")

    with pytest.raises(TimeoutError, match="some libraries"):
        run_interruptibly(job, nothing)


def test_ctrl_c_stops_a_job_and_waits_for_its_end() -> None:
    begun, stopped, ended = threading.Event(), threading.Event(), threading.Event()

    def job() -> None:
        begun.set()
        stopped.wait()
        time.sleep(0.1)
        ended.set()

    interrupt_after(begun)
    with pytest.raises(KeyboardInterrupt):
        run_interruptibly(job, stopped.set)
    assert ended.is_set()
    assert run_interruptibly(lambda: 3, nothing) == 3


def test_a_job_that_does_not_end_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.runtime.interruptible._STOP", 0.05)
    begun, released = threading.Event(), threading.Event()

    def job() -> None:
        begun.set()
        released.wait()

    interrupt_after(begun)
    with pytest.raises(KeyboardInterrupt):
        run_interruptibly(job, nothing)
    assert run_interruptibly(lambda: 3, nothing) == 3
    released.set()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_has_a_thread_of_its_own() -> None:
    run_interruptibly(lambda: 3, nothing)
    child = os.fork()
    if not child:
        signal.alarm(60)
        os._exit(run_interruptibly(lambda: 7, nothing))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
