"""Frames on a stream socket: four bytes of length, the highest first, and so many bytes."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field

from cloud_keystore.border.encoding import Unreadable

LENGTH = 4
MOST_ASKED = 1 << 25  # bytes: a group of batches of the largest blocks
MOST_ANSWERED = 1 << 28  # a list of all cards of a large keystore
CHUNK = 1 << 16  # of most frames all


def framed(frame: bytes) -> bytes:
    """A frame as it is sent."""
    return len(frame).to_bytes(LENGTH) + frame


def send(connection: socket.socket, frame: bytes) -> None:
    """Send a frame; raises OSError."""
    connection.sendall(framed(frame))


@dataclass(slots=True)
class Incoming:
    """The frames that come over a stream, in whatever parts."""

    most: int  # bytes of a frame
    _kept: bytearray = field(default_factory=bytearray)

    @property
    def is_empty(self) -> bool:
        """Whether nothing has come but whole frames that were taken."""
        return not self._kept

    def feed(self, part: bytes) -> None:
        """Take what has come."""
        self._kept += part

    def next(self) -> bytes | None:
        """The next frame; None if it has not come as a whole. Raises Unreadable for one that is too
        large, as soon as its length has come.
        """
        if len(self._kept) < LENGTH:
            return None
        length = int.from_bytes(self._kept[:LENGTH])
        if length > self.most:
            raise Unreadable(f"a frame of {length} bytes is too large")
        end = LENGTH + length
        if len(self._kept) < end:
            return None
        with memoryview(self._kept) as kept:
            frame = bytes(kept[LENGTH:end])
        del self._kept[:end]
        return frame

    def receive(self, connection: socket.socket) -> bytes | None:
        """The next frame that comes over a socket, which these are the frames of; None if the other
        side has closed. Raises OSError, Unreadable.
        """
        while (frame := self.next()) is None:
            part = connection.recv(CHUNK)
            if not part:
                return None
            self.feed(part)
        return frame
