"""A wire between a program and a server, which can be cut: then it carries nothing more, and nobody
is told.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27  # asm-generic/socket.h
DROP_ALL = struct.pack("=HBBI", 0x06, 0, 0, 0)  # BPF_RET | BPF_K: take no byte (linux/filter.h)


@dataclass
class Wire:
    """Carries what is sent to its port to a server on this computer, and back."""

    server: int  # port
    _listening: socket.socket = field(
        default_factory=lambda: socket.create_server(("127.0.0.1", 0))
    )
    _sockets: list[socket.socket] = field(default_factory=list)

    @property
    def port(self) -> int:
        number: int = self._listening.getsockname()[1]
        return number

    def cut(self) -> None:
        """Lose all packets from now on. The kernel drops them before TCP sees them, so that neither
        end gets an acknowledgement, a reset, or an answer to a probe.
        """
        program = ctypes.create_string_buffer(DROP_ALL, len(DROP_ALL))
        # struct sock_fprog: the number of instructions, and where they are
        drop = struct.pack("HL", 1, ctypes.addressof(program))
        for each in (self._listening, *self._sockets):
            with suppress(OSError):  # closed already
                each.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, drop)

    def mend(self) -> None:
        """Carry again what is sent from now on, or sent again."""
        for each in (self._listening, *self._sockets):
            with suppress(OSError):
                each.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)

    def close(self) -> None:
        for each in (self._listening, *self._sockets):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def serve(self) -> None:
        """Take connections until it is closed."""
        while True:
            try:
                near, _ = self._listening.accept()
                far = socket.create_connection(("127.0.0.1", self.server))
            except OSError:
                return
            self._sockets += near, far
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=_carry, args=(source, target), daemon=True).start()


@contextmanager
def wire(server: int) -> Iterator[Wire]:
    """A wire to a port, closed with the block."""
    made = Wire(server)
    threading.Thread(target=made.serve, daemon=True).start()
    try:
        yield made
    finally:
        made.close()


def _carry(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while chunk := source.recv(1 << 16):
            target.sendall(chunk)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
