"""Metrics and health over plain HTTP, for a network that only monitoring machines can reach."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeAlias

import structlog

from cloud_keystore.config import Address
from cloud_keystore.model.errors import KeystoreError

log = structlog.get_logger()

Page: TypeAlias = Callable[[], tuple[HTTPStatus, bytes]]

SECONDS = 5.0  # for a caller to send its request
MOST_CONNECTIONS = 16


class CannotProbe(KeystoreError):
    """The port of metrics and health cannot be opened; the message names it."""


@dataclass
class Probe:
    """Serves pages by path on a thread of its own."""

    address: Address
    pages: Mapping[str, Page]
    _server: ThreadingHTTPServer | None = field(default=None, init=False)

    def start(self) -> None:
        """Open the port and serve; raises CannotProbe if the port cannot be opened."""
        try:
            self._server = _Server((self.address.host, self.address.port), _handler(self.pages))
        except OSError as error:
            raise CannotProbe(f"cannot listen on {self.address} ({error.strerror})") from None
        threading.Thread(target=self._server.serve_forever, name="probe", daemon=True).start()

    @property
    def port(self) -> int:
        """The port that was opened."""
        return 0 if self._server is None else int(self._server.server_address[1])

    def stop(self) -> None:
        """Close the port."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, handler)
        self._places = threading.BoundedSemaphore(MOST_CONNECTIONS)

    def handle_error(self, _request: object, _client_address: object) -> None:
        """Log that a caller hung up before it had its answer, which is its own affair."""
        error = sys.exception()
        if isinstance(error, OSError):
            log.debug("a probe hung up", error=type(error).__name__)
        else:
            log.error("a page failed", exc_info=error)

    def process_request(self, request: object, client_address: object) -> None:
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)  # type: ignore[arg-type]
            return
        super().process_request(request, client_address)  # type: ignore[arg-type]

    def process_request_thread(self, request: object, client_address: object) -> None:
        try:
            super().process_request_thread(request, client_address)  # type: ignore[arg-type]
        finally:
            self._places.release()


def _handler(pages: Mapping[str, Page]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = SECONDS
        server_version = "cloudcard"
        sys_version = ""

        def do_GET(self) -> None:
            page = pages.get(self.path)
            status, body = (HTTPStatus.NOT_FOUND, b"not here\n") if page is None else page()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing, because probes come every second."""

    return Handler
