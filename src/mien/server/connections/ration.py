"""Ration the time that the event loop spends on slow parsing, so that no client delays the others.

A request, a form or a stream can be written such that parsing it takes long: chunks of one byte, thousands of nearly
matching boundaries, empty WebSocket frames, requests that do not wait for answers. Parsers work in slices here. Input
that parses as fast as plain data is never held up. All slower input together gets `SHARE` of the event loop's time, and
a request that used up `MAX_SECONDS` is refused. What clients send after they were refused comes out of the same share.
"""

import time

#: A parser pauses after this many seconds. Other clients wait at most one slice.
SLICE_SECONDS = 0.001
#: Slow parsing of all clients together gets this share of the event loop's time.
SHARE = 0.05
#: Parsing up to this many seconds, and per byte on top, counts as fast. A plain body takes 0.7 ns a byte, and one in
#: chunks of 256 bytes 30 ns.
FREE_SECONDS, SECONDS_PER_BYTE = 0.003, 4e-8
#: The same of forms. A photo takes 1 to 1.5 ns a byte, carriage returns alone 3.4.
FORM_SECONDS_PER_BYTE = 2e-9
#: Reading a piece of data that nobody wants counts as so many seconds, whatever its size.
UNWANTED_SECONDS = 0.0001
#: A request that took this much longer than plain data of its size is refused.
MAX_SECONDS = 0.25


class Ration:
    """The time for slow parsing, shared by all connections of a server.

    Examples:
        >>> ration = Ration()
        >>> round(ration.delay(0.001, now=0.0), 3), round(ration.delay(0.001, now=0.0), 3)
        (0.02, 0.04)
    """

    def __init__(self) -> None:
        self._free_at = 0.0

    def delay(self, spent: float, now: float | None = None) -> float:
        """Note seconds spent on slow parsing; return the seconds to wait before the next slice of the same client."""
        now = time.monotonic() if now is None else now
        self._free_at = max(self._free_at, now) + spent / SHARE
        return self._free_at - now


class ParseTime:
    """The parse time of one request, form or stream.

    Args:
        ration: shared by all of them.
        seconds_per_byte: time per byte that counts as fast.

    Examples:
        >>> parsed = ParseTime(Ration())
        >>> parsed.charge(0.001, 65536), parsed.charge(0.5, 1000) > 2, parsed.exhausted
        (0.0, True, True)
    """

    def __init__(self, ration: Ration, seconds_per_byte: float = SECONDS_PER_BYTE) -> None:
        self._ration, self._seconds_per_byte = ration, seconds_per_byte
        self.reset()

    def reset(self) -> None:
        """Begin a new request."""
        self._credit, self._excess = FREE_SECONDS, 0.0

    def charge(self, seconds: float, size: int) -> float:
        """Note that parsing took `seconds` while `size` bytes came; return the seconds to wait before going on."""
        self._credit = min(self._credit + size * self._seconds_per_byte - seconds, FREE_SECONDS)
        self._excess = max(self._excess + seconds - size * SECONDS_PER_BYTE, 0.0)
        if self._credit >= 0:
            return 0.0
        self._credit = 0.0
        return self._ration.delay(seconds)

    @property
    def exhausted(self) -> bool:
        """Whether the request took too long."""
        return self._excess > MAX_SECONDS
