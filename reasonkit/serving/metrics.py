"""What a server counts, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Metrics:
    """The counts of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = self._counter("requests", "Requests, by path and status.", "path", "status")
        self.gone = self._counter("clients_gone", "Requests whose client left before the answer.")
        self.tokens = self._counter("tokens", "Tokens, of prompts and of completions.", "kind")
        self.samples = self._counter("samples", "Completions, by strategy.", "strategy")
        self.seconds = Histogram(
            "reasonkit_answer_seconds",
            "From a request's arrival to the end of its answer.",
            ["strategy"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.running = self._gauge("requests_running", "Requests that are answered now.")
        self.waiting = self._gauge("requests_waiting", "Requests that wait for a place.")

    def text(self) -> bytes:
        """All of them, in Prometheus' format."""
        return generate_latest(self.registry)

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(f"reasonkit_{name}", about, labels, registry=self.registry)

    def _gauge(self, name: str, about: str) -> Gauge:
        return Gauge(f"reasonkit_{name}", about, registry=self.registry)
