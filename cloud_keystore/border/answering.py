"""Custody's side of the border: it answers, on one thread for each connection."""

from __future__ import annotations

import os
import re
import socket
import struct
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass, field
from hmac import compare_digest
from threading import BoundedSemaphore
from typing import Protocol, runtime_checkable

import structlog

from cloud_keystore.border import frames, refusals
from cloud_keystore.border.answers import FAILED, OUTCOMES, REFUSED, RESULT
from cloud_keystore.border.encoding import CALLER, Codec, Plain, Unreadable, pack, unpack
from cloud_keystore.border.table import Method
from cloud_keystore.model.errors import KeystoreError
from cloud_keystore.model.people import Identity, Role
from cloud_keystore.model.tracing import TRACE_ID

log = structlog.get_logger()

MOST_CONNECTIONS = 512
MOST_SAID = 64  # characters of a name that the log repeats
TRACE_FORM = re.compile(r"[0-9a-f]{32}")
HELD_SECONDS = 0.002  # for which an outcome can wait for others
PEER = struct.Struct("3i")  # struct ucred of Linux: process, user, group


@runtime_checkable
class Proving(Protocol):
    """Use cases some of which are for whoever has logged in lately."""

    def prove(self, fingerprint: bytes) -> None:
        """Raise ProofNeeded if a caller has not."""


@dataclass(slots=True)
class Answering:
    """Answers what comes over one socket: the methods of `methods`, on the objects of `use_cases`.

    `identify` finds the caller by its certificate, and raises IdentityRejected; None for a port
    whose callers have none.
    """

    use_cases: object
    methods: Mapping[str, Method]
    identify: Callable[[bytes, Role | None], Identity] | None
    secret: bytes = field(repr=False)  # what whoever may ask here says first
    places: BoundedSemaphore  # for calls at the same time
    _arguments: Codec = field(default_factory=lambda: Codec(callers=True))
    _results: Codec = field(default_factory=lambda: Codec(callers=False))
    _open: set[socket.socket] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def listen(self, listening: socket.socket) -> None:
        """Answer on threads of their own until `close`."""
        threading.Thread(target=self._accept, args=(listening,), name="border", daemon=True).start()

    def close(self) -> None:
        """End all connections; calls under way are finished, but not answered."""
        with self._lock:
            for each in self._open:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RD)

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return  # closed
            if not is_own(connection):
                log.warning("a stranger was refused at the border")
                connection.close()
                continue
            with self._lock:
                full = len(self._open) >= MOST_CONNECTIONS
                if not full:
                    self._open.add(connection)
            if full:
                connection.close()
                continue
            threading.Thread(
                target=self._serve, args=(connection,), name="use-case", daemon=True
            ).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            incoming = self._greeted(connection)
            while (frame := incoming.receive(connection)) is not None:
                # An empty context, so that nothing of one caller is left for the next.
                Context().run(self._answer, connection, frame)
        except Unreadable as error:
            log.warning("a connection broke the rules of the border", reason=str(error))
        except OSError as error:
            log.info("a connection over the border ended", error=type(error).__name__)
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()

    def _greeted(self, connection: socket.socket) -> frames.Incoming:
        """What comes after the secret; raises Unreadable if that does not come."""
        incoming = frames.Incoming(len(self.secret))
        said = incoming.receive(connection) or b""
        if not compare_digest(said, self.secret):
            raise Unreadable("it does not know the secret of this socket")
        incoming.most = frames.MOST_ASKED
        return incoming

    def _answer(self, connection: socket.socket, frame: bytes) -> None:
        match unpack(frame):
            case [str(name), None | bytes() as fingerprint, str(trace_id), dict(given)]:
                asked = self.methods.get(name)
            case _:
                raise Unreadable("no call")
        if asked is None:
            raise Unreadable(f"{name[:MOST_SAID]} cannot be asked for here")
        if trace_id and not TRACE_FORM.fullmatch(trace_id):
            raise Unreadable("no trace id")
        TRACE_ID.set(trace_id)
        structlog.contextvars.bind_contextvars(trace_id=trace_id)
        said: list[Plain] = ["", ""]
        try:
            said = self._let_in(asked, fingerprint)
            with self.places:
                answer = [RESULT, *said, self._do(connection, asked, given)]
        except Unreadable:
            raise
        except KeystoreError as error:
            answer = [REFUSED, *said, refusals.plain(error)]
        # A fault of ours in one call must not end the others.
        except Exception:
            incident = uuid.uuid4().hex
            log.exception("internal error", incident=incident, call=name)
            answer = [FAILED, *said, incident]
        frames.send(connection, pack(answer))

    def _let_in(self, asked: Method, fingerprint: bytes | None) -> list[Plain]:
        """Find the caller; its role and identifier."""
        if not asked.needs_caller:
            return ["", ""]
        if fingerprint is None or self.identify is None:
            raise Unreadable(f"{asked.name} needs a caller")
        caller = self.identify(fingerprint, asked.role)
        if asked.needs_proof:
            if not isinstance(self.use_cases, Proving):
                raise Unreadable(f"{asked.name} needs a proof, and nobody can check one here")
            self.use_cases.prove(fingerprint)
        CALLER.set(caller)
        return [caller.role.name.lower(), caller.id]

    def _do(self, connection: socket.socket, asked: Method, given: Mapping[object, Plain]) -> Plain:
        field_name, _, method = asked.name.partition(".")
        if not given.keys() <= asked.parameters.keys():
            raise Unreadable(f"{asked.name} has no such argument")
        arguments: dict[str, object] = {
            name: self._arguments.value(given[name], kind)
            for name, kind in asked.parameters.items()
            if name in given
        }
        call = getattr(getattr(self.use_cases, field_name), method)
        if asked.outcome is None:
            return self._results.plain(call(**arguments), asked.result)
        outcomes = _Outcomes(connection, self._results, asked.outcome)
        call(**arguments, done=outcomes.take)
        return outcomes.rest()


@dataclass(slots=True)
class _Outcomes:
    """Sends outcomes, several together. The last ones go with the end of the call."""

    connection: socket.socket
    codec: Codec
    kind: type
    _full: list[Plain] = field(default_factory=list)
    _due: float = field(default_factory=lambda: time.monotonic() + HELD_SECONDS)

    def take(self, place: int, outcome: object) -> None:
        """Keep an outcome for the request at this place, and send if it is time."""
        self._full.append([place, *self._plain(outcome)])
        if time.monotonic() >= self._due:
            # Whoever has asked can have been killed. The other requests are done all the same: they
            # are asked for again, and then get their results.
            with suppress(OSError):
                frames.send(self.connection, pack([OUTCOMES, "", "", self.rest()]))

    def rest(self) -> list[Plain]:
        """The outcomes that are kept, and no longer are."""
        full, self._full, self._due = self._full, [], time.monotonic() + HELD_SECONDS
        return full

    def _plain(self, outcome: object) -> tuple[str, Plain]:
        if isinstance(outcome, KeystoreError):
            return REFUSED, refusals.plain(outcome)
        if isinstance(outcome, Exception):
            incident = uuid.uuid4().hex
            log.error("internal error", incident=incident, exc_info=outcome)
            return FAILED, incident
        return RESULT, self.codec.plain(outcome, self.kind)


def is_own(connection: socket.socket) -> bool:
    """Whether the process at the other end is of this user, or root's."""
    if sys.platform != "linux":
        return False
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size)
    _, user, _ = PEER.unpack(raw)
    return user in (0, os.getuid())
