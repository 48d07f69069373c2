"""What Prometheus asks for; a registry of our own, so that the application can be mounted and built twice."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

#: Upper ends of the histograms' bins, in seconds.
_BINS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class ServerMetrics:
    """Counters of one application: requests, pictures, frames, and what was refused."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            "mien_requests", "Requests that were let in, as answered", ["route", "status"], registry=registry
        )
        self.seconds = Histogram(
            "mien_request_seconds", "From the request's head to its answer", ["route"], buckets=_BINS, registry=registry
        )
        self.refused = Counter(
            "mien_refused", "Requests and streams answered by a problem", ["code"], registry=registry
        )
        self.pictures = Counter("mien_pictures", "Pictures in requests that were read", registry=registry)
        self.frames = Counter("mien_frames", "Frames of streams", ["what"], registry=registry)
        self.streams = Gauge("mien_streams", "Streams open now", registry=registry)

    def watch(self, name: str, what: str, value: Callable[[], float]) -> None:
        """Add a figure that is asked for when it is read."""
        Gauge(name, what, registry=self.registry).set_function(value)

    def text(self) -> bytes:
        """Return all of them in Prometheus's text format."""
        return generate_latest(self.registry)
