"""Frames on a stream socket: four bytes of length, the highest first, and so many bytes."""

from __future__ import annotations

import socket

from cloud_keystore.border.encoding import Unreadable

LENGTH = 4
MOST_BYTES = 1 << 28  # a list of all cards of a large keystore
CHUNK = 1 << 20


def send(connection: socket.socket, frame: bytes) -> None:
    """Send a frame; raises OSError, and Unreadable if it is too large."""
    if len(frame) > MOST_BYTES:
        raise Unreadable(f"{len(frame)} bytes are too many for a frame")
    connection.sendall(len(frame).to_bytes(LENGTH) + frame)


def receive(connection: socket.socket) -> bytes | None:
    """The next frame; None if the other side has closed. Raises OSError, Unreadable."""
    head = _exactly(connection, LENGTH)
    if head is None:
        return None
    length = int.from_bytes(head)
    if length > MOST_BYTES:
        raise Unreadable(f"a frame of {length} bytes is too large")
    return _exactly(connection, length)


def _exactly(connection: socket.socket, count: int) -> bytes | None:
    """So many bytes, or None if they end before."""
    parts: list[bytes] = []
    while count:
        part = connection.recv(min(count, CHUNK))
        if not part:
            return None
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
