"""Counters and timings, in a registry of our own.

`Stages` records where the seconds of one picture went; `Metrics` sums them up for
Prometheus. Knows nothing of what the stages do.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

STAGE_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Stages:
    """Seconds by stage of one picture, in the order in which the stages began."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time spent inside to `name`, also when it raises."""
        self._seconds.setdefault(name, 0.0)
        began = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[name] += time.perf_counter() - began

    @property
    def seconds(self) -> dict[str, float]:
        """A copy of what was measured so far."""
        return dict(self._seconds)


class Metrics:
    """What `/metrics` shows; one for each application, so that tests never share one."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)  # memory and CPU, on systems that have /proc
        self.images = Counter(
            "gpen_images", "Pictures by outcome: done or an error code", ["outcome"], registry=self.registry
        )
        self.faces = Counter("gpen_faces", "Faces restored", registry=self.registry)
        self.stage_seconds = Histogram(
            "gpen_stage_seconds", "Seconds by stage", ["stage"], buckets=STAGE_BUCKETS, registry=self.registry
        )
        self.in_flight = Gauge("gpen_requests_in_flight", "Pictures being worked on", registry=self.registry)
        self.listeners = Gauge("gpen_event_listeners", "Open sockets of /v1/events", registry=self.registry)
        self.queue = Gauge("gpen_queue_items", "Items of jobs by state", ["state"], registry=self.registry)
        self.client_queue = Gauge(
            "gpen_client_queue_items",
            "Items of one client's jobs by state",
            ["client_id", "state"],
            registry=self.registry,
        )
        self.workers = Gauge(
            "gpen_workers", "A studio's workers by health", ["health"], registry=self.registry
        )
        self.resident = Gauge(
            "gpen_resident_networks", "Networks that are loaded now", registry=self.registry
        )
        self.free_bytes = Gauge(
            "gpen_disk_free_bytes", "Free space on the disk of the output folder", registry=self.registry
        )
        self.output_bytes = Gauge(
            "gpen_output_bytes", "What the results in the output folder take", registry=self.registry
        )

    def observe(self, seconds_by_stage: dict[str, float], *, faces: int, outcome: str) -> None:
        """Record one picture."""
        self.images.labels(outcome).inc()
        self.faces.inc(faces)
        for stage, seconds in seconds_by_stage.items():
            self.stage_seconds.labels(stage).observe(seconds)

    def exposition(self) -> bytes:
        """The registry in Prometheus text format, UTF-8."""
        return generate_latest(self.registry)
