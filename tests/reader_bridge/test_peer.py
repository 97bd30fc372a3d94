"""Whose program gets the card: a listener of another user at vpcd's port."""

from __future__ import annotations

import os
import queue
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from reader_bridge import peer
from reader_bridge.carriers import vpcd_port
from reader_bridge.carriers.carrier import SlotState
from reader_bridge.carriers.vpcd_port import VpcdPort
from reader_bridge.slot import Slot
from reader_bridge.vpcd import encode
from support.fakes import CannedKeys, new_card
from support.strangers import forked
from support.vpcd_end import GET_ATR, SECONDS, VERIFY, Ready

if sys.platform != "linux":
    pytest.skip("other systems do not tell whose a socket is", allow_module_level=True)

HEAD = (
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt uid timeout inode"
)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.settimeout(SECONDS)
        yield sock


@contextmanager
def in_slot(listener: socket.socket) -> Iterator[queue.Queue[SlotState]]:
    """A card that wants into the slot at the listener's port; what is said of it."""
    said: queue.Queue[SlotState] = queue.Queue()
    carrier = VpcdPort(listener.getsockname()[1])
    slot = Slot(carrier, new_card().card, Ready(CannedKeys()), said.put)
    slot.start()
    try:
        yield said
    finally:
        slot.stop()


@contextmanager
def accepted(listener: socket.socket) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection: ours, and that of whoever listens."""
    with socket.create_connection(listener.getsockname()) as ours:
        theirs, _ = listener.accept()
        with theirs:
            yield ours, theirs


@contextmanager
def another_users(listener: socket.socket, talk: Callable[[socket.socket], bytes]) -> Iterator[int]:
    """A program of another user that takes one connection; the pipe of what it learnt.

    Only root can be somebody else: another user's program takes the connection as itself, and the
    reader is told that it runs as nobody.
    """

    def take() -> str:
        taken, _ = listener.accept()
        taken.settimeout(SECONDS)
        return f"<{talk(taken).hex()}>"

    with forked(take) as reading:
        yield reading


def ask_for_the_card(taken: socket.socket) -> bytes:
    """What pcscd asks first, and then what only a card answers."""
    taken.sendall(encode(GET_ATR) + encode(VERIFY))
    with suppress(ConnectionResetError):
        return taken.recv(1024)
    return b""


@pytest.fixture
def foreign(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> socket.socket:
    """The port, whose listener is not of a user whom the reader trusts, and slow perhaps."""
    monkeypatch.setattr(vpcd_port, "SILENCE_SECONDS", SECONDS)
    if os.geteuid() != 0:
        monkeypatch.setattr(peer, "_trusted", lambda: {peer.ROOT})
        for name in ("setgroups", "setgid", "setuid"):
            monkeypatch.setattr(os, name, lambda _whom: None)
    return listener


def test_another_users_program_at_the_port_gets_no_card(foreign: socket.socket) -> None:
    """A local user listened at vpcd's port while pcscd did not run: it was given the ATR, and the
    answer to each command that it sent.
    """
    with another_users(foreign, ask_for_the_card) as learnt, in_slot(foreign) as said:
        assert said.get(timeout=SECONDS) is SlotState.STRANGER
        assert os.read(learnt, 1024) == b"<>\0"  # the connection ended without a word


def test_who_hides_behind_a_closed_connection_gets_no_card(listener: socket.socket) -> None:
    """A connection that its program has closed belongs to nobody; the kernel calls that root."""
    with accepted(listener) as (ours, theirs):
        theirs.sendall(encode(GET_ATR))
        theirs.close()
        with pytest.raises(ConnectionResetError):
            peer.is_reader(ours)


def test_the_program_of_this_user_is_pcscd(listener: socket.socket) -> None:
    with accepted(listener) as (ours, _):
        assert peer.is_reader(ours)


def test_a_connection_that_nobody_has_taken_yet_is_nobodys(listener: socket.socket) -> None:
    with (
        socket.create_connection(listener.getsockname()) as ours,
        pytest.raises(ConnectionResetError),
    ):
        peer.is_reader(ours)


@pytest.mark.parametrize("who", ["root", "pcscd", "this user"])
def test_users_who_may_have_the_card(
    who: str, listener: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pcscds = 4321
    monkeypatch.setattr(
        "pwd.getpwnam", lambda _name: type("Entry", (), {"pw_uid": pcscds}), raising=True
    )
    owner = {"root": 0, "pcscd": pcscds, "this user": os.geteuid()}[who]
    with accepted(listener) as (ours, theirs):
        assert peer.is_reader(ours, table(tmp_path, theirs, ours, owner))
        assert not peer.is_reader(ours, table(tmp_path, theirs, ours, pcscds + 1))


def test_a_table_that_cannot_be_read_trusts_nobody(listener: socket.socket, tmp_path: Path) -> None:
    with accepted(listener) as (ours, _), pytest.raises(OSError, match="no table"):
        peer.is_reader(ours, tmp_path / "no table")


def table(folder: Path, theirs: socket.socket, ours: socket.socket, owner: int) -> Path:
    """The kernel's table with one connection, whose far end has this owner."""

    def place(sock: socket.socket) -> str:
        port: int = sock.getsockname()[1]
        return f"{int.from_bytes(bytes([127, 0, 0, 1]), sys.byteorder):08X}:{port:04X}"

    row = (
        f"   0: {place(theirs)} {place(ours)} 01 00000000:00000000 00:00000000 00000000 "
        f"{owner:5}        0 4711 1 0000000000000000 20 4 30 10 -1"
    )
    path = folder / "tcp"
    path.write_text(f"{HEAD}\n{row}\n")
    return path
