"""Another passcode, which a holder chooses at the portal with the yes of the phone on which the one
in force was chosen: so nobody has it by a phone, an address or an invitation of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection

from card_os.piv.names import KeyRef
from cloud_keystore.audit import entries, journal
from cloud_keystore.custody.credentials.passcodes import NAMES, Passcodes, held
from cloud_keystore.model.cards import Card, CardState
from cloud_keystore.model.errors import CardNotInUse, IllegalCardChange, PortalClosed
from cloud_keystore.model.journal import Detail, Kind
from cloud_keystore.model.outbox.notifications import Template
from cloud_keystore.model.passcodes import Status, violated_rule
from cloud_keystore.model.people import Identity
from cloud_keystore.model.portal.assents import AssentState, Subject
from cloud_keystore.model.profiles import PROFILES
from cloud_keystore.people.portal.assents import Assents
from cloud_keystore.people.portal.knowing import owner
from cloud_keystore.storage import passcodes, people, policies, unlocks
from cloud_keystore.storage.credentials import unlock_codes
from cloud_keystore.storage.outbox import notifications as outbox

NOT_ALLOWED = (
    "your organisation allows this on the phone alone: open the authenticator there (cloudcard ra "
    "policy set --portal-changes)"
)
NO_PHONE_COUNTS = (
    "the passcode in force was not chosen on a phone that you have now: choose another one on the "
    "phone by the PUK, or ask your registration authority for an unlock code"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """How far a reset is: the number to type on the phone, empty if it was not asked."""

    serial: str
    is_locked: bool
    number: str
    state: AssentState


@dataclass(frozen=True, slots=True)
class Chosen:
    """Whether a passcode is in force, with the card's new PUK; if not, the rule that it breaks, or
    how far the phone is.
    """

    puk: str = field(default="", repr=False)
    rule: str = ""
    phone: AssentState = AssentState.USED


@dataclass(frozen=True, slots=True)
class PasscodeResets:
    """Gives holders' cards another passcode. Methods raise CardNotFound, CardNotInUse, PortalClosed
    if no policy allows it, IllegalCardChange if no phone counts, and IdentityRejected.
    """

    passcodes: Passcodes
    assents: Assents

    def look(self, serial: str, holder: Identity) -> Asked:
        """How far it is."""
        own = self.assents
        with own.database.read() as connection:
            user = owner(connection, holder, own.clock())
            card, _ = self._allowed(connection, serial, holder)
            made = own.state_of(connection, user, Subject.PASSCODE, card.id)
            status = passcodes.find(connection, card.id, KeyRef.PIN) or Status()
            return Asked(
                serial,
                is_locked=not status.tries_left,
                number="" if made is None else made.number,
                state=AssentState.OVER if made is None else made.state_at(own.clock()),
            )

    def ask(self, serial: str, holder: Identity) -> Asked:
        """Ask the phone. Raises TooManyCalls."""
        own = self.assents
        with own.database.write() as connection:
            user = owner(connection, holder, own.clock())
            card, phone_id = self._allowed(connection, serial, holder)
            own.ask(connection, user, Subject.PASSCODE, card.id, holder, phone_id)
        own.wake([user.id])
        return self.look(serial, holder)

    def choose(self, serial: str, new: bytes, holder: Identity) -> Chosen:
        """Set the passcode, if the phone has agreed: a global PIN gets the same value, and the PUK
        is another one, so that nothing is left to whoever knew them. One that breaks a rule does
        not spend the yes. Raises Overloaded.
        """
        if rule := violated_rule(KeyRef.PIN, new):
            return Chosen(rule=rule)
        own, puk = self.passcodes, self.passcodes.new_puk()
        with own.database.read() as connection:
            user = owner(connection, holder, own.clock())
            card, _ = self._allowed(connection, serial, holder)
            made = self.assents.state_of(connection, user, Subject.PASSCODE, card.id)
            state = AssentState.OVER if made is None else made.state_at(own.clock())
            if state is not AssentState.AGREED:
                return Chosen(phone=state)
        chosen: dict[int, bytes] = {KeyRef.PIN: new, KeyRef.PUK: puk.encode()}
        if PROFILES[card.profile].global_pin:
            chosen[KeyRef.GLOBAL_PIN] = new
        with own.hashing.turn():
            hashes = {each: own.hashed(card.id, each, value) for each, value in chosen.items()}
        with own.database.write() as connection:
            user = owner(connection, holder, own.clock())
            card, phone_id = self._allowed(connection, serial, holder)
            state = self.assents.take(connection, user, Subject.PASSCODE, card.id)
            if state is not AssentState.AGREED:
                return Chosen(phone=state)
            self._replace(connection, card, hashes, phone_id, holder)
        self.assents.wake([user.id])
        return Chosen(puk=puk)

    def _allowed(self, connection: Connection, serial: str, holder: Identity) -> tuple[Card, str]:
        """The card, and the phone that counts."""
        card = held(connection, serial, holder)
        if card.state is not CardState.ACTIVE:
            raise CardNotInUse(f"card {serial} is {card.state}")
        in_force = policies.in_force(connection, card.organisation_id, card.profile)
        if not in_force.policy.portal_changes:
            raise PortalClosed(NOT_ALLOWED)
        phone_id = passcodes.chosen_on(connection, card.id, KeyRef.PIN)
        now = self.assents.clock()
        phones = people.list_devices(connection, card.user_id)
        if phone_id is None or not any(
            each.id == phone_id and each.is_active(now) for each in phones
        ):
            raise IllegalCardChange(NO_PHONE_COUNTS)
        return card, phone_id

    def _replace(
        self,
        connection: Connection,
        card: Card,
        hashes: Mapping[int, str],
        phone_id: str,
        holder: Identity,
    ) -> None:
        own, now = self.passcodes, self.passcodes.clock()
        unlocks.drop(connection, card.id)
        unlock_codes.end_all(connection, card.id, now)
        own.end(connection, card, None, "passcode changed")
        for key_ref, hashed in hashes.items():
            tries = passcodes.replace(connection, card.id, key_ref, hashed, device_id=phone_id)
            said: dict[str, Detail] = {
                "key_ref": f"{key_ref:02X}",
                "tries_left": tries,
                "device": phone_id,
            }
            kind = Kind.PASSCODE_UNBLOCKED if key_ref == KeyRef.PIN else Kind.PASSCODE_SET
            journal.append(connection, entries.about_card(kind, card, now, holder.actor, said))
        what = NAMES[KeyRef.PIN]
        outbox.about_card(connection, Template.PASSCODE_CHANGED, card, now, passcode=what)
