"""Frames on a stream socket: four bytes of length, the highest first, and so many bytes."""

from __future__ import annotations

import socket

from cloud_keystore.border.encoding import Unreadable

LENGTH = 4
MOST_ASKED = 1 << 25  # bytes: a group of batches of the largest blocks
MOST_ANSWERED = 1 << 28  # a list of all cards of a large keystore
CHUNK = 1 << 20


def send(connection: socket.socket, frame: bytes) -> None:
    """Send a frame; raises OSError."""
    connection.sendall(len(frame).to_bytes(LENGTH) + frame)


def receive(connection: socket.socket, most: int) -> bytes | None:
    """The next frame, of so many bytes at most; None if the other side has closed. Raises OSError,
    Unreadable.
    """
    head = _exactly(connection, LENGTH)
    if head is None:
        return None
    length = int.from_bytes(head)
    if length > most:
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
