"""Holds the ports of a keystore for all its processes."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from cloud_keystore.config import Address
from cloud_keystore.run.ports import CannotListen, wait_until_free


@contextmanager
def holding(addresses: Sequence[Address]) -> Iterator[None]:
    """Hold ports for this program's workers during the block. Raises CannotListen if one is taken.

    Workers share a port (SO_REUSEPORT), and any process of the same user could share it too.
    Therefore this first checks that nobody listens. Its own sockets are bound and never listen,
    which makes the same check fail in other processes.
    """
    with ExitStack() as sockets:
        for address in addresses:
            wait_until_free(address)
            for family, host in _resolve(address):
                sockets.enter_context(_bound(family, host, address))
        yield


def _resolve(address: Address) -> set[tuple[socket.AddressFamily, str]]:
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise CannotListen(f"cannot listen on {address}: {error.strerror}") from None
    return {(family, str(place[0])) for family, _, _, _, place in found}


def _bound(family: socket.AddressFamily, host: str, address: Address) -> socket.socket:
    """A bound socket that shares its port and does not listen."""
    bound = socket.socket(family)
    try:
        # A process that has just ended must not block the port.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with socket.socket(family) as asking:
            asking.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            asking.bind((host, address.port))
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind((host, address.port))
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            # A name can have several addresses. If this is the only one, the workers report it.
            return bound
        bound.close()
        raise CannotListen(
            f"cannot listen on {address}: is another keystore running there?"
        ) from None
    return bound
