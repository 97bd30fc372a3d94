"""Bounds the connections that anybody can hold open, from when they are accepted: whoever is silent
in the handshake of TLS holds one too.
"""

from __future__ import annotations

import asyncio
import ssl
from asyncio.sslproto import SSLProtocol
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

HANDSHAKE_SECONDS = 5
# What asyncio holds for each connection with TLS, whether something comes or not. It is 256 KiB
# otherwise, and a record has 16 KiB at most.
TLS_BYTES = 16 * 1024
MOST_CONNECTIONS = 500
MOST_OF_PLACE = 100  # connections of one place


@dataclass(slots=True)
class Places:
    """Counts connections, by where they come from."""

    place_of: Callable[[str], Hashable]
    most: int = MOST_CONNECTIONS
    most_of_place: int = MOST_OF_PLACE
    _held: Counter[Hashable] = field(default_factory=Counter)

    def take(self, host: str) -> Hashable | None:
        """Take a place for a connection; None if there is none."""
        place = self.place_of(host)
        if self._held.total() >= self.most or self._held[place] >= self.most_of_place:
            return None
        self._held[place] += 1
        return place

    def give_back(self, place: Hashable) -> None:
        """Give a place back."""
        self._held[place] -= 1
        if not self._held[place]:
            del self._held[place]


class Held(asyncio.BaseProtocol):
    """What is next to the socket: it has a place until the connection is lost, or ends at once."""

    places: Places
    _place: Hashable | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._place = self.places.take(transport.get_extra_info("peername")[0])
        if self._place is None:
            transport.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._place is not None:
            self.places.give_back(self._place)
        super().connection_lost(exc)  # type: ignore[arg-type]


class HeldTls(Held, SSLProtocol):
    """TLS of a server, which has its place before the handshake begins."""

    max_size = TLS_BYTES


def in_tls(
    inner: asyncio.Protocol, context: ssl.SSLContext, seconds: int, places: Places
) -> asyncio.BaseProtocol:
    """A protocol that hears `inner` in TLS, after a handshake of at most so many seconds."""
    made = HeldTls(
        asyncio.get_running_loop(),
        inner,
        context,
        None,  # type: ignore[arg-type]  # nobody waits for the handshake
        server_side=True,
        ssl_handshake_timeout=seconds,
    )
    made.places = places
    return made
