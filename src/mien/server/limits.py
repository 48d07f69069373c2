"""Hold the limits on client requests. The modules that receive the data enforce them."""

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

from mien.errors import ConfigError

#: Longest of all limits of time: a day, in seconds. Timers of the system take no times without end.
MAX_SECONDS = 86_400.0


@dataclass(frozen=True)
class Limits:
    """Limits on client requests, all above 0 and finite; those of time are at most a day.

    Each is checked as early as possible.

    Attributes:
        body_bytes: largest request body, in bytes.
        files: most files per request.
        pixels: largest image, width times height, taken from its header before decoding.
        body_seconds: longest time to send a body.
        header_seconds: longest time to send a request head, or the key of a stream.
        answer_seconds: longest time in which a client must accept an answer.
        seconds: longest time that a request may wait and be worked on, together.
        waiting: most requests that may wait for a worker; more are answered 503.
        held_bytes: most memory for all request bodies and large answers together; more are answered 503.
        connections: most open connections; more are answered 503.
        streams: most open WebSockets.
        frame_bytes: largest frame of a stream.
        frames_per_second: most frames of one stream that are answered per second.
        idle_seconds: a stream without a frame for this long is closed.

    Raises:
        ConfigError: a limit is not above 0, not finite, or longer than a day.

    Examples:
        >>> Limits(files=4).to_dict()["files"]
        4
    """

    body_bytes: int = 32 * 2**20
    files: int = 32
    pixels: int = 50_000_000
    body_seconds: float = 30.0
    header_seconds: float = 10.0
    answer_seconds: float = 30.0
    seconds: float = 30.0
    waiting: int = 256
    held_bytes: int = 256 * 2**20
    connections: int = 1000
    streams: int = 8
    frame_bytes: int = 4 * 2**20
    frames_per_second: float = 30.0
    idle_seconds: float = 60.0

    def __post_init__(self) -> None:
        """Refuse limits that let nothing through, or are none."""
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0 < value < math.inf:
                raise ConfigError(f"`{field.name}={value!r:.20}`: give a finite number above 0")
            if field.name.endswith("seconds") and value > MAX_SECONDS:
                raise ConfigError(f"`{field.name}={value!r:.20}`: give at most {MAX_SECONDS:g} seconds, which is a day")

    def to_dict(self) -> dict[str, Any]:
        """Return the limits by name, as in `/v1/config`."""
        return asdict(self)
