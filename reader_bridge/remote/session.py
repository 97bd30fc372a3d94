"""A session of the authentication key: it is asked for when the PIN is verified, and later uses
need no further approval.

A failure here never fails the card's command: without a session each use asks for its own approval.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TypeAlias

import grpc

from card_os.keys import KeyResult, Refusal, UseKey
from card_os.piv.names import KeyRef
from card_os.uses import REQUEST_ID_BYTES, KeyUse
from cloudcard.approval.v1 import approval_pb2
from cloudcard.workstation.v1 import workstation_pb2 as pb
from cloudcard.workstation.v1 import workstation_pb2_grpc
from reader_bridge.remote.operation import WITHDRAW_SECONDS, RemoteOperation, Stopped
from reader_bridge.remote.refusals import reason, refusal
from reader_bridge.remote.uses import Uses, timed
from reader_bridge.tasks import Cancellation

# Reasons that a session has ended. Nothing was used, so the use can ask for an approval of its own.
GONE = frozenset({"SESSION_CLOSED", "SESSION_NOT_FOUND"})

KEY_USES: Mapping[KeyUse, approval_pb2.KeyUse.ValueType] = {
    KeyUse.SIGN: approval_pb2.KEY_USE_SIGN,
    KeyUse.DECRYPT: approval_pb2.KEY_USE_DECRYPT,
    KeyUse.AGREE: approval_pb2.KEY_USE_AGREE,
}

NewOperation: TypeAlias = Callable[[Cancellation], RemoteOperation]


class RemoteSession:
    """The session of one card, if it has one. The slot's thread ends it; other threads use it."""

    def __init__(
        self,
        stub: workstation_pb2_grpc.WorkstationServiceStub,
        uses: Uses,
        new_operation: NewOperation,
    ) -> None:
        self._stub = stub
        self._uses = uses
        self._new_operation = new_operation
        self._lock = threading.Lock()  # guards `_open` and `_card`
        self._open: pb.Session | None = None
        self._card = 0  # counts resets: a session approved after a reset is ended at once
        self._offer: pb.SessionOffer | None = None
        self._algorithm: approval_pb2.Algorithm.ValueType = approval_pb2.ALGORITHM_UNSPECIFIED

    def learn(self, card: pb.Card) -> None:
        """Take note of the session that the keystore offers for the authentication key."""
        keys = {key.key_ref: key.algorithm for key in card.keys}
        offers = (each for each in card.session_offers if each.key_ref == KeyRef.AUTHENTICATION)
        self._offer = next(offers, None)
        self._algorithm = keys.get(KeyRef.AUTHENTICATION, approval_pb2.ALGORITHM_UNSPECIFIED)

    def ask(self, asked: pb.CreateOperationRequest, cancellation: Cancellation) -> None:
        """Ask the holder for the offered session, unless one is open, and wait for the decision.

        `asked` names the card and holds the passcode proof.
        """
        with self._lock:
            card, is_open = self._card, self._open is not None
        if self._offer is None or is_open:
            return
        asked.request_id = os.urandom(REQUEST_ID_BYTES)
        asked.key_ref = self._offer.key_ref
        asked.key_use = self._offer.key_use
        asked.algorithm = self._algorithm
        asked.session.CopyFrom(self._offer.terms)
        opened = self._new_operation(cancellation).open_session(asked)
        if opened is None:
            return
        with self._lock:
            if card == self._card:
                self._open = opened
                return
        self._close(opened.id)

    def use(self, request: UseKey, cancellation: Cancellation) -> KeyResult | None:
        """The result of a use in the session; None if the use needs an approval of its own."""
        with self._lock:
            session = self._open
        if session is None or not _is_of(session, request):
            return None
        asked = pb.UseSessionRequest(
            session_id=session.id, request_id=timed(request.request_id), inputs=[request.input]
        )
        try:
            used = self._new_operation(cancellation).use_session(asked, self._uses.call)
        except Stopped as stopped:
            return stopped.why
        except grpc.RpcError as error:
            if reason(error) not in GONE:
                return refusal(error)
            self._forget(session)
            return None
        if used.uses_left == 0:
            self._forget(session)
        return used.results[0] if used.results else Refusal.UNAVAILABLE

    def end(self) -> None:
        """End the session, because the card was reset or taken out."""
        with self._lock:
            session, self._open = self._open, None
            self._card += 1
        if session is not None:
            self._close(session.id)

    def _close(self, session_id: str) -> None:
        """End the session at the keystore; if the call fails, the session expires."""
        request = pb.EndSessionRequest(session_id=session_id)
        with suppress(grpc.RpcError, ValueError):  # ValueError: the channel is closed
            self._stub.EndSession(request, timeout=WITHDRAW_SECONDS)

    def _forget(self, session: pb.Session) -> None:
        with self._lock:
            if self._open is session:
                self._open = None


def _is_of(session: pb.Session, request: UseKey) -> bool:
    return session.key_ref == request.key_ref and session.key_use == KEY_USES[request.use]
