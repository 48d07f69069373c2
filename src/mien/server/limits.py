"""What a client may ask of the server."""

from dataclasses import asdict, dataclass, fields
from typing import Any

from mien.errors import ConfigError


@dataclass(frozen=True)
class Limits:
    """Limits on what comes in; each is checked as early as it can be. Raises ConfigError unless all are above 0.

    `body_bytes` is the size of a request's body, `files` how many files it may hold, `pixels` the size of each
    picture (width times height, from its header, before it is decoded). `body_seconds` is how long a client may
    take to send a body, `header_seconds` to send a request's head, `seconds` how long a request may wait and be
    worked on. `waiting` is how many requests may wait to be worked on, `held_bytes` how much memory the bodies of
    all requests together may take, `connections` how many connections may be open; what is beyond is answered
    503. `streams` is how many WebSockets may be open, `frame_bytes` the size of one frame, `frames_per_second`
    how many frames of one stream are read in a second, `idle_seconds` after how long without a frame a stream is
    closed.
    """

    body_bytes: int = 32 * 2**20
    files: int = 32
    pixels: int = 50_000_000
    body_seconds: float = 30.0
    header_seconds: float = 10.0
    seconds: float = 30.0
    waiting: int = 256
    held_bytes: int = 256 * 2**20
    connections: int = 1000
    streams: int = 8
    frame_bytes: int = 4 * 2**20
    frames_per_second: float = 30.0
    idle_seconds: float = 60.0

    def __post_init__(self) -> None:
        """Refuse what would let nothing through."""
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise ConfigError(f"{field.name} {getattr(self, field.name)}: give a number above 0")

    def to_dict(self) -> dict[str, Any]:
        """Return the limits by name, as `/v1/config` gives them."""
        return asdict(self)
