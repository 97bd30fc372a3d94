"""The connections of a process: how many one caller can have, and how long one may be silent.

gRPC hands no connection over before a call is complete, and tells of none. Therefore they are found
among the process's own descriptors, and one that has to go is shut down there, which gRPC takes for
a caller that has hung up. This needs Linux; elsewhere only gRPC's own limits hold.
"""

from __future__ import annotations

import ctypes
import os
import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from cloud_keystore.model.limits import Limits
from cloud_keystore.rpc.connections.addresses import Peer, network, packed, peer_of

Removed: TypeAlias = Callable[[Collection[bytes]], Iterable[bytes]]

DESCRIPTORS = "/proc/self/fd"
FIRST_CALL_SECONDS = 10.0  # within which a connection has to bring a call
GROWTH = 50  # further descriptors, after which connections are looked at sooner
MANY = 100  # connections that have ended, after which their memory is given back


@dataclass(slots=True)
class Connection:
    """A connection that a descriptor leads to."""

    link: str  # what the descriptor is, which no later connection is too
    port: int  # of ours
    peer: Peer
    since: float


@dataclass(frozen=True, slots=True)
class Caller:
    """Who called over a connection."""

    fingerprint: bytes
    peer: Peer | None  # None if it is no address
    since: float


@dataclass(slots=True)
class Connections:
    """Who has which connections. `heard` is called in the event loop, `tend` on one thread."""

    limits: Limits
    monotonic: Callable[[], float]
    ended: int = 0  # by us, since the start
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _callers: dict[str, Caller] = field(default_factory=dict)  # by gRPC's name of the address
    _open: dict[int, Connection] = field(default_factory=dict)  # by descriptor
    _others: dict[int, str] = field(default_factory=dict)  # descriptors that are none
    _cut: set[Peer | None] = field(default_factory=set)  # whose connections end at the next look
    _closed: int = 0
    _counted: int = 0  # descriptors at the last look

    def heard(self, peer: str, fingerprint: bytes) -> None:
        """Note that a call came over a connection, under a certificate."""
        known = self._callers.get(peer)
        if known is None or known.fingerprint != fingerprint:
            caller = Caller(fingerprint, peer_of(peer), self.monotonic())
            with self._lock:
                self._callers[peer] = caller

    def cut_off(self, peer: str) -> None:
        """End a connection when they are tended next. gRPC itself ends no call whose caller takes
        nothing.
        """
        with self._lock:
            self._cut.add(peer_of(peer))

    def caller(self, peer: str) -> bytes | None:
        """The certificate under which calls came over a connection; None before the first."""
        known = self._callers.get(peer)
        return None if known is None else known.fingerprint

    def have_grown(self) -> bool:
        """Whether many connections have been made since they were tended."""
        return os.path.isdir(DESCRIPTORS) and _count() - self._counted >= GROWTH

    def tend(self, main: int, others: Collection[int], removed: Removed) -> int:
        """End connections beyond the limits, those at the `main` port that have brought no call for
        too long, those that are cut off, and those of the identities that `removed` picks out;
        return how many. `others` are the further ports that are looked after.
        """
        if not os.path.isdir(DESCRIPTORS):
            return 0
        self._look({main, *others})
        callers = self._known()
        with self._lock:
            cut, self._cut = self._cut, set()
        gone = frozenset(removed(set(callers.values())))
        condemned = [
            number
            for number, each in self._open.items()
            if callers.get(each.peer) in gone
            or each.peer in cut
            or self._is_silent(each, main, callers)
        ]
        condemned += self._beyond(callers)
        for number in set(condemned):
            self._end(number)
        self._give_memory_back()
        return len(set(condemned))

    def _look(self, ports: Collection[int]) -> None:
        """Bring up to date which connections there are."""
        now, found = self.monotonic(), set[int]()
        for name in os.listdir(DESCRIPTORS):
            number = int(name)
            try:
                link = os.readlink(f"{DESCRIPTORS}/{name}")
            except OSError:
                continue  # closed meanwhile
            found.add(number)
            known = self._open.get(number)
            if (known is not None and known.link == link) or self._others.get(number) == link:
                continue
            connection = _connection(number, link, now) if link.startswith("socket:") else None
            self._closed += known is not None
            self._open.pop(number, None)
            self._others.pop(number, None)
            if connection is not None and connection.port in ports:
                self._open[number] = connection
            else:
                self._others[number] = link
        self._counted = len(found)
        self._closed += len(self._open.keys() - found)
        self._open = {number: each for number, each in self._open.items() if number in found}
        self._others = {number: each for number, each in self._others.items() if number in found}

    def _known(self) -> Mapping[Peer, bytes]:
        """Under which certificate calls came; forgets connections that are no more."""
        there = {each.peer for each in self._open.values()}
        young = self.monotonic() - FIRST_CALL_SECONDS
        with self._lock:
            self._callers = {
                name: each
                for name, each in self._callers.items()
                if each.peer in there or each.since >= young
            }
            return {
                each.peer: each.fingerprint
                for each in self._callers.values()
                if each.peer is not None
            }

    def _is_silent(self, each: Connection, main: int, callers: Mapping[Peer, bytes]) -> bool:
        waited = self.monotonic() - each.since
        return each.port == main and each.peer not in callers and waited >= FIRST_CALL_SECONDS

    def _beyond(self, callers: Mapping[Peer, bytes]) -> list[int]:
        """The connections above the limits; the oldest are kept."""
        beyond: list[int] = []
        of_network, strangers, of_one = Counter[bytes](), Counter[bytes](), Counter[bytes]()
        for number, each in sorted(self._open.items(), key=lambda item: item[1].since):
            place, caller = network(each.peer[0]), callers.get(each.peer)
            of_network[place] += 1
            counted, most = (
                (strangers, self.limits.strangers_of_address)
                if caller is None
                else (of_one, self.limits.connections_of_one)
            )
            counted[caller or place] += 1
            if (
                counted[caller or place] > most
                or of_network[place] > self.limits.connections_of_address
            ):
                beyond.append(number)
                counted[caller or place] -= 1
                of_network[place] -= 1
        return beyond

    def _end(self, number: int) -> None:
        """Shut a connection down, if the descriptor still leads to it."""
        expected = self._open[number]
        try:
            with socket.socket(fileno=os.dup(number)) as same:
                if _peer_of(same) == expected.peer:
                    same.shutdown(socket.SHUT_RDWR)
                    self.ended += 1
        except OSError:
            pass  # closed meanwhile

    def _give_memory_back(self) -> None:
        """Give the memory of many ended connections back: glibc would keep it for ever."""
        if self._closed >= MANY:
            self._closed = 0
            trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's alone
            if trim is not None and sys.platform == "linux":
                trim(0)


def _count() -> int:
    """How many descriptors this process has, which Linux from 6.2 on tells without a list."""
    return os.stat(DESCRIPTORS).st_size or len(os.listdir(DESCRIPTORS))


def _connection(number: int, link: str, now: float) -> Connection | None:
    """The connection that a descriptor leads to; None for other sockets."""
    try:
        with socket.socket(fileno=os.dup(number)) as same:
            if same.family not in (socket.AF_INET, socket.AF_INET6):
                return None
            peer = _peer_of(same)
            port: int = same.getsockname()[1]
    except OSError:
        return None
    return Connection(link, port, peer, now)


def _peer_of(same: socket.socket) -> Peer:
    """Raises OSError for a socket without a peer."""
    host, port = same.getpeername()[:2]
    return packed(host), port
