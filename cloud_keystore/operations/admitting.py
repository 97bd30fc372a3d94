"""The device's use cases of sign-ins: what waits, claiming a code, deciding, ending."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hmac import compare_digest

from sqlalchemy import Connection

from cloud_keystore.approval import qr, statement
from cloud_keystore.audit import alerts, entries, journal
from cloud_keystore.custody.credentials import accepting, app_pins
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.custody.use.closing import end_sign_ins
from cloud_keystore.model.alerts import AlertKind
from cloud_keystore.model.cards import Card, CardState
from cloud_keystore.model.clock import Clock, Random
from cloud_keystore.model.errors import (
    CardNotFound,
    CardNotInUse,
    InvalidInput,
    OperationClosed,
    OperationNotFound,
    SignInNotFound,
)
from cloud_keystore.model.journal import Detail, Entry, Kind
from cloud_keystore.model.operations import Approval, Assertion, Channel, Decision
from cloud_keystore.model.operations import State as Decided
from cloud_keystore.model.people import Identity
from cloud_keystore.model.sign_ins import SignIn, State, Why
from cloud_keystore.notify.wakeups import Wake
from cloud_keystore.operations.asking import number_salt
from cloud_keystore.operations.signing_in import bound, newest_in_use, qr_secret
from cloud_keystore.pki.issuers import Authorities
from cloud_keystore.storage import cards, people, policies, sign_ins
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.sign_ins import Which

NOT_YOURS = "there is no such sign-in for you"


@dataclass(frozen=True, slots=True)
class OpenSignIn:
    """A card in a workstation's reader, as its holder sees it."""

    sign_in: SignIn
    card_serial: str
    workstation: str
    site: str


@dataclass(frozen=True, slots=True)
class Admitting:
    """The device's use cases of sign-ins."""

    database: Database
    seal: Seal
    clock: Clock
    wake: Wake
    random: Random
    authorities: Authorities

    def waiting(self, device: Identity) -> list[SignIn]:
        """The sign-ins that ring for the device's holder, or that this device has claimed. Raises
        IdentityRejected if the device was removed.
        """
        with self.database.read() as connection:
            now = self.clock()
            accepting.check_active(connection, device, now)
            found = sign_ins.list_of(connection, device.user_id or "", State.PENDING, now)
        return [each for each in found if _may_see(each, device)]

    def find(self, sign_in_id: str, device: Identity) -> SignIn:
        """A sign-in of the device's holder; raises OperationNotFound."""
        with self.database.read() as connection:
            found = sign_ins.find(connection, sign_in_id)
        if found is None or found.user_id != device.user_id or not _may_see(found, device):
            raise OperationNotFound(NOT_YOURS)
        return found

    def signature(self, sign_in_id: str, device: Identity) -> bytes:
        """The keystore's signature over what the device shows; raises OperationNotFound."""
        return self.authorities.sign_request(_payload(self.find(sign_in_id, device)))

    def claim(self, qr_text: str, card_serial: str, device: Identity) -> SignIn:
        """Bind the sign-in of a scanned code to this device and to a card of its holder, or without
        a serial number to the one issued last.

        Raises InvalidInput, OperationNotFound if the code is forged, OperationClosed if another
        device has claimed it or it has expired, CardNotFound and CardNotInUse.
        """
        sign_in_id, secret = qr.parse(qr_text)
        with self.database.write() as connection:
            now = self.clock()
            accepting.check_active(connection, device, now)
            sign_in = sign_ins.find(connection, sign_in_id)
            if (
                sign_in is None
                or not compare_digest(secret, qr_secret(self.seal, sign_in_id))
                or sign_in.channel is not Channel.QR
            ):
                raise OperationNotFound(
                    "this code is not from your keystore: scan the one on your own workstation"
                )
            if sign_in.claimed_by == device.id and sign_in.state_at(now) is State.PENDING:
                return sign_in
            card = _card(connection, card_serial, device)
            _check_channel(connection, card)
            asked_at = people.find_identity(connection, sign_in.workstation_id)
            if asked_at is None or not asked_at.is_active(now):
                raise OperationClosed("this workstation was removed: use another one")
            holder = people.holder(connection, card)
            claimed = bound(self.seal, self.random, connection, sign_in, card, holder, asked_at)
            binding = {
                "card_id": claimed.card_id,
                "user_id": claimed.user_id,
                "payload": claimed.payload,
            }
            if not sign_ins.claim(connection, sign_in_id, device.id, now, {**binding}):
                raise OperationClosed(
                    "this code has been used or has expired: start again at the workstation"
                )
            evidence = {"payload": _payload(claimed)}
            told = _entry(Kind.SIGN_IN_CLAIMED, claimed, device, now, evidence=evidence)
            journal.append(connection, told)
        return self.find(sign_in_id, device)

    def decide(
        self,
        sign_in_id: str,
        decision: Decision,
        number: str,
        signature: bytes,
        device: Identity,
        assertion: Assertion | None = None,
    ) -> Decided:
        """Take a decision; only the first one counts, a wrong number is a refusal, and a repeated
        decision gets the same answer, as for operations. An approval ends the card's sign-ins
        elsewhere. NOT_ME raises an alert; the card stays in use, because whoever began a sign-in
        has shown no passcode.

        Raises InvalidInput, OperationNotFound, OperationClosed, ApprovalRejected, CardNotInUse.
        """
        accepting.check_number_form(number)
        sign_in = self.find(sign_in_id, device)
        now = self.clock()
        approval = Approval(device.id, decision, number, signature, assertion)
        repeated = accepting.same_decision(approval, sign_in.approval)
        if sign_in.state_at(now) is not State.PENDING and not repeated:
            raise _too_late(sign_in, now)
        with self.database.read() as connection:
            key = accepting.key_of(connection, device)
        accepting.check_credential(key, assertion)
        statement.verify(_payload(sign_in), approval, key)
        if repeated:
            return sign_in.decided_at(now)
        agrees = decision is Decision.APPROVE and _at_the_workstation(sign_in, number, device)
        with self.database.write() as connection:
            now = self.clock()
            accepting.check_active(connection, device, now)
            card = cards.find(connection, sign_in.card_id or "")
            if card is None:
                raise OperationNotFound(NOT_YOURS)
            topics = [sign_in_id, card.user_id]
            if decision is Decision.APPROVE:
                in_force = policies.in_force(connection, card.organisation_id, card.profile)
                accepting.check_policy(in_force.policy, key)
                app_pins.check_given(connection, device, sign_in_id, now)
                if card.state is not CardState.ACTIVE:
                    raise CardNotInUse(f"card {card.serial} is {card.state}")
            if agrees:
                elsewhere = (
                    each.id
                    for each in sign_ins.list_of(connection, card.user_id, State.OPEN, now)
                    if each.card_id == card.id
                )
                for other in elsewhere:
                    which = Which(sign_in_id=other)
                    topics += end_sign_ins(connection, now, device.actor, Why.REPLACED, which)
            if not sign_ins.decide(connection, sign_in_id, approval, now, agrees=agrees):
                found = sign_ins.find(connection, sign_in_id) or sign_in
                if accepting.same_decision(approval, found.approval):
                    return found.decided_at(now)
                raise _too_late(found, now)
            if assertion is not None:
                accepting.count_use(connection, device, assertion)
            kind = Kind.SIGN_IN_APPROVED if agrees else Kind.SIGN_IN_DENIED
            kind = Kind.SIGN_IN_REPORTED if decision is Decision.NOT_ME else kind
            evidence = {
                "approval_key": key.public_key,
                "number_salt": number_salt(self.seal, sign_in_id),
                **entries.approval_evidence(_payload(sign_in), approval),
            }
            details = accepting.told(approval, key)
            journal.append(connection, _entry(kind, sign_in, device, now, details, evidence))
            if decision is Decision.NOT_ME:
                self._report(connection, sign_in, card, now)
        self.wake(topics)
        return Decided.APPROVED if agrees else Decided.DENIED

    def list_open(self, device: Identity) -> list[OpenSignIn]:
        """The readers in which the holder's cards are, oldest first."""
        with self.database.read() as connection:
            now, user_id = self.clock(), device.user_id or ""
            found = sign_ins.list_of(connection, user_id, State.OPEN, now)
            return [_listed(connection, each) for each in found]

    def end(self, sign_in_id: str, device: Identity) -> None:
        """Take a card of the holder's out of a reader; does nothing if it is out. Raises
        SignInNotFound.
        """
        with self.database.write() as connection:
            found = sign_ins.find(connection, sign_in_id)
            if found is None or found.user_id is None or found.user_id != device.user_id:
                raise SignInNotFound("you have no such sign-in")
            which = Which(sign_in_id=sign_in_id)
            topics = end_sign_ins(connection, self.clock(), device.actor, Why.HOLDER, which)
        self.wake([*topics, found.user_id])

    def _report(self, connection: Connection, sign_in: SignIn, card: Card, now: datetime) -> None:
        asked_at = people.find_identity(connection, sign_in.workstation_id)
        place = "" if asked_at is None else f" at workstation {asked_at.display_name}"
        alerts.raise_alert(
            connection,
            AlertKind.NOT_ME,
            card,
            f"The holder of card {card.serial} did not ask to sign in{place}, as the phone said. "
            "No passcode was given. Find out who tried it.",
            now,
            self.random,
            asked_at,
        )


def _payload(sign_in: SignIn) -> bytes:
    if sign_in.payload is None:
        raise OperationNotFound(NOT_YOURS)
    return sign_in.payload


def _card(connection: Connection, serial: str, device: Identity) -> Card:
    """A card in use of the device's holder. Raises CardNotFound, CardNotInUse."""
    card = (
        cards.find_by_serial(connection, serial)
        if serial
        else newest_in_use(connection, device.user_id or "")
    )
    if card is None or card.user_id != device.user_id:
        raise CardNotFound("you have no such card in use")
    if card.state is not CardState.ACTIVE:
        raise CardNotInUse(f"card {card.serial} is {card.state}")
    return card


def _check_channel(connection: Connection, card: Card) -> None:
    """Raise InvalidInput if the policy does without codes."""
    in_force = policies.in_force(connection, card.organisation_id, card.profile)
    if Channel.QR not in in_force.policy.channels:
        raise InvalidInput("the policy in force reaches the holder by PUSH alone")


def _may_see(sign_in: SignIn, device: Identity) -> bool:
    return sign_in.channel is Channel.PUSH or sign_in.claimed_by == device.id


def _at_the_workstation(sign_in: SignIn, number: str, device: Identity) -> bool:
    """Whether the holder has seen the code or the number on the workstation's screen."""
    if sign_in.claimed_by == device.id:
        return number == ""
    return sign_in.channel is Channel.PUSH and compare_digest(number, sign_in.number)


def _too_late(sign_in: SignIn, now: datetime) -> OperationClosed:
    return OperationClosed(f"too late: the sign-in is {sign_in.state_at(now).name.lower()}")


def _listed(connection: Connection, sign_in: SignIn) -> OpenSignIn:
    card = cards.find(connection, sign_in.card_id or "")
    workstation = people.find_identity(connection, sign_in.workstation_id)
    if card is None or workstation is None:
        raise SignInNotFound("the sign-in's card or workstation does not exist")
    return OpenSignIn(sign_in, card.serial, workstation.display_name, workstation.site)


def _entry(
    kind: Kind,
    sign_in: SignIn,
    device: Identity,
    now: datetime,
    details: Mapping[str, Detail] = entries.NO_DETAILS,
    evidence: Mapping[str, bytes] = entries.NO_EVIDENCE,
) -> Entry:
    return entries.about_asked(
        kind, sign_in, now, device.actor, details, evidence, device_id=device.id
    )
