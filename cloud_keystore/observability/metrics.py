"""The metrics of one process, in the names and units of Prometheus.

Values of labels come from short lists in the code; they are never an identity, a serial number or a
caller's text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


@dataclass(frozen=True, slots=True)
class Gauges:
    """What only custody can measure; None, or without an item, where that failed."""

    waiting: int | None  # operations that wait for a holder
    identities_ending: Mapping[str, float]  # by role
    authority_seconds: Mapping[str, float]  # by authority
    list_seconds: Mapping[str, float]  # by authority
    external_list_seconds: Mapping[str, float]  # by external authority
    budgets_full: Mapping[str, float]  # by role
    notifications: Mapping[str, float]  # by what became of them
    disk_has_room: bool
    keys_usable: bool
    spare_keys: Mapping[str, float]  # by algorithm


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
        self.uses = Counter(
            "cloudcard_uses", "Uses of sessions over streams, by status", ("code",), registry=at
        )
        self.use_seconds = Histogram(
            "cloudcard_use_seconds", "Duration of uses over streams", buckets=SECONDS, registry=at
        )
        self.streams = Gauge("cloudcard_rpc_streams", "Streams now", registry=at)
        self.watched = Gauge(
            "cloudcard_operations_watched", "Operations that are watched over streams", registry=at
        )
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
            "Identities that end within 60 days and were not renewed, of the first 1000 to end",
            ("role",),
            registry=at,
        )
        self.authority_seconds = Gauge(
            "cloudcard_authority_seconds",
            "Time until the newest authority of its kind ends",
            ("authority",),
            registry=at,
        )
        self.list_seconds = Gauge(
            "cloudcard_revocation_list_seconds",
            "Time until the newest revocation list of an authority ends",
            ("authority",),
            registry=at,
        )
        self.external_list_seconds = Gauge(
            "cloudcard_external_list_seconds",
            "Time until the revocation list of an external authority ends",
            ("authority",),
            registry=at,
        )

        self.budgets_full = Gauge(
            "cloudcard_journal_budgets_full",
            "Identities that have nearly used up their share of the journal",
            ("role",),
            registry=at,
        )
        self.notifications = Gauge(
            "cloudcard_notifications",
            "E-mails to people that are tried again, and that have failed",
            ("state",),
            registry=at,
        )
        self.spare_keys = Gauge(
            "cloudcard_spare_keys", "Keys made in advance", ("algorithm",), registry=at
        )
        self.disk_has_room = Gauge(
            "cloudcard_disk_has_room", "1 while the disk of SQLite has room", registry=at
        )
        self.keys_usable = Gauge(
            "cloudcard_keys_usable",
            "1 while a key that belongs to no card can be made and used",
            registry=at,
        )

    def take(self, gauges: Gauges) -> None:
        """Take what custody has measured; what could not be measured stays as it was."""
        if gauges.waiting is not None:
            self.waiting.set(gauges.waiting)
        for role, count in gauges.identities_ending.items():
            self.identities_ending.labels(role).set(count)
        for authority, seconds in gauges.authority_seconds.items():
            self.authority_seconds.labels(authority).set(seconds)
        for authority, seconds in gauges.list_seconds.items():
            self.list_seconds.labels(authority).set(seconds)
        for authority, seconds in gauges.external_list_seconds.items():
            self.external_list_seconds.labels(authority).set(seconds)
        for role, count in gauges.budgets_full.items():
            self.budgets_full.labels(role).set(count)
        for state, count in gauges.notifications.items():
            self.notifications.labels(state).set(count)
        self.disk_has_room.set(gauges.disk_has_room)
        self.keys_usable.set(gauges.keys_usable)
        for algorithm, keys in gauges.spare_keys.items():
            self.spare_keys.labels(algorithm).set(keys)

    def limited(self, limit: str) -> None:
        """Count a call that a limit has refused."""
        self.limits.labels(limit).inc()

    def text(self) -> bytes:
        """All values in the text format of Prometheus."""
        return generate_latest(self.registry)
