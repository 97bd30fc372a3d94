"""The device's use cases of operations: listing what waits, claiming a code, deciding."""

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
from cloud_keystore.custody.use import seating
from cloud_keystore.custody.use.closing import close_card
from cloud_keystore.model.alerts import AlertKind
from cloud_keystore.model.approval_keys import ApprovalKey
from cloud_keystore.model.cards import Card, CardEvent
from cloud_keystore.model.clock import Clock, Random
from cloud_keystore.model.errors import (
    OperationClosed,
    OperationNotFound,
)
from cloud_keystore.model.finding import SHORTEST_BEGINNING
from cloud_keystore.model.journal import Detail, Entry, Kind
from cloud_keystore.model.operations import (
    Approval,
    Assertion,
    Channel,
    Decision,
    Event,
    Operation,
    State,
)
from cloud_keystore.model.outbox.notifications import Template
from cloud_keystore.model.people import Identity
from cloud_keystore.model.sharing.seats import Seat
from cloud_keystore.notify.wakeups import Wake
from cloud_keystore.operations.asking import number_salt, qr_secret
from cloud_keystore.pki.issuers import Authorities
from cloud_keystore.pki.revocation import recording
from cloud_keystore.storage import cards, operations, people, policies
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.outbox import notifications as outbox

NOT_YOURS = "there is no such operation for you"
REPORTED = "its holder reported a request of somebody else"
BY_YOU = "you, who did not make a request that came up on your phone"


@dataclass(frozen=True, slots=True)
class Deciding:
    """The device's use cases."""

    database: Database
    seal: Seal
    clock: Clock
    wake: Wake
    random: Random
    authorities: Authorities

    def waiting(self, device: Identity) -> list[Operation]:
        """List the holder's open operations that came by push or that this device has claimed.
        Raises IdentityRejected if the device was removed.
        """
        with self.database.read() as connection:
            now = self.clock()
            accepting.check_active(connection, device, now)
            waiting = operations.list_waiting(connection, _holder(device), now)
        return [each for each in waiting if _may_see(each, device)]

    def find(self, operation_id: str, device: Identity) -> Operation:
        """Return an operation of the device's holder; raises OperationNotFound."""
        with self.database.read() as connection:
            return _find(connection, operation_id, device)

    def signature(self, operation_id: str, device: Identity) -> bytes:
        """The keystore's signature over the request that the device shows; raises
        OperationNotFound.
        """
        return self.authorities.sign_request(self.find(operation_id, device).payload)

    def named(self, text: str, device: Identity) -> Operation:
        """The operation with an identifier; or else the only one that waits for this device whose
        identifier begins so. Raises OperationNotFound.
        """
        # The whole identifier, as programs give it, takes no look at all that waits.
        with self.database.read() as connection:
            accepting.check_active(connection, device, self.clock())
            if operations.find(connection, text) is not None:
                return _find(connection, text, device)
        begun = [each for each in self.waiting(device) if each.id.startswith(text)]
        if len(text) < SHORTEST_BEGINNING or not begun:
            raise OperationNotFound(NOT_YOURS)
        if len(begun) > 1:
            raise OperationNotFound(
                f"{len(begun)} requests that wait for you begin so: give more of the identifier"
            )
        return begun[0]

    def claim(self, qr_text: str, device: Identity) -> Operation:
        """Bind the operation of a scanned code to this device.

        Raises InvalidInput if the code is not from cloudcard, OperationNotFound if it is forged or
        for another holder, and OperationClosed if another device has claimed it, or it has expired
        or been decided.
        """
        operation_id, secret = qr.parse(qr_text)
        with self.database.read() as connection:
            operation = operations.find(connection, operation_id)
        if (
            operation is None
            or not compare_digest(secret, qr_secret(self.seal, operation_id))
            or operation.user_id != device.user_id
            or Channel.QR not in operation.channels
        ):
            raise OperationNotFound(
                "this code is not for you: scan the one on your own workstation"
            )
        with self.database.write() as connection:
            now = self.clock()
            accepting.check_active(connection, device, now)
            if not operations.claim(connection, operation_id, device.id, now):
                raise OperationClosed(
                    "this code has been used or has expired: start again at the workstation"
                )
            if operation.claimed_by is None:
                journal.append(connection, _entry(Kind.OPERATION_CLAIMED, operation, device, now))
        return self.find(operation_id, device)

    def decide(
        self,
        operation_id: str,
        decision: Decision,
        number: str,
        signature: bytes,
        device: Identity,
        assertion: Assertion | None = None,
    ) -> State:
        """Take a decision; only the first one counts. With a wrong number it becomes a refusal, so
        there is only one guess. A device that repeats its decision, because the answer was lost,
        gets the same answer again.

        NOT_ME also suspends the card, ends its sessions and waiting operations, and raises an
        alert.

        Raises InvalidInput, OperationNotFound, OperationClosed, and ApprovalRejected if the
        signature is not the device's over these bytes, or the policy does not accept its key. A
        call that raises changes nothing.
        """
        accepting.check_number_form(number)
        with self.database.read() as connection:
            operation = _find(connection, operation_id, device)
            key = accepting.key_of(connection, device)
        now = self.clock()
        approval = Approval(device.id, decision, number, signature, assertion)
        if not operation.is_open(now) and not _repeats(approval, operation):
            raise _too_late(operation, now)
        accepting.check_credential(key, assertion)
        statement.verify(operation.payload, approval, key)
        if _repeats(approval, operation):
            return _answered(operation)
        agrees = decision is Decision.APPROVE and _at_the_workstation(operation, number, device)
        event = Event.APPROVE if agrees else Event.DENY
        with self.database.write() as connection:
            accepting.check_active(connection, device, now)
            card = cards.find(connection, operation.card_id)
            if card is None:
                raise OperationNotFound(NOT_YOURS)
            seat = seating.find(connection, device)
            # This must not depend on the number, so that an error reveals nothing about it.
            if decision is Decision.APPROVE:
                in_force = policies.in_force(connection, card.organisation_id, card.profile)
                accepting.check_policy(in_force.policy, key)
                app_pins.check_given(connection, device, operation_id, now)
                seating.check(connection, device, key, card, now)
            now = self.clock()
            if not operations.decide(connection, operation_id, event, approval, now):
                found = operations.find(connection, operation_id) or operation
                # The same decision can arrive twice at once.
                if _repeats(approval, found):
                    return _answered(found)
                raise _too_late(found, now)
            if assertion is not None:
                accepting.count_use(connection, device, assertion)
            kind = Kind.OPERATION_APPROVED if agrees else Kind.OPERATION_DENIED
            kind = Kind.OPERATION_REPORTED if decision is Decision.NOT_ME else kind
            salt = number_salt(self.seal, operation_id)
            decided = _decided(kind, operation, device, now, approval, key, salt, seat)
            journal.append(connection, decided)
            withdrawn = (
                self._suspend(connection, operation, card, device, now)
                if decision is Decision.NOT_ME
                else []
            )
        self.wake([operation_id, operation.user_id, *withdrawn])
        return State.APPROVED if agrees else State.DENIED

    def _suspend(
        self,
        connection: Connection,
        operation: Operation,
        card: Card,
        device: Identity,
        now: datetime,
    ) -> list[str]:
        """Suspend a card that somebody else has used, and raise an alert. Returns the operations
        that were withdrawn.
        """
        suspended = cards.move(connection, card.id, CardEvent.SUSPEND, REPORTED)
        withdrawn = close_card(connection, card.id, now, device.actor, REPORTED)
        if suspended:
            recording.hold(connection, card.id, now)
            details = {"reason": REPORTED}
            journal.append(connection, _entry(Kind.CARD_SUSPENDED, operation, device, now, details))
            outbox.about_card(connection, Template.SUSPENDED, card, now, who=BY_YOU)
        asked_at = people.find_identity(connection, operation.workstation_id)
        place = "" if asked_at is None else f" at workstation {asked_at.display_name}"
        alerts.raise_alert(
            connection,
            AlertKind.NOT_ME,
            card,
            f"The holder of card {card.serial} did not make the request{place} that came up on "
            "the phone. Whoever made it may know the passcode: the card is suspended. Ask the "
            "holder, and have the passcode changed before the card is resumed.",
            now,
            self.random,
            asked_at,
        )
        return withdrawn


def _find(connection: Connection, operation_id: str, device: Identity) -> Operation:
    """An operation of the device's holder; raises OperationNotFound."""
    found = operations.find(connection, operation_id)
    if found is None or found.user_id != device.user_id or not _may_see(found, device):
        raise OperationNotFound(NOT_YOURS)
    return found


def _too_late(operation: Operation, now: datetime) -> OperationClosed:
    state = operation.state_at(now).name.lower()
    return OperationClosed(f"too late: the operation is {state}")


def _repeats(approval: Approval, operation: Operation) -> bool:
    return accepting.same_decision(approval, operation.approval)


def _answered(operation: Operation) -> State:
    """The answer to the decision that was taken, whatever has become of the operation since."""
    return State.DENIED if operation.state is State.DENIED else State.APPROVED


def _entry(
    kind: Kind,
    operation: Operation,
    device: Identity,
    now: datetime,
    details: Mapping[str, Detail] = entries.NO_DETAILS,
    evidence: Mapping[str, bytes] = entries.NO_EVIDENCE,
) -> Entry:
    return entries.about_asked(
        kind, operation, now, device.actor, details, evidence, device_id=device.id
    )


def _decided(
    kind: Kind,
    operation: Operation,
    device: Identity,
    now: datetime,
    approval: Approval,
    key: ApprovalKey,
    salt: bytes,
    seat: Seat | None,
) -> Entry:
    """Make an entry with the evidence to check the decision again without the keystore."""
    evidence = {
        "approval_key": key.public_key,
        "number_salt": salt,
        **entries.approval_evidence(operation.payload, approval),
    }
    details = accepting.told(approval, key)
    if seat is not None:
        details |= {"shared_device": seat.device_id, "seat": seat.id}
    return _entry(kind, operation, device, now, details, evidence)


def _at_the_workstation(operation: Operation, number: str, device: Identity) -> bool:
    """Whether the holder has seen the code or the number on the workstation's screen."""
    if operation.claimed_by == device.id:
        return number == "" or compare_digest(number, operation.number)
    return Channel.PUSH in operation.channels and compare_digest(number, operation.number)


def _may_see(operation: Operation, device: Identity) -> bool:
    return Channel.PUSH in operation.channels or operation.claimed_by == device.id


def _holder(device: Identity) -> str:
    if device.user_id is None:
        raise OperationNotFound("this device belongs to nobody: enrol it again")
    return device.user_id
