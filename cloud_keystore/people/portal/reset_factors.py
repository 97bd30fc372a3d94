"""What a forgotten password needs besides the code that is mailed, where its holder has chosen a
phone, a passkey, or a code to their number for log-ins: whoever reads the mail alone sets none. It
is asked for and given for one mailed code, with whose use it is used.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from cloud_keystore.audit import entries, journal
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.model.actors import KEYSTORE
from cloud_keystore.model.errors import ApprovalRejected, PortalClosed
from cloud_keystore.model.journal import Detail, Kind
from cloud_keystore.model.outbox.notifications import Template
from cloud_keystore.model.people import User
from cloud_keystore.model.portal.assents import AssentState, Subject
from cloud_keystore.model.portal.codes import HOUR, MailedCode, Purpose
from cloud_keystore.model.portal.factors import AGREEABLE, Factor, Needed, Unproven
from cloud_keystore.model.rights.log_ins import ChallengeUse
from cloud_keystore.people.portal import available, codes
from cloud_keystore.people.portal.assents import Assents
from cloud_keystore.people.portal.passkeys import COPIED, AskedPasskeys, PortalPasskeys
from cloud_keystore.people.rights.log_in_passkeys import PasskeyAnswer
from cloud_keystore.storage.credentials.portal import codes as code_rows

NOT_ALONE = (
    "this person's log-ins need more than mail, and so does another password: it is set at the "
    "keystore's own page (/me/forgotten), or on the phone (cloudcard authenticator portal password)"
)
_LIVE = frozenset({AssentState.WAITING, AssentState.AGREED})


@dataclass(frozen=True, slots=True)
class Given:
    """What is given besides the mailed code: nothing, if a phone was to agree."""

    code: str = field(default="", repr=False)  # that came by SMS
    answer: PasskeyAnswer | None = None


@dataclass(frozen=True, slots=True)
class Proven:
    """By what it was, and by which passkey."""

    factor: Factor
    passkey: str = ""


@dataclass(frozen=True, slots=True)
class ResetFactors:
    """Asks for it, and takes it, in transactions of callers who have been given the mailed code."""

    assents: Assents
    passkeys: PortalPasskeys
    seal: Seal = field(repr=False)

    def check_none(self, connection: Connection, user: User, now: datetime) -> None:
        """Raise PortalClosed unless the mailed code is enough."""
        if available.in_force(connection, user, now) is not Factor.EMAIL:
            raise PortalClosed(NOT_ALONE)

    def ask(
        self,
        connection: Connection,
        user: User,
        mailed: MailedCode,
        now: datetime,
        *,
        again: bool = False,
        by_phone: bool = False,
    ) -> Needed:
        """Send a code by SMS or ask the phones, unless that was done, or `again`; a phone can be
        asked in the place of a passkey, which the page asks. Callers wake the phones. Raises
        InvalidInput, AddressUnreachable, TooManyCalls.
        """
        factor = available.in_force(connection, user, now)
        can_phone = factor in AGREEABLE and available.can_phone(connection, user, now)
        if factor is Factor.PASSKEY and by_phone:
            factor = Factor.PHONE
        if factor is Factor.SMS:
            sent = code_rows.count(connection, mailed.id, Purpose.RESET, now - HOUR)
            if again or not sent:
                self._send(connection, user, mailed, now)
            return Needed(factor)
        if factor is not Factor.PHONE:
            return Needed(factor, can_phone=can_phone)
        made = self.assents.state_of(connection, user, Subject.RESET, mailed.id)
        if again or made is None or made.state_at(now) not in _LIVE:
            made = self.assents.ask(connection, user, Subject.RESET, mailed.id, None)
        return Needed(factor, made.number, can_phone)

    def ask_passkey(self, connection: Connection, user: User, mailed: MailedCode) -> AskedPasskeys:
        """What to ask the passkeys of somebody who has been given the mailed code."""
        return self.passkeys.asked(connection, user, ChallengeUse.PORTAL_RESET, mailed.id)

    def take(
        self,
        connection: Connection,
        user: User,
        mailed: MailedCode,
        given: Given,
        now: datetime,
    ) -> Proven | Unproven:
        """Use what was given, in the transaction that spends the mailed code."""
        factor = available.in_force(connection, user, now)
        if factor is Factor.EMAIL:
            return Proven(factor)
        if factor is Factor.SMS:
            return self._take_code(connection, user, mailed, given.code, now)
        if factor is Factor.PASSKEY and given.answer is not None:
            return self._take_answer(connection, user, mailed, given.answer)
        state = self.assents.take(connection, user, Subject.RESET, mailed.id)
        if state is not AssentState.AGREED:
            return Unproven(phone=state)
        return Proven(Factor.PHONE)

    def _send(self, connection: Connection, user: User, mailed: MailedCode, now: datetime) -> None:
        codes.send(
            connection,
            Template.RESET_SMS,
            Purpose.RESET,
            mailed.id,
            user,
            now,
            self.assents.random,
            address=user.phone,
        )
        said: dict[str, Detail] = {str(Factor.SMS): user.phone}
        told = entries.about_user(Kind.RESET_CODE_SENT, user, now, KEYSTORE, said)
        journal.append(connection, told)

    def _take_code(
        self, connection: Connection, user: User, mailed: MailedCode, code: str, now: datetime
    ) -> Proven | Unproven:
        awaited, right = codes.take(
            connection,
            self.seal,
            Purpose.RESET,
            mailed.id,
            user,
            code.strip(),
            now,
            address=user.phone,
        )
        if right:
            code_rows.end_all(connection, mailed.id, Purpose.RESET, now)
            return Proven(Factor.SMS)
        left = 0 if awaited is None else awaited.tries_left
        said: dict[str, Detail] = {"factor": str(Factor.SMS), "tries_left": left}
        wrong = entries.about_user(Kind.RESET_CODE_WRONG, user, now, KEYSTORE, said)
        journal.append(connection, wrong)
        return Unproven(tries_left=left)

    def _take_answer(
        self, connection: Connection, user: User, mailed: MailedCode, answer: PasskeyAnswer
    ) -> Proven | Unproven:
        use = ChallengeUse.PORTAL_RESET
        try:
            passkey = self.passkeys.take(connection, user, use, mailed.id, answer)
        except ApprovalRejected as error:
            return Unproven(passkey=str(error))
        return Proven(Factor.PASSKEY, passkey) if passkey else Unproven(passkey=COPIED)
