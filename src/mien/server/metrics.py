"""Count and time requests for Prometheus. Each application has its own registry, so several fit in one process."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

#: Upper edges of the histogram bins, in seconds.
_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class ServerMetrics:
    """Prometheus metrics of one application."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            "mien_requests", "Requests that passed the security checks", ["route", "status"], registry=registry
        )
        self.seconds = Histogram(
            "mien_request_seconds", "Time from request head to answer", ["route"], buckets=_BUCKETS, registry=registry
        )
        self.refused = Counter(
            "mien_refused", "Requests and streams answered with a problem document", ["code"], registry=registry
        )
        self.images = Counter("mien_images", "Images in answered requests", registry=registry)
        self.frames = Counter("mien_frames", "Frames of streams: answered or dropped", ["outcome"], registry=registry)
        self.streams = Gauge("mien_streams", "Open streams", registry=registry)

    def add_gauge(self, name: str, description: str, value: Callable[[], float]) -> None:
        """Add a gauge whose value is computed when Prometheus reads it."""
        Gauge(name, description, registry=self.registry).set_function(value)

    def render(self) -> bytes:
        """Return all metrics in Prometheus's text format."""
        return generate_latest(self.registry)
