"""What a server does is counted for Prometheus: requests, pictures that wait, batches, seconds of each step."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Several processes write what they count to the folder that this variable names."""
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
BATCHES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """These are counted; `step` is one of header, read, resize, wait, network, results, answer."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        own: dict[str, Any] = {"registry": self.registry, "namespace": "delineate"}
        self.requests = Counter("requests", "Requests that were answered.", ("route", "method", "status"), **own)
        self.seconds = Histogram("request_seconds", "Seconds of a request.", ("route",), buckets=SECONDS, **own)
        self.queue = Gauge(
            "queue_pictures", "Pictures that are in work or wait.", ("model",), multiprocess_mode="livesum", **own
        )
        self.batches = Histogram("batch_pictures", "Pictures of a batch.", ("model",), buckets=BATCHES, **own)
        self.steps = Histogram(
            "step_seconds", "Seconds of a step of a picture or a batch.", ("model", "step"), buckets=SECONDS, **own
        )
        self.dropped = Counter("dropped_pictures", "Pictures that nobody waited for any more.", ("model",), **own)
        self.reloads = Counter("reloads", "Runs that took the place of others.", ("model", "ended"), **own)

    @contextmanager
    def step(self, model: str, step: str) -> Iterator[None]:
        """Measure the seconds of a step that ends well."""
        began = time.perf_counter()
        yield
        self.steps.labels(model, step).observe(time.perf_counter() - began)

    def text(self) -> bytes:
        """Write all in Prometheus' text format, that of all processes where there are several."""
        registry = self.registry
        if FOLDER in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)
