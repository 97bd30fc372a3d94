"""What workstations, holders and an operator do all the while, and what they hold in the end.

Each step is repeated until it is answered, as a reader does, at any address of the keystore. What
was answered is written down, for the comparison with the journal.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TypeVar

import grpc

from card_os.piv.names import KeyRef
from card_os.uses import REQUEST_ID_BYTES
from cloudcard.approval.v1 import approval_pb2
from cloudcard.registry.v1 import cards_pb2
from cloudcard.registry.v1.cards_pb2_grpc import CardServiceStub
from cloudcard.workstation.v1 import workstation_pb2 as pb
from cloudcard.workstation.v1.workstation_pb2_grpc import WorkstationServiceStub
from cloudcard_tools.authenticator.phone import Phone
from cloudcard_tools.bench.town import Town
from cloudcard_tools.demo.stage import PASSCODE
from cloudcard_tools.shared import identity
from reader_bridge.remote.refusals import TRANSIENT, code, reason

R = TypeVar("R")

CALL_SECONDS = 2.0
MAKING = 10.0  # seconds for a call that makes the keys of a card
PAUSE_SECONDS = 0.03
PATIENCE_SECONDS = 90.0  # below an approval's two minutes
MOST_USES = 20  # of a session
MOST_INPUTS = 3
BUSY = {"TOO_MANY_CALLS", "OVERLOADED"}
Answer = tuple[float, float]  # when a call began that was answered, and when that was


class GaveUp(Exception):
    """A step was not answered for very long."""


@dataclass
class Held:
    """What the clients were told. Used by all their threads."""

    asked: set[str] = field(default_factory=set)  # operations
    approved: set[str] = field(default_factory=set)
    results: dict[str, bytes] = field(default_factory=dict)  # by operation
    sessions: dict[str, int] = field(default_factory=dict)  # the most uses of each
    uses: dict[tuple[str, tuple[bytes, ...]], tuple[bytes, ...]] = field(default_factory=dict)
    cards: dict[bytes, str] = field(default_factory=dict)  # by the request to issue one
    without_result: int = 0
    answers: list[Answer] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def hold(self, operation_id: str, result: bytes) -> None:
        """Write down a result; another one for the same operation is wrong."""
        with self.lock:
            if self.results.setdefault(operation_id, result) != result:
                self.wrong.append(f"operation {operation_id} gave two results")

    def hold_use(self, session: str, inputs: tuple[bytes, ...], made: tuple[bytes, ...]) -> None:
        """Write down the results of a use; others for the same request are wrong."""
        with self.lock:
            if self.uses.setdefault((session, inputs), made) != made:
                self.wrong.append(f"a use of session {session} gave two results")

    def hold_card(self, request_id: bytes, serial: str) -> None:
        """Write down which card was issued; another one for the same request is wrong."""
        with self.lock:
            if self.cards.setdefault(request_id, serial) != serial:
                self.wrong.append(f"a request for card {serial} gave two cards")


@dataclass
class Line:
    """Calls under one identity: at the next address after each failure, by a new connection."""

    who: identity.Identity
    addresses: list[str]
    held: Held
    _channel: grpc.Channel | None = None

    def again(self, call: Callable[[grpc.Channel], R], seconds: float = PATIENCE_SECONDS) -> R:
        """Make a call until it is answered. Raises RpcError for a refusal, and GaveUp."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self._channel is None:
                address = random.choice(self.addresses)
                self._channel = identity.channel(replace(self.who, address=address))
            began = time.monotonic()
            try:
                answer = call(self._channel)
            except grpc.RpcError as error:
                if code(error) not in TRANSIENT and reason(error) not in BUSY:
                    raise
                if reason(error) != "OPERATION_BUSY":
                    self.close()
                time.sleep(PAUSE_SECONDS)
            else:
                self.held.answers.append((began, time.monotonic()))
                return answer
        raise GaveUp

    def close(self) -> None:
        if self._channel is not None:
            self._channel.close()
        self._channel = None


@dataclass
class Reader:
    """A card at the workstation, and its holder's phone."""

    town: Town
    held: Held
    serial: str
    _proof: bytes = b""

    def __post_init__(self) -> None:
        self._pc, self._other, self._phone = (
            Line(who, self.town.addresses, self.held)
            for who in (self.town.workstation, self.town.workstation, self.town.phone)
        )

    def give_passcode(self) -> None:
        """Give the passcode. Each try is spent before it is compared, and a kill in between keeps
        it spent, so a card could be blocked by chaos; that is as it should be, but nothing to see.
        """
        self._proof = self._verified()

    def close(self) -> None:
        for line in (self._pc, self._other, self._phone):
            line.close()

    def sign(self) -> None:
        """One approval and its use; sometimes used by two at once, or asked for again."""
        data = os.urandom(32)
        operation_id = self._approved(pb.CreateOperationRequest(inputs=[data]))
        asked = pb.PerformOperationRequest(operation_id=operation_id, inputs=[data])

        def perform(line: Line) -> None:
            answer = line.again(
                lambda channel: WorkstationServiceStub(channel).PerformOperation(
                    asked, timeout=CALL_SECONDS
                )
            )
            self.held.hold(operation_id, answer.results[0])

        racers = [self._pc, *([self._other] if random.random() < 0.3 else [])]
        with ThreadPoolExecutor(len(racers)) as pool:
            for each in [pool.submit(perform, line) for line in racers]:
                each.result()
        if random.random() < 0.3:
            perform(self._pc)

    def use_session(self, done: Callable[[], bool]) -> None:
        """A session, used until it ends, and once at least."""
        terms = approval_pb2.SessionTerms(most_uses=MOST_USES, seconds=3600)
        operation_id = self._approved(pb.CreateOperationRequest(session=terms))
        self.held.sessions[operation_id] = MOST_USES
        perform = pb.PerformOperationRequest(operation_id=operation_id)
        self._pc.again(
            lambda channel: WorkstationServiceStub(channel).PerformOperation(
                perform, timeout=CALL_SECONDS
            )
        )
        while True:
            inputs = tuple(os.urandom(32) for _ in range(random.randint(1, MOST_INPUTS)))
            asked = pb.UseSessionRequest(
                session_id=operation_id, request_id=os.urandom(16), inputs=inputs
            )
            for _ in range(2 if random.random() < 0.2 else 1):
                try:
                    answer = self._pc.again(
                        lambda channel, asked=asked: WorkstationServiceStub(channel).UseSession(
                            asked, timeout=CALL_SECONDS
                        )
                    )
                except grpc.RpcError as error:
                    if reason(error) != "NO_RESULT":
                        raise
                    self.held.without_result += 1
                    break
                self.held.hold_use(operation_id, inputs, tuple(answer.results))
            if done():
                return

    def _approved(self, asked: pb.CreateOperationRequest) -> str:
        """Ask for something, and approve it. Returns the operation."""
        asked.MergeFrom(
            pb.CreateOperationRequest(
                request_id=os.urandom(16),
                card_serial=self.serial,
                key_ref=KeyRef.AUTHENTICATION,
                algorithm=approval_pb2.ALGORITHM_ECC_P256,
                key_use=approval_pb2.KEY_USE_SIGN,
                passcode_proof=self._proof,
            )
        )
        operation = self._create(asked)
        with self.held.lock:
            self.held.asked.add(operation.id)

        def approve(channel: grpc.Channel) -> str:
            holder = Phone(self.town.phone, channel)
            return holder.approve(holder.find(operation.id), operation.number)

        # What is decided rings no more: then only the answer was lost.
        try:
            state = self._phone.again(approve)
        except grpc.RpcError as error:
            if reason(error) != "OPERATION_CLOSED":
                raise
            state = ""
        if state == "approved":
            with self.held.lock:
                self.held.approved.add(operation.id)
        return operation.id

    def _create(self, asked: pb.CreateOperationRequest) -> pb.Operation:
        return self._pc.again(
            lambda channel: (
                WorkstationServiceStub(channel)
                .CreateOperation(asked, timeout=CALL_SECONDS)
                .operation
            )
        )

    def _verified(self) -> bytes:
        asked = pb.VerifyPasscodeRequest(
            card_serial=self.serial, key_ref=KeyRef.PIN, passcode=PASSCODE.encode()
        )
        answer = self._pc.again(
            lambda channel: WorkstationServiceStub(channel).VerifyPasscode(
                asked, timeout=CALL_SECONDS
            )
        )
        proof: bytes = answer.result.passcode_proof
        return proof


@dataclass
class Operator:
    """Issues cards, and asks again until each is there."""

    town: Town
    held: Held

    def __post_init__(self) -> None:
        self._line = Line(self.town.operator, self.town.addresses, self.held)

    def close(self) -> None:
        self._line.close()

    def issue(self) -> None:
        """One card; sometimes asked for once more when it is there."""
        asked = cards_pb2.IssueCardRequest(
            request_id=os.urandom(REQUEST_ID_BYTES), user_id=self.town.user_id, profile="p256"
        )
        answers = 2 if random.random() < 0.3 else 1
        deadline = time.monotonic() + PATIENCE_SECONDS
        while answers:
            if time.monotonic() > deadline:
                raise GaveUp
            try:
                card = self._line.again(
                    lambda channel: CardServiceStub(channel).IssueCard(asked, timeout=MAKING).card
                )
            except grpc.RpcError as error:
                if reason(error) != "ILLEGAL_CARD_CHANGE":  # somebody else goes on with it
                    raise
                time.sleep(PAUSE_SECONDS)
                continue
            self.held.hold_card(asked.request_id, card.serial)
            if card.state == cards_pb2.CARD_STATE_ISSUING:
                time.sleep(PAUSE_SECONDS)
            else:
                answers -= 1


def keep_busy(who: Reader | Operator, turn: Callable[[], None], done: Callable[[], bool]) -> None:
    """Take turns until done; a refusal ends a turn, and is written down if it should not be."""
    held = who.held
    try:
        while not done():
            try:
                turn()
            except grpc.RpcError as error:
                if reason(error) not in ENDS:
                    held.wrong.append(f"refused: {code(error).name} {reason(error)}")
                held.without_result += reason(error) != "SESSION_CLOSED"  # it was used up
                time.sleep(PAUSE_SECONDS)
            except GaveUp:
                held.wrong.append(f"no answer for {PATIENCE_SECONDS:g} s")
    finally:
        who.close()


# By which an approval or a session can end that met a fault
ENDS = {
    "NO_RESULT",
    "OPERATION_CLOSED",
    "OPERATION_NOT_FOUND",  # at the phone: it rings no more
    "SESSION_CLOSED",
    "SESSION_NOT_FOUND",
    "JUST_REFUSED",
    "TOO_MANY_REFUSALS",
}
