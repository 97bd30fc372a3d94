"""Passkeys of operators: they add them to their own log-in, log in by them, and remove them. Who
logs in need not say who that is: the passkey does, and an unknown one learns nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from hmac import compare_digest

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from cloud_keystore.approval import passkeys
from cloud_keystore.approval.passkeys import Registration
from cloud_keystore.audit import acting, entries, journal
from cloud_keystore.audit.acting import Acting
from cloud_keystore.custody.credentials import challenges
from cloud_keystore.custody.credentials.challenges import LATE
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.model.approval_keys import RelyingParty
from cloud_keystore.model.clock import new_id
from cloud_keystore.model.errors import (
    ApprovalRejected,
    IdentityNotFound,
    InvalidInput,
    TokenRejected,
)
from cloud_keystore.model.fields.texts import text_field
from cloud_keystore.model.journal import Detail, Kind
from cloud_keystore.model.operations import Assertion
from cloud_keystore.model.people import Identity, Role
from cloud_keystore.model.rights.log_ins import (
    LONGEST_PASSKEY_NAME,
    MOST_PASSKEYS,
    Challenge,
    ChallengeUse,
    LogInPasskey,
)
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.people.rights.visits import Visits, enter
from cloud_keystore.storage import people
from cloud_keystore.storage.rights import log_in_passkeys as rows
from cloud_keystore.storage.rights import visits

UNKNOWN = (
    "this passkey is unknown here or was removed, or its answer is not right: use another one, or "
    "a code (cloudcard ra log-in)"
)
COPIED = (
    "this passkey's counter went back, so there may be a copy of it, and it is removed: log in by "
    "a code (cloudcard ra log-in), and add another passkey"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the passkeys of a browser are asked, and by whom."""

    challenge: bytes
    rp_id: str
    origin: str  # of the pages at which they answer


@dataclass(frozen=True, slots=True)
class AskedNew:
    """What a new passkey is made of (WebAuthn level 3, 5.4)."""

    asked: Asked
    user_handle: bytes
    name: str  # of the operator
    present: tuple[bytes, ...]  # credential ids, none of which can be added twice


@dataclass(frozen=True, slots=True)
class PasskeyAnswer:
    """What navigator.credentials.get() returned (5.2.2), and the challenge that it answers."""

    challenge: bytes
    credential_id: bytes
    user_handle: bytes
    authenticator_data: bytes
    client_data: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class LogInPasskeys:
    """Adds and removes operators' passkeys, and begins visits by them."""

    visits: Visits
    seal: Seal = field(repr=False)
    party: RelyingParty  # whose pages these are

    def ask(self) -> Asked:
        """What to ask the passkeys of whoever wants to log in."""
        return self._asked(ChallengeUse.LOG_IN, "")

    def begin(self, answer: PasskeyAnswer) -> str:
        """Begin the visit of an operator whose passkey has answered; returns its secret, which is
        new. A passkey that shows to have been copied is removed, and all visits end. Raises
        TokenRejected, NotAllowed.
        """
        own, now = self.visits, self.visits.clock()
        challenge = challenges.checked(self.seal, answer.challenge, ChallengeUse.LOG_IN, "", now)
        with own.database.read() as connection:
            known = rows.by_credential(connection, answer.credential_id)
            found = None if known is None else people.find_identity(connection, known.operator_id)
        operator = found if found is not None and found.is_active(now) else None
        if known is None or known.end_time is not None or operator is None:
            raise TokenRejected(UNKNOWN)
        if not compare_digest(answer.user_handle, handle(operator)):
            raise TokenRejected(UNKNOWN)
        assertion = Assertion(answer.authenticator_data, answer.client_data, answer.credential_id)
        try:
            passkeys.verify(known.of(self.party), answer.challenge, assertion, answer.signature)
            used = passkeys.usage(assertion)
        except ApprovalRejected:
            raise TokenRejected(UNKNOWN) from None
        try:
            with acting.changing(own.database, operator.actor, now) as by:
                by.need_somewhere(Right.VIEW)
                if secret := self._entered(by, operator, known, used.sign_count, challenge):
                    return secret
        # There is a visit, which has begun with the same answer.
        except IntegrityError:
            raise TokenRejected(LATE) from None
        raise TokenRejected(COPIED)

    def ask_new(self, operator: Identity) -> AskedNew:
        """What to make an operator's new passkey of."""
        with self.visits.database.read() as connection:
            present = rows.of_operator(connection, operator.id)
        return AskedNew(
            self._asked(ChallengeUse.ADD, operator.id),
            handle(operator),
            operator.display_name,
            tuple(each.credential_id for each in present),
        )

    def add(
        self, name: str, challenge: bytes, made: Registration, operator: Identity
    ) -> LogInPasskey:
        """Let an operator log in by a new passkey from now on. Raises InvalidInput, TokenRejected,
        NotAllowed.
        """
        own, now = self.visits, self.visits.clock()
        name = text_field("name", name, LONGEST_PASSKEY_NAME)
        asked = challenges.checked(self.seal, challenge, ChallengeUse.ADD, operator.id, now)
        found = passkeys.register(made, challenge, self.party)
        passkey = LogInPasskey(
            id=new_id(now, own.random),
            operator_id=operator.id,
            display_name=name,
            credential_id=found.credential_id,
            public_key=found.public_key,
            challenge_sha256=_digest(asked),
            sign_count=found.sign_count,
            backup_eligible=found.backup_eligible,
            create_time=now,
        )
        try:
            with acting.changing(own.database, operator.actor, now) as by:
                by.need_somewhere(Right.VIEW)
                _check_room(by.connection, passkey)
                rows.add(by.connection, passkey)
                said: dict[str, Detail] = {"name": name, "synced": found.backup_eligible}
                _tell(by, Kind.LOG_IN_PASSKEY_ADDED, operator, passkey, said)
        except IntegrityError:
            raise TokenRejected(LATE) from None
        return passkey

    def list_own(self, operator: Identity) -> list[LogInPasskey]:
        """The passkeys by which an operator can log in, the first first."""
        with self.visits.database.read() as connection:
            return rows.of_operator(connection, operator.id)

    def remove_own(self, passkey_id: str, operator: Identity) -> None:
        """Let an operator log in by one of the own passkeys no more, and end all visits: whoever
        has the passkey can have begun one. Raises IdentityNotFound.
        """
        with acting.changing(self.visits.database, operator.actor, self.visits.clock()) as by:
            own = rows.of_operator(by.connection, operator.id)
            found = next((each for each in own if each.id == passkey_id), None)
            if found is None:
                raise IdentityNotFound("you have no such passkey: it may be removed already")
            rows.end(by.connection, found.id, by.now)
            said: dict[str, Detail] = {"name": found.display_name}
            _tell(by, Kind.LOG_IN_PASSKEY_REMOVED, operator, found, said)
            visits.end_all(by.connection, Role.OPERATOR, operator.id, by.now)

    def _entered(
        self,
        by: Acting,
        operator: Identity,
        passkey: LogInPasskey,
        sign_count: int,
        challenge: Challenge,
    ) -> str:
        """The secret of a visit; empty if there is a copy of the passkey, which is then removed,
        and all visits end. Raises TokenRejected, and IntegrityError, for an answer that was taken
        before.
        """
        if rows.count_use(by.connection, passkey, sign_count, by.now):
            said: dict[str, Detail] = {"by": "passkey", "passkey": passkey.id}
            return enter(by, self.visits.random, operator, _digest(challenge), said)
        if visits.by_code(by.connection, Role.OPERATOR, _digest(challenge)) is not None:
            raise TokenRejected(LATE)
        if rows.end(by.connection, passkey.id, by.now):
            named: dict[str, Detail] = {"name": passkey.display_name}
            _tell(by, Kind.LOG_IN_PASSKEY_COPIED, operator, passkey, named)
            visits.end_all(by.connection, Role.OPERATOR, operator.id, by.now)
        return ""

    def _asked(self, use: ChallengeUse, who: str) -> Asked:
        own = self.visits
        raw = challenges.new(self.seal, use, who, own.clock(), own.random)
        return Asked(raw, self.party.id, self.party.origin)


def handle(operator: Identity) -> bytes:
    """What authenticators know an operator by (5.4.3): it says nothing of the person."""
    return operator.id.encode()


def _digest(challenge: Challenge) -> bytes:
    return sha256(bytes(challenge)).digest()


def _check_room(connection: Connection, made: LogInPasskey) -> None:
    """Raise InvalidInput if there is no room for one more, or none with this name."""
    own = rows.of_operator(connection, made.operator_id)
    if len(own) >= MOST_PASSKEYS:
        raise InvalidInput(f"you have {len(own)} passkeys: remove one that you use no more")
    if any(each.display_name.casefold() == made.display_name.casefold() for each in own):
        raise InvalidInput(f"you have a passkey named {made.display_name}: give another name")
    if rows.by_credential(connection, made.credential_id) is not None:
        raise InvalidInput("this passkey was added before: make a new one")


def _tell(
    by: Acting,
    kind: Kind,
    operator: Identity,
    passkey: LogInPasskey,
    said: dict[str, Detail],
) -> None:
    facts: dict[str, Detail] = {"passkey": passkey.id, **said}
    journal.append(by.connection, entries.about_identity(kind, operator, by.now, by.actor, facts))
