"""Health and metrics of this process, as pages for monitoring machines."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

import structlog
from sqlalchemy import select

from cloud_keystore.observability.metrics import Metrics
from cloud_keystore.storage import operations
from cloud_keystore.storage.engine import Database
from cloud_keystore.web.probe import Page

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Pages:
    """The pages of one process."""

    database: Database
    metrics: Metrics
    measures: Collection[Callable[[Metrics], object]] = ()  # what to look up for the metrics
    serving: threading.Event = field(default_factory=threading.Event)  # set while calls are served

    def by_path(self) -> Mapping[str, Page]:
        """The pages by path, for a probe to serve."""
        return {
            "/metrics": self._metrics,
            "/health/live": lambda: (HTTPStatus.OK, b"live\n"),
            "/health/ready": self._readiness,
        }

    def database_answers(self) -> bool:
        """Whether the database answers now and takes changes; can block."""
        if not self.database.is_writable:
            log.warning("not ready", error="the database's file or folder cannot be written")
            return False
        if not self.database.has_room:
            log.warning("not ready", error="the database's disk is nearly full")
            return False
        try:
            with self.database.read() as connection:
                connection.execute(select(1))
        except Exception as error:
            log.warning("not ready", error=type(error).__name__)
            return False
        return True

    def _readiness(self) -> tuple[HTTPStatus, bytes]:
        if not self.serving.is_set():
            return HTTPStatus.SERVICE_UNAVAILABLE, b"starting or stopping\n"
        if not self.database_answers():
            return HTTPStatus.SERVICE_UNAVAILABLE, b"the database is away or takes no changes\n"
        return HTTPStatus.OK, b"ready\n"

    def _metrics(self) -> tuple[HTTPStatus, bytes]:
        for measure in (self._count_waiting, *self.measures):
            try:
                measure(self.metrics)
            # The other metrics are still useful.
            except Exception as error:
                log.warning("a metric was not looked up", error=type(error).__name__)
        return HTTPStatus.OK, self.metrics.text()

    def _count_waiting(self, metrics: Metrics) -> None:
        with self.database.read() as connection:
            metrics.waiting.set(operations.count_waiting(connection))
