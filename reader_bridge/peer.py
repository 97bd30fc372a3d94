"""Who is at the other end of a connection to a reader: pcscd, or a program of another user.

Any user can listen at vpcd's port while pcscd does not run, and would be given the card, with uses
of its keys. On Linux the kernel tells whose socket the other end is. Other systems do not tell it
without further rights; there nothing is checked.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

# Connections over IPv4 (proc(5)). vpcd has no IPv6, so what listens there is not vpcd.
TABLE = Path("/proc/net/tcp")
LOCAL, REMOTE, OWNER, INODE = 1, 2, 7, 9  # columns of the table
ROOT = 0
PCSCD = "pcscd"  # the user as whom some systems run pcscd
NO_INODE = "0"  # of a socket that its program has not accepted yet, or has closed
_CREDENTIALS = struct.Struct("iII")  # struct ucred: process, user, group (unix(7))


def is_reader(sock: socket.socket, table: Path = TABLE) -> bool:
    """Whether the other end belongs to root, to pcscd's user or to this process's user.

    It has to have sent something: before that, the kernel does not know who takes the connection.
    True on systems other than Linux. Raises OSError if the other end has closed the connection, or
    if the table cannot be read.
    """
    if sys.platform != "linux":
        return True
    return _owner(sock, table.read_text("ascii")) in _trusted()


def is_reader_process(sock: socket.socket, besides: Iterable[str] = ()) -> bool:
    """Whether who listens at a Unix socket is root, pcscd's user, this process's user or another.

    `besides` are the names of the others.

    Raises OSError if the socket is not connected.
    """
    _process, user = listener(sock)
    return user in _trusted() or user in _users(besides)


def listener(sock: socket.socket) -> tuple[int, int]:
    """The process that listens at a Unix socket, and its user. Raises OSError if the socket is not
    connected.
    """
    peer = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    process, user, _group = _CREDENTIALS.unpack(peer)
    return process, user


def _owner(sock: socket.socket, table: str) -> int:
    """The user who owns the other end of a connection on this computer."""
    ends = [_place(sock.getpeername()), _place(sock.getsockname())]
    for line in table.splitlines():
        columns = line.split()
        if columns[LOCAL : REMOTE + 1] == ends and columns[INODE] != NO_INODE:
            return int(columns[OWNER])
    raise ConnectionResetError("the program at the port has closed the connection")


def _place(address: tuple[str, int]) -> str:
    """An address as the table has it: a number in the processor's order, and the port."""
    host, port = address
    return f"{int.from_bytes(socket.inet_aton(host), sys.byteorder):08X}:{port:04X}"


def _trusted() -> set[int]:
    return {*owners(), os.geteuid()}


def owners() -> set[int]:
    """The users as whom pcscd runs: root, and on some systems its own."""
    return {ROOT, *_users([PCSCD])}


def _users(names: Iterable[str]) -> set[int]:
    """The users of these names that this computer has."""
    users = set()
    if sys.platform == "linux":
        import pwd  # not on Windows

        for name in names:
            with suppress(KeyError):
                users.add(pwd.getpwnam(name).pw_uid)
    return users
