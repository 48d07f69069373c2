"""The number of threads is bounded."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.errors import ConfigError
from mien.runtime.cores import available_cores
from mien.runtime.threads import MAX_THREADS, thread_count


@given(threads=st.one_of(st.none(), st.integers(), st.floats(), st.text()))
def test_threads_are_bounded(threads: Any) -> None:
    if threads is None:
        assert thread_count(threads) == available_cores()
    elif isinstance(threads, int) and 1 <= threads <= MAX_THREADS:
        assert thread_count(threads) == threads
    else:
        with pytest.raises(ConfigError, match="whole number from 1 to 256"):
            thread_count(threads)
