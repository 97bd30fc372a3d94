"""Tells API clients whether a code that somebody has scanned is genuine and still good. It is not
used by that.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum, unique
from hashlib import sha256
from hmac import compare_digest

from cloud_keystore.approval import qr
from cloud_keystore.audit import acting
from cloud_keystore.audit.acting import Acting
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.model import operations as asked
from cloud_keystore.model import sign_ins as entered
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.operations import Channel
from cloud_keystore.model.people import IdentityState
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.operations import asking, signing_in
from cloud_keystore.storage import cards, operations, people, sign_ins
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.enrolment import tokens

LONGEST_CODE = 512  # characters
TOKEN_PREFIX = "cc1."  # noqa: S105 (a format's name)
FINGERPRINT_BYTES, SECRET_BYTES = 32, 16


@unique
class CodeState(StrEnum):
    """What a code is."""

    VALID = "valid"
    USED = "used"  # scanned, answered or withdrawn
    EXPIRED = "expired"
    WRONG_USER = "wrong-user"
    UNKNOWN = "unknown"  # forged, another keystore's, or about what the client does not see
    MALFORMED = "malformed"


@unique
class CodeSort(StrEnum):
    """What a code is of."""

    OPERATION = "operation"
    SIGN_IN = "sign-in"
    ENROLMENT = "enrolment"


@dataclass(frozen=True, slots=True)
class Told:
    """What is told of a code. Only of one that is genuine, and about what the client sees, there is
    more than its state.
    """

    state: CodeState
    sort: CodeSort | None = None
    user_id: str = ""
    card_serial: str = ""
    organisation_id: str = ""
    expire_time: datetime | None = None


UNKNOWN = Told(CodeState.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Validating:
    """Looks at codes of operations, sign-ins and enrolments. `enrolment_sha256` is the fingerprint
    in the tokens of this keystore.
    """

    database: Database
    clock: Clock
    seal: Seal = field(repr=False)
    enrolment_sha256: bytes

    def validate(self, text: str, user_id: str = "", *, actor: Actor) -> Told:
        """What the text of a code is, and whether it is a user's if one is named. Whatever the
        actor does not see is told as what is forged. Raises NotAllowed, InvalidInput.
        """
        if len(text) > LONGEST_CODE:
            raise InvalidInput(f"text has more than {LONGEST_CODE} characters: no code has")
        now, text = self.clock(), text.strip()
        with acting.looking(self.database, actor, now) as by:
            by.need_somewhere(Right.VIEW)
            found = self._read(text)
            told = Told(CodeState.MALFORMED) if found is None else found(by)
        if user_id and told.user_id not in ("", user_id):
            told = Told(CodeState.WRONG_USER, told.sort)
        return told

    def _read(self, text: str) -> Callable[[Acting], Told] | None:
        """What looks at a code; None for a text that is none."""
        if text.startswith(TOKEN_PREFIX):
            token = _token(text)
            return None if token is None else lambda by: self._enrolment(by, *token)
        try:
            own_id, secret = qr.parse(text)
        except InvalidInput:
            return None
        look = self._sign_in if qr.is_sign_in(text) else self._operation
        return lambda by: look(by, own_id, secret)

    def _operation(self, by: Acting, own_id: str, secret: bytes) -> Told:
        genuine = compare_digest(secret, asking.qr_secret(self.seal, own_id))
        found = operations.find(by.connection, own_id)
        if not genuine or found is None or Channel.QR not in found.channels:
            return UNKNOWN
        code = _about(by, CodeSort.OPERATION, found.user_id, found.card_id)
        if code is None:
            return UNKNOWN
        end = min(found.expire_time, found.qr_expire_time)
        untouched = found.state in (asked.State.PENDING, asked.State.EXPIRED)
        state = _state(by.now, end, is_new=untouched and found.claimed_by is None)
        return replace(code, state=state, expire_time=end)

    def _sign_in(self, by: Acting, own_id: str, secret: bytes) -> Told:
        genuine = compare_digest(secret, signing_in.qr_secret(self.seal, own_id))
        found = sign_ins.find(by.connection, own_id)
        if not genuine or found is None or found.channel is not Channel.QR:
            return UNKNOWN
        workstation = people.find_identity(by.connection, found.workstation_id)
        if workstation is None or not by.sees_identity(workstation):
            return UNKNOWN
        untouched = found.state is entered.State.PENDING or found.why is entered.Why.TIME
        told = Told(
            _state(by.now, found.qr_expire_time, is_new=untouched and found.claimed_by is None),
            CodeSort.SIGN_IN,
            organisation_id=workstation.organisation_id,
            expire_time=found.qr_expire_time,
        )
        if found.user_id is None or found.card_id is None:
            return told
        # Whose card it is, is told to those who see the holder.
        known = _about(by, CodeSort.SIGN_IN, found.user_id, found.card_id)
        if known is None:
            return told
        return replace(told, user_id=known.user_id, card_serial=known.card_serial)

    def _enrolment(self, by: Acting, fingerprint: bytes, secret: bytes) -> Told:
        found = tokens.of_secret(by.connection, sha256(secret).digest())
        if found is None or not compare_digest(fingerprint, self.enrolment_sha256):
            return UNKNOWN
        invited, terms = found
        if not by.sees_identity(invited):
            return UNKNOWN
        is_new = terms.use_time is None and invited.state is IdentityState.INVITED
        organisation_id = invited.organisation_id
        if invited.user_id is not None:
            organisation_id = people.user(by.connection, invited.user_id).organisation_id
        return Told(
            _state(by.now, terms.expire_time, is_new=is_new),
            CodeSort.ENROLMENT,
            user_id=invited.user_id or "",
            organisation_id=organisation_id,
            expire_time=terms.expire_time,
        )


def _about(by: Acting, sort: CodeSort, user_id: str, card_id: str) -> Told | None:
    """Whose card a code is about; None if the client does not see it."""
    holder, card = people.find_user(by.connection, user_id), cards.find(by.connection, card_id)
    if holder is None or card is None or not by.held.has(Right.VIEW, holder.organisation_id):
        return None
    return Told(CodeState.VALID, sort, user_id, card.serial, holder.organisation_id)


def _state(now: datetime, end: datetime, *, is_new: bool) -> CodeState:
    if not is_new:
        return CodeState.USED
    return CodeState.VALID if now < end else CodeState.EXPIRED


def _token(text: str) -> tuple[bytes, bytes] | None:
    """Fingerprint and secret of an enrolment token; None for a text that is none."""
    body, at, _ = text.removeprefix(TOKEN_PREFIX).partition("@")
    try:
        raw = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    except (binascii.Error, ValueError):
        return None
    if not at or len(raw) != FINGERPRINT_BYTES + SECRET_BYTES:
        return None
    return raw[:FINGERPRINT_BYTES], raw[FINGERPRINT_BYTES:]
