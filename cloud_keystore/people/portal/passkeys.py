"""Passkeys of holders, by which they log in to the portal besides the password. Who adds or removes
one has a code to the registered address: an open browser is not enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hmac import compare_digest

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from cloud_keystore.approval import passkeys
from cloud_keystore.approval.passkeys import Registration
from cloud_keystore.audit import entries, journal
from cloud_keystore.custody.credentials import challenges
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.model.actors import KEYSTORE
from cloud_keystore.model.approval_keys import Passkey, RelyingParty
from cloud_keystore.model.clock import new_id
from cloud_keystore.model.errors import (
    AddressUnreachable,
    ApprovalRejected,
    IdentityNotFound,
    InvalidInput,
    TokenRejected,
)
from cloud_keystore.model.fields.texts import text_field
from cloud_keystore.model.journal import Detail, Kind
from cloud_keystore.model.operations import Assertion
from cloud_keystore.model.outbox.notifications import Template
from cloud_keystore.model.people import Identity, Role, User
from cloud_keystore.model.portal.codes import Purpose
from cloud_keystore.model.portal.factors import Factor
from cloud_keystore.model.portal.passkeys import MOST_PASSKEYS, PortalPasskey
from cloud_keystore.model.rights.log_ins import LONGEST_PASSKEY_NAME, ChallengeUse
from cloud_keystore.people.portal import codes
from cloud_keystore.people.portal.assents import Assents
from cloud_keystore.people.portal.knowing import owner
from cloud_keystore.people.rights.log_in_passkeys import Asked, AskedNew, PasskeyAnswer
from cloud_keystore.storage.credentials.portal import codes as code_rows
from cloud_keystore.storage.credentials.portal import factors
from cloud_keystore.storage.credentials.portal import passkeys as rows
from cloud_keystore.storage.outbox import notifications as outbox
from cloud_keystore.storage.rights import visits

COPIED = (
    "this passkey's counter went back, so there may be a copy of it, and it is removed: log in "
    "again by what is asked now, and add another passkey"
)
UNKNOWN = (
    "this passkey is not one of yours or was removed, or its answer is not right: use another one, "
    "or begin again"
)
LAST = (
    "your log-ins need this passkey: choose something else first (How you log in), or add another "
    "passkey"
)


@dataclass(frozen=True, slots=True)
class AskedPasskeys:
    """What a log-in asks, and the credential ids of those who can answer."""

    asked: Asked
    allowed: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class PasskeyChange:
    """Whether a passkey was added or removed; if not, how many tries the code has left."""

    is_done: bool
    tries_left: int = 0


@dataclass(frozen=True, slots=True)
class PortalPasskeys:
    """Adds and removes holders' passkeys, and checks what they answer."""

    assents: Assents
    seal: Seal = field(repr=False)
    party: RelyingParty  # whose pages these are

    def list_own(self, holder: Identity) -> list[PortalPasskey]:
        """The passkeys of a holder, the first first. Raises IdentityRejected."""
        own = self.assents
        with own.database.read() as connection:
            user = owner(connection, holder, own.clock(), is_enrolling=True)
            return rows.of_user(connection, user.id)

    def send_code(self, holder: Identity) -> None:
        """Mail the code with which a passkey is added or removed. Raises AddressUnreachable,
        TooManyCalls.
        """
        own, now = self.assents, self.assents.clock()
        with own.database.write() as connection:
            user = owner(connection, holder, now, is_enrolling=True)
            if not user.email or user.email_verify_time is None:
                raise AddressUnreachable("verify your e-mail address under Contact first")
            codes.send(
                connection, Template.FACTOR_CODE, Purpose.PASSKEY, user.id, user, now, own.random
            )
            told: dict[str, Detail] = {"email": user.email, "factor": str(Factor.PASSKEY)}
            sent = entries.about_user(Kind.FACTOR_CODE_SENT, user, now, holder.actor, told)
            journal.append(connection, sent)

    def ask_new(self, holder: Identity) -> AskedNew:
        """What to make a holder's new passkey of. Raises IdentityRejected."""
        own, now = self.assents, self.assents.clock()
        with own.database.read() as connection:
            user = owner(connection, holder, now, is_enrolling=True)
            present = tuple(each.credential_id for each in rows.of_user(connection, user.id))
        asked = self._asked(ChallengeUse.PORTAL_ADD, user.id, now)
        return AskedNew(asked, handle(user), user.display_name, present)

    def add(
        self, name: str, code: str, challenge: bytes, made: Registration, holder: Identity
    ) -> PasskeyChange:
        """Keep a new passkey, with the code that was mailed. Raises InvalidInput, TokenRejected,
        AddressUnreachable.
        """
        own, now = self.assents, self.assents.clock()
        name = text_field("name", name, LONGEST_PASSKEY_NAME)
        try:
            with own.database.write() as connection:
                user = owner(connection, holder, now, is_enrolling=True)
                use = ChallengeUse.PORTAL_ADD
                challenges.checked(self.seal, challenge, use, user.id, now)
                found = passkeys.register(made, challenge, self.party)
                passkey = PortalPasskey(
                    id=new_id(now, own.random),
                    user_id=user.id,
                    display_name=name,
                    credential_id=found.credential_id,
                    public_key=found.public_key,
                    sign_count=found.sign_count,
                    backup_eligible=found.backup_eligible,
                    create_time=now,
                )
                _check_room(connection, passkey)
                tries_left = self._code_left(connection, user, code, holder, now)
                if tries_left is not None:
                    return PasskeyChange(is_done=False, tries_left=tries_left)
                rows.add(connection, passkey)
                said: dict[str, Detail] = {"name": name, "synced": found.backup_eligible}
                _tell(connection, Kind.PORTAL_PASSKEY_ADDED, user, passkey, holder, now, said)
        except IntegrityError:
            raise TokenRejected(challenges.LATE) from None
        return PasskeyChange(is_done=True)

    def remove_own(self, passkey_id: str, code: str, holder: Identity) -> PasskeyChange:
        """Let a passkey be of no use any more, with the code that was mailed, and end all visits:
        whoever has the passkey can have begun one. Raises IdentityNotFound, AddressUnreachable,
        and InvalidInput for the last one while log-ins need it.
        """
        own, now = self.assents, self.assents.clock()
        with own.database.write() as connection:
            user = owner(connection, holder, now)
            present = rows.of_user(connection, user.id)
            found = next((each for each in present if each.id == passkey_id), None)
            if found is None:
                raise IdentityNotFound("you have no such passkey: it may be removed already")
            if len(present) == 1 and factors.find(connection, user.id) is Factor.PASSKEY:
                raise InvalidInput(LAST)
            tries_left = self._code_left(connection, user, code, holder, now)
            if tries_left is not None:
                return PasskeyChange(is_done=False, tries_left=tries_left)
            rows.end(connection, found.id, now)
            said: dict[str, Detail] = {"name": found.display_name}
            _tell(connection, Kind.PORTAL_PASSKEY_REMOVED, user, found, holder, now, said)
            visits.end_all(connection, Role.HOLDER, user.id, now)
        return PasskeyChange(is_done=True)

    def asked(
        self, connection: Connection, user: User, use: ChallengeUse, about: str
    ) -> AskedPasskeys:
        """What the passkeys of a user are asked about one thing alone."""
        present = rows.of_user(connection, user.id)
        asked = self._asked(use, about, self.assents.clock())
        return AskedPasskeys(asked, tuple(each.credential_id for each in present))

    def take(
        self,
        connection: Connection,
        user: User,
        use: ChallengeUse,
        about: str,
        answer: PasskeyAnswer,
    ) -> str:
        """Take the answer of a user's passkey, in the transaction of the caller, who takes none for
        the same thing again; returns the passkey's id. One that shows to have been copied is
        removed, all visits end, and the text is empty. Raises ApprovalRejected.
        """
        now = self.assents.clock()
        try:
            challenges.checked(self.seal, answer.challenge, use, about, now)
        except TokenRejected as error:
            raise ApprovalRejected(str(error)) from None
        known = rows.by_credential(connection, answer.credential_id)
        if known is None or known.end_time is not None or known.user_id != user.id:
            raise ApprovalRejected(UNKNOWN)
        # It need not say whose it is if it was named (WebAuthn level 3, 7.2, step 6).
        if answer.user_handle and not compare_digest(answer.user_handle, handle(user)):
            raise ApprovalRejected(UNKNOWN)
        assertion = Assertion(answer.authenticator_data, answer.client_data, answer.credential_id)
        key = Passkey(
            known.public_key,
            known.credential_id,
            self.party,
            backup_eligible=known.backup_eligible,
        )
        try:
            passkeys.verify(key, answer.challenge, assertion, answer.signature)
            used = passkeys.usage(assertion)
        except ApprovalRejected:
            raise ApprovalRejected(UNKNOWN) from None
        if rows.count_use(connection, known, used.sign_count, now):
            return known.id
        rows.end(connection, known.id, now)
        said: dict[str, Detail] = {"name": known.display_name}
        _tell(connection, Kind.PORTAL_PASSKEY_COPIED, user, known, None, now, said)
        outbox.put(connection, Template.PASSKEY_COPIED, user.id, now)
        visits.end_all(connection, Role.HOLDER, user.id, now)
        return ""

    def _asked(self, use: ChallengeUse, who: str, now: datetime) -> Asked:
        challenge = challenges.new(self.seal, use, who, now, self.assents.random)
        return Asked(challenge, self.party.id, self.party.origin)

    def _code_left(
        self, connection: Connection, user: User, code: str, holder: Identity, now: datetime
    ) -> int | None:
        """None if the code is right, which is spent then; or else how many tries are left. Raises
        AddressUnreachable.
        """
        awaited, right = codes.take(
            connection, self.seal, Purpose.PASSKEY, user.id, user, code.strip(), now
        )
        if awaited is None:
            raise AddressUnreachable("no code is awaited: let one be sent first")
        if right:
            code_rows.end_all(connection, user.id, Purpose.PASSKEY, now)
            return None
        said: dict[str, Detail] = {"tries_left": awaited.tries_left}
        wrong = entries.about_user(Kind.FACTOR_CODE_WRONG, user, now, holder.actor, said)
        journal.append(connection, wrong)
        return awaited.tries_left


def handle(user: User) -> bytes:
    """What authenticators know a holder by (5.4.3): it says nothing of the person."""
    return user.id.encode()


def _check_room(connection: Connection, made: PortalPasskey) -> None:
    """Raise InvalidInput if there is no room for one more, or none with this name."""
    own: Sequence[PortalPasskey] = rows.of_user(connection, made.user_id)
    if len(own) >= MOST_PASSKEYS:
        raise InvalidInput(f"you have {len(own)} passkeys: remove one that you use no more")
    if any(each.display_name.casefold() == made.display_name.casefold() for each in own):
        raise InvalidInput(f"you have a passkey named {made.display_name}: give another name")
    if rows.by_credential(connection, made.credential_id) is not None:
        raise InvalidInput("this passkey was added before: make a new one")


def _tell(
    connection: Connection,
    kind: Kind,
    user: User,
    passkey: PortalPasskey,
    by: Identity | None,
    now: datetime,
    said: dict[str, Detail],
) -> None:
    facts: dict[str, Detail] = {"passkey": passkey.id, **said}
    actor = KEYSTORE if by is None else by.actor
    journal.append(connection, entries.about_user(kind, user, now, actor, facts))
