"""The sockets over which custody is asked: one for each kind of process."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, fields
from pathlib import Path

SECRET_BYTES = 32
SOCKETS = ("custody", "enrolment", "status", "mail", "rest", "outside", "web", "est", "cards")


@dataclass(frozen=True, slots=True)
class Socket:
    """Where custody is asked for one port. It is made before the processes, so that calls wait
    while custody starts again; a secret keeps the processes of other ports from it.
    """

    path: str  # in this process and those that it forks
    listening: socket.socket
    secret: bytearray = field(repr=False)

    def forget(self) -> None:
        """Give it up, in a process that is not to ask here."""
        self.secret[:] = bytes(len(self.secret))
        self.listening.close()


@dataclass(frozen=True, slots=True)
class Sockets:
    """Where custody is asked: one for each port."""

    main: Socket
    enrolment: Socket
    status: Socket
    mail: Socket
    rest: Socket
    outside: Socket
    web: Socket
    est: Socket
    cards: Socket

    def only(self, own: Socket) -> Socket:
        """Keep one, in a process that is to ask there alone, and give up the others."""
        for each in (getattr(self, place.name) for place in fields(self)):
            if each is not own:
                each.forget()
        own.listening.close()
        return own


@contextmanager
def listening(data: Path) -> Iterator[Sockets]:
    """The sockets of custody, in the data folder, in place of what a killed keystore has left;
    removed after the block.
    """
    # The names of sockets are short, and that of the folder can be long.
    folder = os.open(data, os.O_PATH | os.O_DIRECTORY)
    with ExitStack() as stack:
        stack.callback(os.close, folder)
        named = (f"/proc/self/fd/{folder}/{name}.sock" for name in SOCKETS)
        yield Sockets(*(stack.enter_context(_listening(each)) for each in named))


@contextmanager
def _listening(path: str) -> Iterator[Socket]:
    with suppress(FileNotFoundError):
        os.unlink(path)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)  # for this user alone, as all that is in the data folder
        listening.listen(socket.SOMAXCONN)
        try:
            yield Socket(path, listening, bytearray(os.urandom(SECRET_BYTES)))
        finally:
            with suppress(FileNotFoundError):
                os.unlink(path)
