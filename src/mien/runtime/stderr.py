"""Keep what C++ code writes to the process's stderr away from the terminal."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO


@contextmanager
def quiet_stderr(show_on_error: bool = False) -> Iterator[None]:
    """Silence file descriptor 2 while the block runs: C++ code logs there, past Python's `sys.stderr`.

    With `show_on_error`, what was held back is written if the block raises an error; Ctrl-C is none.
    """
    import tempfile

    with tempfile.TemporaryFile() if show_on_error else open(os.devnull, "w+b") as held:  # noqa: PTH123
        try:
            with stderr_to(held):
                yield
        except Exception:
            if show_on_error:
                held.seek(0)
                os.write(2, held.read())
            raise


@contextmanager
def stderr_to(file: IO[bytes]) -> Iterator[None]:
    """Send what the process writes to file descriptor 2 to a file while the block runs."""
    if sys.stderr is not None:
        sys.stderr.flush()
    kept = os.dup(2)
    os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        if sys.stderr is not None:
            sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
