"""Health and metrics of this process, as pages for monitoring machines."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

import structlog

from cloud_keystore.model.errors import KeystoreError
from cloud_keystore.observability.metrics import Metrics
from cloud_keystore.plain.probe import Page
from cloud_keystore.run.looks import Looks

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Pages:
    """The pages of one process."""

    looks: Looks | None  # None: the process asks nothing of the database itself
    metrics: Metrics
    serving: threading.Event = field(default_factory=threading.Event)  # set while calls are served

    def by_path(self) -> Mapping[str, Page]:
        """The pages by path, for a probe to serve."""
        return {
            "/metrics": self._metrics,
            "/health/live": lambda: (HTTPStatus.OK, b"live\n"),
            "/health/ready": self._readiness,
        }

    def is_ready(self) -> bool:
        """Whether calls can be served now; can block."""
        try:
            return self.looks is None or self.looks.answers()
        except KeystoreError as error:
            log.warning("not ready", error=type(error).__name__)
            return False

    def _readiness(self) -> tuple[HTTPStatus, bytes]:
        if not self.serving.is_set():
            return HTTPStatus.SERVICE_UNAVAILABLE, b"starting or stopping\n"
        if not self.is_ready():
            return HTTPStatus.SERVICE_UNAVAILABLE, b"the database is away or takes no changes\n"
        return HTTPStatus.OK, "".join(f"{each}\n" for each in ("ready", *self._concerns())).encode()

    def _concerns(self) -> tuple[str, ...]:
        """What is told besides: for that, nobody is sent to another process."""
        try:
            return () if self.looks is None else self.looks.concerns()
        except KeystoreError as error:
            log.warning("concerns were not looked up", error=type(error).__name__)
            return ()

    def _metrics(self) -> tuple[HTTPStatus, bytes]:
        try:
            if self.looks is not None:
                self.metrics.take(self.looks.gauges())
        # The other metrics are still useful.
        except KeystoreError as error:
            log.warning("metrics were not looked up", error=type(error).__name__)
        return HTTPStatus.OK, self.metrics.text()
