"""What a workstation does with operations: ask for one, look at it, withdraw it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256

from sqlalchemy import Connection

from cloud_keystore.approval import payload, qr
from cloud_keystore.custody import padding
from cloud_keystore.custody.sealing import Seal
from cloud_keystore.model.algorithms import KeyUse
from cloud_keystore.model.cards import (
    SECURE_MESSAGING,
    Card,
    CardState,
    Key,
    PinPolicy,
)
from cloud_keystore.model.clock import Clock, Random, new_id
from cloud_keystore.model.errors import (
    CardNotFound,
    CardNotInUse,
    JustRefused,
    KeyNotFound,
    MalformedKeyInput,
    OperationNotFound,
    PasscodeNeeded,
    TooManyRefusals,
)
from cloud_keystore.model.operations import (
    DECISION_TIME,
    QR_TIME,
    REFUSAL_LIMIT,
    REFUSAL_WINDOW,
    Channel,
    Operation,
    State,
)
from cloud_keystore.model.people import LONGEST_LABEL, Identity, User, text_field
from cloud_keystore.model.profiles import PROFILES
from cloud_keystore.model.requests import check_request_id
from cloud_keystore.notify.wakeups import Wake
from cloud_keystore.storage import cards, operations, passcodes, people
from cloud_keystore.storage.engine import Database

NONCE_BYTES = 32


@dataclass(frozen=True, slots=True)
class Ask:
    """A workstation's request for one use of a private key."""

    request_id: bytes
    card_serial: str
    key_ref: int
    algorithm: int
    key_use: KeyUse
    input: bytes
    passcode_proof: bytes = field(repr=False)
    application: str
    channels: frozenset[Channel]


@dataclass(frozen=True, slots=True)
class Asking:
    """The workstation's use cases. `wake` tells those who wait on an operation or for a user."""

    database: Database
    seal: Seal
    clock: Clock
    random: Random
    wake: Wake

    def create(self, ask: Ask, workstation: Identity) -> Operation:
        """Make an operation, or return the one made before for the same request id.

        Raises CardNotFound, CardNotInUse, KeyNotFound, MalformedKeyInput, PasscodeNeeded,
        JustRefused, TooManyRefusals.
        """
        check_request_id(ask.request_id)
        application = text_field("application", ask.application, LONGEST_LABEL, required=False)
        now = self.clock()
        with self.database.write() as connection:
            made = operations.find_by_request(connection, workstation.id, ask.request_id)
            if made is not None:
                return made
            card, key, user = self._look_up(connection, ask)
            padding.check(ask.key_use, key.algorithm, ask.input)
            if operations.just_refused(connection, key.id, workstation.id, now):
                raise JustRefused("the holder has just refused: ask again in a few seconds")
            refused = operations.count_refused(connection, card.id, now)
            if refused >= REFUSAL_LIMIT:
                minutes = int(REFUSAL_WINDOW.total_seconds() // 60)
                raise TooManyRefusals(
                    f"{refused} requests of this card came to nothing within {minutes} minutes: "
                    "wait, and if you did not make them, tell your registration authority"
                )
            factors = self._factors(connection, ask.passcode_proof, key, workstation, now)
            replaced = operations.open_at(connection, card.id, workstation.id, now)
            for older in replaced:
                operations.cancel(connection, older, now)
            asked = payload.Asked(
                operation_id=new_id(now, self.random),
                key_use=ask.key_use,
                key=key,
                card=card,
                user=user,
                workstation=workstation,
                application=application,
                inputs=(ask.input,),
                factors=factors,
                create_time=now,
                expire_time=now + DECISION_TIME,
                nonce=self.random(NONCE_BYTES),
            )
            operation = Operation(
                id=asked.operation_id,
                request_id=ask.request_id,
                workstation_id=workstation.id,
                card_id=card.id,
                key_id=key.id,
                user_id=user.id,
                key_use=ask.key_use,
                state=State.PENDING,
                payload=payload.encode(asked),
                number=f"{int.from_bytes(self.random(8)) % 100:02}",
                channels=ask.channels or frozenset({Channel.PUSH}),
                create_time=now,
                expire_time=asked.expire_time,
                qr_expire_time=now + QR_TIME,
            )
            operations.add(connection, operation)
        self.wake([user.id, operation.id, *replaced])
        return operation

    def find(self, operation_id: str, workstation: Identity) -> Operation:
        """An operation of this workstation; raises OperationNotFound."""
        with self.database.read() as connection:
            operation = operations.find(connection, operation_id)
        if operation is None or operation.workstation_id != workstation.id:
            raise OperationNotFound("this workstation has no such operation")
        return operation

    def cancel(self, operation_id: str, workstation: Identity) -> Operation:
        """Withdraw an operation; one that has ended, or whose key is in use, stays as it is."""
        operation = self.find(operation_id, workstation)
        with self.database.write() as connection:
            changed = operations.cancel(connection, operation_id, self.clock())
        if changed:
            self.wake([operation_id, operation.user_id])
        return self.find(operation_id, workstation)

    def qr_text(self, operation: Operation) -> str:
        """Text of the operation's QR code; empty if it has none."""
        return (
            qr.text(operation.id, qr_secret(self.seal, operation.id))
            if Channel.QR in operation.channels
            else ""
        )

    def _look_up(self, connection: Connection, ask: Ask) -> tuple[Card, Key, User]:
        card = cards.find_by_serial(connection, ask.card_serial)
        if card is None:
            raise CardNotFound(f"there is no card {ask.card_serial}")
        if card.state is not CardState.ACTIVE:
            raise CardNotInUse(f"card {card.serial} is {card.state}")
        keys = {key.key_ref: key for key in cards.keys(connection, card.id)}
        key = keys.get(ask.key_ref)
        if key is None or key.algorithm != ask.algorithm or key.key_ref == SECURE_MESSAGING:
            raise KeyNotFound(f"card {card.serial} has no such key {ask.key_ref:02X}")
        if ask.key_use not in PROFILES[card.profile].allowed_uses(key.key_ref, key.algorithm):
            raise MalformedKeyInput(f"key {key.key_ref:02X} is not for this use")
        user = people.find_user(connection, card.user_id)
        if user is None:
            raise CardNotFound(f"card {card.serial} has no holder")
        return card, key, user

    def _factors(
        self, connection: Connection, proof: bytes, key: Key, workstation: Identity, now: datetime
    ) -> tuple[str, ...]:
        if key.asks_for_pin is PinPolicy.NEVER:
            return ()
        proven = passcodes.use_proof(
            connection,
            sha256(proof).digest(),
            key.card_id,
            workstation.id,
            now,
            once=key.asks_for_pin is PinPolicy.ALWAYS,
        )
        if not proven:
            raise PasscodeNeeded("give the passcode again")
        return ("passcode",)


def qr_secret(seal: Seal, operation_id: str) -> bytes:
    """The secret of an operation's code: derived, so that the database does not hold it."""
    return seal.derive("qr", operation_id.encode())[: qr.SECRET_BYTES]
