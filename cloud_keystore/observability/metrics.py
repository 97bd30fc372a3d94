"""The metrics of one process, in the names and units of Prometheus.

Values of labels come from short lists in the code; they are never an identity, a serial number or a
caller's text.
"""

from __future__ import annotations

from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """Metrics in a registry of their own, so that two services in a process do not share counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        at = self.registry
        Info("cloudcard_build", "Version of the keystore", registry=at).info(
            {"version": version("cloudcard")}
        )
        self.calls = Counter(
            "cloudcard_rpc_calls", "Calls by method and status", ("method", "code"), registry=at
        )
        self.call_seconds = Histogram(
            "cloudcard_rpc_seconds",
            "Duration of unary calls",
            ("method",),
            buckets=SECONDS,
            registry=at,
        )
        self.calls_under_way = Gauge(
            "cloudcard_rpc_under_way", "Calls and streams now", registry=at
        )
        self.streams = Gauge("cloudcard_rpc_streams", "Streams now", registry=at)
        self.refusals = Counter(
            "cloudcard_refusals", "Refusals by reason", ("reason",), registry=at
        )
        self.limits = Counter(
            "cloudcard_limits_hit", "Calls refused by a limit", ("limit",), registry=at
        )
        self.waiting = Gauge(
            "cloudcard_operations_waiting", "Operations that wait for a holder", registry=at
        )

        self.identities_ending = Gauge(
            "cloudcard_identities_ending",
            "Identities that end within 60 days and were not renewed",
            ("role",),
            registry=at,
        )
        self.authority_seconds = Gauge(
            "cloudcard_authority_seconds",
            "Time until the newest authority of its kind ends",
            ("authority",),
            registry=at,
        )

        self.budgets_full = Gauge(
            "cloudcard_journal_budgets_full",
            "Identities that have nearly used up their share of the journal",
            ("role",),
            registry=at,
        )
        self.disk_has_room = Gauge(
            "cloudcard_disk_has_room", "1 while the disk of SQLite has room", registry=at
        )

    def limited(self, limit: str) -> None:
        """Count a call that a limit has refused."""
        self.limits.labels(limit).inc()

    def text(self) -> bytes:
        """All values in the text format of Prometheus."""
        return generate_latest(self.registry)
