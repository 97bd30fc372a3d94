"""The workstation's use cases of operations: asking for one, looking at it, cancelling it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256

from sqlalchemy import Connection

from card_os.piv.names import KeyRef
from card_os.uses import KeyUse, PinPolicy
from cloud_keystore.approval import numbers, payload, qr
from cloud_keystore.audit import alerts, entries, journal
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.custody.use import padding
from cloud_keystore.custody.use.closing import withdraw
from cloud_keystore.custody.use.commitment import asks_for_pin, commits
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.cards import Card, Key
from cloud_keystore.model.clock import Clock, Random, new_id
from cloud_keystore.model.errors import (
    IdentityRejected,
    InvalidInput,
    JustRefused,
    KeyNotFound,
    MalformedKeyInput,
    PasscodeNeeded,
    RequestIdReused,
    SessionRefused,
    TooManyRefusals,
)
from cloud_keystore.model.fields.documents import documents_field
from cloud_keystore.model.fields.request_ids import REUSED, check_request_id
from cloud_keystore.model.fields.texts import LONGEST_LABEL, text_field
from cloud_keystore.model.journal import Detail, Entry, Kind
from cloud_keystore.model.operations import (
    DECISION_TIME,
    QR_TIME,
    Channel,
    Operation,
    OperationKind,
    Shown,
    State,
    back_off,
)
from cloud_keystore.model.people import Identity, User
from cloud_keystore.model.policies import Policy, PolicyVersion, SessionTerms
from cloud_keystore.model.profiles import PROFILES
from cloud_keystore.model.sessions import within
from cloud_keystore.notify.wakeups import Wake
from cloud_keystore.operations.listing import listed
from cloud_keystore.storage import (
    cards,
    operations,
    organisations,
    passcodes,
    people,
    policies,
    sessions,
)
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.past import refused

NONCE_BYTES = 32
NO_TIME, MINUTE = timedelta(), timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Ask:
    """A workstation's request for a use of a key for each input, or for a session."""

    request_id: bytes
    card_serial: str
    key_ref: int
    algorithm: int
    key_use: KeyUse
    inputs: tuple[bytes, ...]  # empty if a session is asked for
    passcode_proof: bytes = field(repr=False)
    application: str
    channels: frozenset[Channel]
    session: SessionTerms | None = None
    documents: tuple[str, ...] = ()  # what each input is, in words; or nothing of any


@dataclass(frozen=True, slots=True)
class Asking:
    """The workstation's use cases. `wake` wakes callers that wait for an operation or a user."""

    database: Database
    seal: Seal
    clock: Clock
    random: Random
    wake: Wake

    def create(self, ask: Ask, workstation: Identity) -> Operation:
        """Make an operation, or return the one that was made before for the same request id.

        Raises CardNotFound, CardNotInUse, KeyNotFound, MalformedKeyInput, InvalidInput,
        SessionRefused, PasscodeNeeded, JustRefused, TooManyRefusals, RequestIdReused, and
        IdentityRejected if the workstation was removed during the call.
        """
        try:
            return self._create(ask, workstation)
        # Its transaction was rolled back, so the alert is written in another one.
        except TooManyRefusals:
            self._tell(ask.card_serial, workstation)
            raise

    def _create(self, ask: Ask, workstation: Identity) -> Operation:
        check_request_id(ask.request_id)
        application = text_field("application", ask.application, LONGEST_LABEL, required=False)
        documents = documents_field(ask.documents, len(ask.inputs))
        now = self.clock()
        with self.database.write() as connection:
            if not people.is_active(connection, workstation.id, now):
                raise IdentityRejected("this workstation was removed: enrol it again")
            made = operations.find_by_request(connection, workstation.id, ask.request_id)
            if made is not None:
                _check_same(ask, application, documents, made)
                return made
            card, key, user = self._look_up(connection, ask)
            in_force = policies.in_force(connection, card.organisation_id, card.profile)
            _check_terms(ask, key, in_force.policy)
            channels = _channels(ask, in_force.policy)
            _check_patience(connection, key, workstation, now)
            factors = self._factors(connection, ask, key, workstation, in_force.policy)
            replaced = operations.open_at(connection, card.id, workstation.id, now)
            withdraw(connection, replaced, now, workstation.actor, "replaced")
            operation_id = new_id(now, self.random)
            number = f"{int.from_bytes(self.random(8)) % numbers.NUMBERS:02}"
            asked = payload.Asked(
                operation_id=operation_id,
                key_use=ask.key_use,
                key=key,
                card=card,
                user=user,
                workstation=workstation,
                application=application,
                inputs=ask.inputs,
                session=ask.session,
                organisation=organisations.name(connection, card.organisation_id),
                policy=in_force.name,
                factors=factors,
                create_time=now,
                expire_time=now + DECISION_TIME,
                nonce=self.random(NONCE_BYTES),
                number_commitment=numbers.commitment(number_salt(self.seal, operation_id), number),
                request_id=ask.request_id,
                documents=listed(connection, documents, user, now),
            )
            operation = _operation(ask, asked, channels, number)
            operations.add(connection, operation)
            journal.append(connection, _asked(operation, ask, in_force, workstation.actor))
        self.wake([user.id, operation.id, *replaced])
        return operation

    def _tell(self, serial: str, workstation: Identity) -> None:
        """Raise an alert, once, that the phone is no longer asked because of many refusals."""
        now = self.clock()
        with self.database.write() as connection:
            card = cards.find_by_serial(connection, serial)
            if card is not None:
                alerts.too_many_refusals(connection, card, workstation, now, self.random)

    def find(self, operation_id: str, workstation: Identity) -> Operation:
        """Return an operation of this workstation; raises OperationNotFound."""
        with self.database.read() as connection:
            return operations.asked_at(connection, operation_id, workstation.id)

    def look(self, operation_ids: Collection[str], workstation: Identity) -> list[Shown]:
        """Those of some operations that are this workstation's, as it shows them now."""
        now = self.clock()
        with self.database.read() as connection:
            found = operations.asked_among(connection, operation_ids, workstation.id)
        return [Shown.of(each, now, self._qr_text(each)) for each in found]

    def cancel(self, operation_id: str, workstation: Identity) -> Operation:
        """Cancel an operation; one that has ended, or whose key is in use, stays as it is."""
        operation = self.find(operation_id, workstation)
        with self.database.write() as connection:
            now, actor = self.clock(), workstation.actor
            changed = withdraw(connection, [operation_id], now, actor, "withdrawn")
        if changed:
            self.wake([operation_id, operation.user_id])
        return self.find(operation_id, workstation)

    def qr_text(self, operation_id: str, workstation: Identity) -> str:
        """The text of the QR code of an operation of this workstation; empty if it has none. Raises
        OperationNotFound.
        """
        return self._qr_text(self.find(operation_id, workstation))

    def _qr_text(self, operation: Operation) -> str:
        if Channel.QR not in operation.channels:
            return ""
        return qr.text(operation.id, qr_secret(self.seal, operation.id))

    def _look_up(self, connection: Connection, ask: Ask) -> tuple[Card, Key, User]:
        card = cards.in_use(connection, ask.card_serial)
        key = cards.key_under(connection, card.id, ask.key_ref)
        if key is None or key.algorithm != ask.algorithm or key.key_ref == KeyRef.SECURE_MESSAGING:
            raise KeyNotFound(f"card {card.serial} has no such key {ask.key_ref:02X}")
        if ask.key_use not in PROFILES[card.profile].allowed_uses(key.key_ref, key.algorithm):
            raise MalformedKeyInput(f"key {key.key_ref:02X} is not for this use")
        return card, key, people.holder(connection, card)

    def _factors(
        self,
        connection: Connection,
        ask: Ask,
        key: Key,
        workstation: Identity,
        policy: Policy,
    ) -> tuple[str, ...]:
        """Return the factors that the holder has given besides the approval.

        A key for content commitment needs its passcode, whatever the policy says. A key that never
        asks for it rings only where the holder has given it before, or has a session, or if the
        policy does without. Raises PasscodeNeeded.
        """
        asked, now = asks_for_pin(key), self.clock()
        if asked is PinPolicy.NEVER:
            at = (connection, key.card_id, workstation.id, now)
            if policy.passwordless or passcodes.is_given(*at) or sessions.is_open(*at):
                return ()
            raise PasscodeNeeded("give the card's passcode at this workstation first")
        proven = passcodes.use_proof(
            connection,
            sha256(ask.passcode_proof).digest(),
            key.card_id,
            workstation.id,
            now,
            once=asked is PinPolicy.ALWAYS,
        )
        if proven:
            return ("passcode",)
        if policy.passwordless and not commits(key):
            return ()
        raise PasscodeNeeded("give the passcode again")


def _operation(
    ask: Ask, asked: payload.Asked, channels: frozenset[Channel], number: str
) -> Operation:
    return Operation(
        id=asked.operation_id,
        request_id=ask.request_id,
        workstation_id=asked.workstation.id,
        card_id=asked.card.id,
        key_id=asked.key.id,
        user_id=asked.user.id,
        key_use=ask.key_use,
        state=State.PENDING,
        payload=payload.encode(asked),
        number=number,
        channels=channels,
        create_time=asked.create_time,
        expire_time=asked.expire_time,
        qr_expire_time=asked.create_time + QR_TIME,
        kind=OperationKind.USES if ask.session is None else OperationKind.SESSION,
        policy=asked.policy,
    )


def _check_same(ask: Ask, application: str, documents: tuple[str, ...], made: Operation) -> None:
    """Raise RequestIdReused unless a request asks for the operation that was made for its id."""
    said = payload.decode(made.payload)
    terms = payload.session_terms(said.session) if said.HasField("session") else None
    facts = (
        (said.card_serial, ask.card_serial),
        (said.key_ref, ask.key_ref),
        (said.algorithm, ask.algorithm),
        (said.key_use, ask.key_use),
        (tuple(said.input_sha256), tuple(sha256(each).digest() for each in ask.inputs)),
        (said.application, application),
        (terms, ask.session),
        # What was not listed is not kept.
        (tuple(said.documents), documents if said.documents else ()),
    )
    if any(before != now for before, now in facts) or not made.channels <= _wanted(ask):
        raise RequestIdReused(REUSED)


def _check_terms(ask: Ask, key: Key, policy: Policy) -> None:
    """Raise InvalidInput, MalformedKeyInput or SessionRefused unless key and policy allow the
    request.
    """
    if ask.session is None:
        largest = policy.largest_commitment_batch if commits(key) else policy.largest_batch
        if not 1 <= len(ask.inputs) <= largest:
            allowed = "1" if largest == 1 else f"1 to {largest}"
            raise InvalidInput(
                f"{len(ask.inputs)} inputs under one approval: the policy allows {allowed}"
            )
        for each in ask.inputs:
            padding.check(ask.key_use, key.algorithm, each)
        return
    if ask.inputs:
        raise InvalidInput("a session has no inputs yet: leave them out")
    if commits(key):
        raise SessionRefused(
            f"key {key.key_ref:02X} needs an approval for each use: it signs content"
        )
    if not within(ask.session, policy.session):
        raise SessionRefused(
            "the policy in force allows no such session: ask for what the card's offer says"
        )


def _channels(ask: Ask, policy: Policy) -> frozenset[Channel]:
    """Return the approval channels that are requested and allowed; raises InvalidInput if there is
    none.
    """
    channels = _wanted(ask) & policy.channels
    if not channels:
        allowed = " or ".join(sorted(each.name for each in policy.channels))
        raise InvalidInput(f"the policy in force reaches the holder by {allowed} alone")
    return channels


def _wanted(ask: Ask) -> frozenset[Channel]:
    return ask.channels or frozenset({Channel.PUSH})


def _check_patience(connection: Connection, key: Key, workstation: Identity, now: datetime) -> None:
    """Raise JustRefused or TooManyRefusals if the phone must not be asked now."""
    if refused.just_refused(connection, key, workstation.id, now):
        raise JustRefused("the holder has just refused: ask again in a few seconds")
    times = refused.in_a_row(connection, key.card_id, workstation.id, now)
    if times and (wait := times[0] + back_off(len(times)) - now) > NO_TIME:
        raise TooManyRefusals(
            f"{len(times)} operations of this card at this workstation came to nothing: wait "
            f"{-(-wait // MINUTE)} min, and if you did not ask for them, tell your registration "
            "authority"
        )


def _asked(operation: Operation, ask: Ask, in_force: PolicyVersion, actor: Actor) -> Entry:
    terms: dict[str, Detail] = {"inputs": len(ask.inputs)}
    if ask.session is not None:
        terms = {
            "most_uses": ask.session.most_uses,
            "seconds": int(ask.session.time.total_seconds()),
        }
    return entries.about_asked(
        Kind.OPERATION_ASKED,
        operation,
        operation.create_time,
        actor,
        {"kind": operation.kind.name, "policy": in_force.name, **terms},
        {"payload": operation.payload},
    )


def qr_secret(seal: Seal, operation_id: str) -> bytes:
    """Derive the secret of an operation's code, so that the database does not hold it."""
    return seal.derive("qr", operation_id.encode())[: qr.SECRET_BYTES]


def number_salt(seal: Seal, operation_id: str) -> bytes:
    """Derive the secret of an operation's number, which the journal tells after the decision."""
    return seal.derive("number", operation_id.encode())
