"""Hears HTTP, and bounds what anybody can hold open; uvicorn does the protocol."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from http import HTTPStatus

import h11
from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from cloud_keystore.config import Address
from cloud_keystore.http.places import HANDSHAKE_SECONDS, Held, Places, in_tls
from cloud_keystore.http.problems import MEDIA_TYPE, of_status

LARGEST_HEAD = 16 * 1024
HEAD_SECONDS = 10.0  # within which a connection has to bring the head of a request
IDLE_SECONDS = 30  # between two requests of a connection
GRACE_SECONDS = 5.0  # for requests under way when the port is closed
PROBLEM_FIELDS = [
    (b"content-type", MEDIA_TYPE.encode()),
    (b"cache-control", b"no-store"),
    (b"connection", b"close"),
]


class Connection(H11Protocol):
    """A connection that ends if it is silent instead of asking."""

    _overdue: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._overdue = self.loop.call_later(HEAD_SECONDS, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._heard()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        super().handle_events()
        state = self.conn.their_state
        if state is not h11.IDLE:
            self._heard()
        elif self._overdue is None and self.conn.trailing_data[0]:
            # The head of another request has begun.
            self._overdue = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def send_400_response(self, msg: str) -> None:
        """Tell that this is no HTTP."""
        body = of_status(HTTPStatus.BAD_REQUEST, msg).body()
        try:
            sent = self.conn.send(
                h11.Response(status_code=400, headers=PROBLEM_FIELDS, reason=b"Bad Request")
            )
            sent = (sent or b"") + (self.conn.send(h11.Data(data=body)) or b"")
            self.transport.write(sent + (self.conn.send(h11.EndOfMessage()) or b""))
        except h11.LocalProtocolError:  # an answer has begun already
            pass
        self.transport.close()

    def _heard(self) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None


class PlainConnection(Held, Connection):
    """A connection without TLS."""


@dataclass(slots=True)
class Listener:
    """Serves one port of the event loop; `kind` is what its connections with TLS are."""

    address: Address
    application: ASGIApp
    tls: ssl.SSLContext | None
    places: Places
    kind: type[Connection] = Connection
    handshake_seconds: int = HANDSHAKE_SECONDS
    _server: asyncio.Server | None = field(default=None, init=False)
    _state: ServerState = field(default_factory=ServerState, init=False)

    async def start(self) -> None:
        """Open the port; raises OSError if that is not possible."""
        config = Config(
            self.application,
            loop="none",
            http=Connection,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            log_level="critical",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=IDLE_SECONDS,
            h11_max_incomplete_event_size=LARGEST_HEAD,
        )
        config.load()

        def made() -> asyncio.BaseProtocol:
            if self.tls is not None:
                inner = self.kind(config, self._state, {})
                return in_tls(inner, self.tls, self.handshake_seconds, self.places)
            connection = PlainConnection(config, self._state, {})
            connection.places = self.places
            return connection

        self._server = await asyncio.get_running_loop().create_server(
            made, self.address.host, self.address.port
        )

    @property
    def port(self) -> int:
        """The port that was opened."""
        return 0 if self._server is None else int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Close the port, once the requests under way are answered."""
        if self._server is not None:
            self._server.close()
        for each in list(self._state.connections):
            each.shutdown()
        if self._state.tasks:
            await asyncio.wait(list(self._state.tasks), timeout=GRACE_SECONDS)
