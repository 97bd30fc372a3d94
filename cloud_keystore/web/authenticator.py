"""The calls of a device whose authenticator is a page: JSON to model and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import NamedTuple
from uuid import UUID

from cloud_keystore.approval import passkeys
from cloud_keystore.cards.life import CardListing, Life
from cloud_keystore.cards.unlocking import Unlocking
from cloud_keystore.custody.credentials.passcodes import Outcome, Passcodes
from cloud_keystore.custody.credentials.unlock_codes import UnlockCodes
from cloud_keystore.model.cards import ENDS_DAYS, days_left
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.operations import Assertion, State
from cloud_keystore.model.outbox.bells import Address
from cloud_keystore.model.passcodes import (
    PASSCODE_RULE,
    Mismatch,
    PolicyViolation,
    Unlocked,
    Verified,
)
from cloud_keystore.model.people import Role
from cloud_keystore.operations.admitting import OpenSignIn
from cloud_keystore.operations.ringing import Answered, Ringing, Shown, decision
from cloud_keystore.operations.sessions import OpenSession, Sessions
from cloud_keystore.people.enrolment import Enrolment
from cloud_keystore.people.portal.addresses import Addresses
from cloud_keystore.people.portal.bells import Bells
from cloud_keystore.people.portal.short_codes import ShortCodes
from cloud_keystore.pki.announcing import Announcing
from cloud_keystore.web import models as m
from cloud_keystore.web.calls import current
from cloud_keystore.web.gate import CALLS
from cloud_keystore.web.proving import ADDRESSES, ENROLMENTS, PASSKEYS, SHORT_CODES


class Row(NamedTuple):
    """One call: where it is, and what serves it."""

    method: str
    path: str
    serve: Callable[..., object]
    status: HTTPStatus = HTTPStatus.OK


@dataclass(frozen=True, slots=True)
class AuthenticatorCalls:
    """Translates between JSON and use cases."""

    enrolment: Enrolment
    addresses: Addresses
    short_codes: ShortCodes
    bells: Bells
    announcing: Announcing
    ringing: Ringing
    cards: Life
    passcodes: Passcodes
    unlock_codes: UnlockCodes
    unlocking: Unlocking
    sessions: Sessions
    clock: Clock

    def rows(self) -> tuple[Row, ...]:
        """All calls but the stream."""
        return (
            Row("POST", ENROLMENTS, self.enrol, HTTPStatus.CREATED),
            Row("POST", PASSKEYS, self.passkey_terms),
            Row("POST", SHORT_CODES, self.exchange),
            Row("POST", ADDRESSES, self.verify_address),
            Row("POST", f"{CALLS}claims", self.claim),
            Row("POST", f"{CALLS}requests/{{operation_id}}/decision", self.decide),
            Row("GET", f"{CALLS}cards", self.list_cards),
            Row("POST", f"{CALLS}cards/{{serial}}/first-passcode", self.choose_passcode),
            Row("POST", f"{CALLS}cards/{{serial}}/passcode", self.change_passcode),
            Row("POST", f"{CALLS}cards/{{serial}}/reset", self.reset_passcode),
            Row("POST", f"{CALLS}cards/{{serial}}/unlock", self.use_unlock_code),
            Row("POST", f"{CALLS}cards/{{serial}}/unlock-agreement", self.agree_to_unlock),
            Row("GET", f"{CALLS}sessions", self.list_sessions),
            Row("POST", f"{CALLS}sessions/{{session_id}}/end", self.end_session),
            Row("GET", f"{CALLS}sign-ins", self.list_sign_ins),
            Row("POST", f"{CALLS}sign-ins/{{sign_in_id}}/end", self.end_sign_in),
            Row("GET", f"{CALLS}bell", self.tell_push_key),
            Row("POST", f"{CALLS}bell", self.hang_bell),
            Row("POST", f"{CALLS}bell/end", self.take_bell_down),
        )

    def enrol(self, said: m.Enrolling) -> m.Enrolled:
        """Make a browser a device of the holder for whom the token is, or of all who sign in."""
        registration = None if said.passkey is None else _registration(said.passkey)
        identity, certificate = self.enrolment.enrol_page(
            said.token_secret, said.csr, said.device_name, registration
        )
        return m.Enrolled(
            id=identity.id,
            display_name=identity.display_name,
            certificate=certificate,
            request_key=self.announcing.terms().request_key,
            is_shared=identity.role is Role.SHARED_DEVICE,
        )

    def passkey_terms(self, said: m.Wanting) -> m.PasskeyTerms:
        """For whom a passkey is to be made, for whoever has the token, which is not spent."""
        user = self.enrolment.passkey_terms(said.token_secret)
        relying_party = self.announcing.terms().relying_party
        return m.PasskeyTerms(
            rp_id=relying_party.id,
            origin=relying_party.origin,
            user_handle=UUID(user.id).bytes,
            user_name=user.display_name,
        )

    def exchange(self, said: m.Exchanging) -> m.Exchanged:
        """The token for a short code; an empty one for whatever is no good code."""
        found = self.short_codes.exchange(said.code.get_secret_value())
        return m.Exchanged(token="" if found is None else found.text)

    def verify_address(self, said: m.Following) -> m.Followed:
        """Put an e-mail address in force, for whoever has the link that was mailed to it."""
        found = self.addresses.follow(said.link.get_secret_value())
        return m.Followed(is_verified=found.is_verified, email=found.email)

    def claim(self, said: m.Claiming) -> m.Request:
        """The request of a code that a workstation shows."""
        device = current().device
        waiting = self.ringing.claimed(said.qr_text, said.card_serial, device)
        return request(self.ringing.shown(waiting, device))

    def decide(self, operation_id: str, said: m.Deciding) -> m.Decided:
        """Take the holder's decision."""
        answered = Answered(
            operation_id,
            decision(said.decision),
            said.number,
            said.signature,
            said.is_sign_in,
            None if said.assertion is None else assertion(said.assertion),
        )
        return m.Decided(state=state_name(self.ringing.decide(answered, current().device)))

    def list_cards(self) -> m.Cards:
        """The holder's cards."""
        now = self.clock()
        found = [_card(each, now) for each in self.cards.list_of(current().device)]
        return m.Cards(cards=found, passcode_rule=PASSCODE_RULE)

    def choose_passcode(self, serial: str, said: m.Choosing) -> m.Chosen:
        """Set the first passcode of a card."""
        puk = self.passcodes.set_first(serial, m.secret(said.passcode), current().device)
        return m.Chosen(puk=puk)

    def change_passcode(self, serial: str, said: m.Changing) -> m.Changed:
        """Replace a passcode."""
        old, new = m.secret(said.old_passcode), m.secret(said.new_passcode)
        return _changed(self.passcodes.change_own(serial, old, new, current().device))

    def reset_passcode(self, serial: str, said: m.Resetting) -> m.Changed:
        """Replace a passcode by the PUK."""
        puk, new = m.secret(said.secret), m.secret(said.new_passcode)
        return _changed(self.passcodes.reset_own(serial, puk, new, current().device))

    def use_unlock_code(self, serial: str, said: m.Resetting) -> m.Changed:
        """Replace a passcode by a code that the registration authority has read out."""
        code, new = m.secret(said.secret), m.secret(said.new_passcode)
        return _changed(self.unlock_codes.use(serial, code, new, current().device))

    def agree_to_unlock(self, serial: str, said: m.AgreeingToUnlock | None = None) -> m.Card:
        """Agree to the unlock of a card for which an operator has asked."""
        device = current().device
        if said is None:
            return _card(self.unlocking.agree(serial, device), self.clock())
        answer = assertion(said.assertion)
        return _card(self.unlocking.agree(serial, device, said.signature, answer), self.clock())

    def list_sessions(self) -> m.Sessions:
        """The holder's open sessions."""
        found = self.sessions.list_open(current().device)
        return m.Sessions(sessions=[_session(each) for each in found])

    def end_session(self, session_id: str) -> m.Ended:
        """End a session of the holder's."""
        self.sessions.end(session_id, current().device)
        return m.Ended(is_ended=True)

    def list_sign_ins(self) -> m.SignIns:
        """The readers in which the holder's cards are."""
        found = self.ringing.admitting.list_open(current().device)
        return m.SignIns(sign_ins=[_sign_in(each) for each in found])

    def end_sign_in(self, sign_in_id: str) -> m.Ended:
        """Take a card of the holder's out of a reader."""
        self.ringing.admitting.end(sign_in_id, current().device)
        return m.Ended(is_ended=True)

    def tell_push_key(self) -> m.PushKey:
        """The key from which a browser is to take rings. That there is an answer says that this
        keystore rings pages: pages of other versions ask, and offer it or not.
        """
        return m.PushKey(key=self.bells.key())

    def hang_bell(self, said: m.Hanging) -> m.Rung:
        """Ring this device's page while it is closed."""
        self.bells.hang(Address(said.endpoint, said.p256dh, said.auth), current().device)
        return m.Rung(is_rung=True)

    def take_bell_down(self) -> m.Rung:
        """Ring this device's page no longer."""
        self.bells.take_down(current().device)
        return m.Rung(is_rung=False)


def request(shown: Shown) -> m.Request:
    """A request as the page gets it."""
    return m.Request(
        operation_id=shown.operation_id,
        payload=shown.payload,
        keystore_signature=shown.signature,
        is_claimed=shown.is_claimed,
    )


def state_name(state: State) -> str:
    """ "approved", "denied" and so on."""
    return state.name.lower()


def _registration(made: m.Passkey) -> passkeys.Registration:
    return passkeys.Registration(made.attestation_object, made.client_data, tuple(made.transports))


def assertion(made: m.Assertion) -> Assertion:
    """What a passkey has signed."""
    return Assertion(made.authenticator_data, made.client_data, made.credential_id)


def _card(listing: CardListing, now: datetime) -> m.Card:
    ends_soon = listing.card.expire_time - now <= timedelta(days=max(ENDS_DAYS))
    return m.Card(
        serial=listing.card.serial,
        state=str(listing.card.state),
        passcode_state=str(listing.passcode_state),
        expires=listing.card.expire_time.isoformat(),
        days_left=days_left(listing.card, now) if ends_soon else None,
        unlock_id=listing.unlock_id,
    )


def _session(found: OpenSession) -> m.Session:
    return m.Session(
        id=found.session.id,
        card_serial=found.card_serial,
        workstation=found.workstation,
        site=found.site,
        since=found.session.create_time.isoformat(),
        until=found.session.expire_time.isoformat(),
        uses_left=found.session.uses_left,
    )


def _sign_in(found: OpenSignIn) -> m.SignIn:
    return m.SignIn(
        id=found.sign_in.id,
        card_serial=found.card_serial,
        workstation=found.workstation,
        site=found.site,
        until=found.sign_in.expire_time.isoformat(),
    )


def _changed(outcome: Outcome | Unlocked) -> m.Changed:
    match outcome:
        case Unlocked(puk):
            return m.Changed(is_set=True, puk=puk)
        case Verified():
            return m.Changed(is_set=True)
        case Mismatch(tries):
            return m.Changed(tries_left=tries)
        case PolicyViolation(rule):
            return m.Changed(rule=rule)
