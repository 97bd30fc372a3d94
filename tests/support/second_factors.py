"""Holders whose log-ins at the portal need more than mail, and what they answer."""

from __future__ import annotations

from dataclasses import dataclass

from cloud_keystore.approval.passkeys import Registration
from cloud_keystore.mail.letters import Letter
from cloud_keystore.model.outbox.media import Medium
from cloud_keystore.model.people import Identity
from cloud_keystore.model.portal.assents import AssentState
from cloud_keystore.model.portal.codes import DAY
from cloud_keystore.model.portal.factors import Factor
from cloud_keystore.model.rights.visits import OWN_PREFIX, text_sha256
from cloud_keystore.people.rights.log_in_passkeys import PasskeyAnswer
from cloud_keystore.storage.outbox.notifications import Terms
from cloudcard_tools.authenticator import passkey
from cloudcard_tools.authenticator.passkey import SoftwarePasskey
from support.outbox import MAIL
from support.portal import PASSWORD, Portal

NUMBER = "+447700900123"


@dataclass
class Chosen:
    """What a holder has chosen in the place of the mailed code."""

    portal: Portal
    factor: Factor
    passkey: SoftwarePasskey | None = None

    @classmethod
    def of(cls, portal: Portal, factor: Factor, number: str = NUMBER) -> Chosen:
        """A holder who needs this from now on, and to whom everything may be sent again."""
        made = cls.by(portal, factor, logged_in(portal), number)
        portal.told.world.clock.now += DAY
        return made

    @classmethod
    def by(cls, portal: Portal, factor: Factor, holder: Identity, number: str = NUMBER) -> Chosen:
        """What a holder chooses who has logged in."""
        world, made = portal.told.world, cls(portal, factor)
        if factor is Factor.SMS:
            made.verify_number(number)
        if factor is Factor.PASSKEY:
            made.passkey = _added(portal, holder)
        asked = world.log_in_factors.ask(factor, holder)
        if factor is Factor.PHONE:
            assert made.agree(asked.number) is AssentState.AGREED
        assert world.log_in_factors.change(factor, portal.code(), holder).is_set
        return made

    def agree(self, number: str, *, is_me: bool = True) -> AssentState:
        """Type a number on the phone, or say that it was somebody else."""
        if is_me:
            return self.portal.say_yes(number)
        assents, phone = self.portal.told.world.assents, self.portal.phone.identity
        (question,) = assents.waiting(phone)
        return assents.answer(question.id, number, phone, agrees=False, is_me=False)

    def texts(self) -> list[str]:
        """The codes that go to a number now."""
        return [code_in(each) for each in self.portal.told.send() if each.medium is Medium.SMS]

    def answer(self, challenge: bytes) -> PasskeyAnswer:
        """What the passkey says."""
        assert self.passkey is not None
        said, self.passkey = answered(self.passkey, challenge)
        return said

    def verify_number(self, number: str) -> None:
        """Let a number of the holder get codes."""
        world, phone = self.portal.told.world, self.portal.phone.identity
        media = frozenset({Medium.EMAIL, Medium.SMS})
        world.database.tell_people(Terms(MAIL.remind_days, media=media))
        user_id = self.portal.user.id
        world.people.change_user(user_id, None, None, number, actor=world.actor)
        world.phones.send_own(phone)
        (code,) = self.texts()
        assert world.phones.confirm_own(code, phone).is_verified


def logged_in(portal: Portal) -> Identity:
    """The holder, who has logged in by a mailed code."""
    visits = portal.told.world.portal_visits
    step = visits.ask(portal.user.email, PASSWORD)
    assert step is not None
    found = text_sha256(OWN_PREFIX, visits.begin(step.text, portal.code()).secret)
    assert found is not None
    return visits.find(found)


def registered(own: SoftwarePasskey, challenge: bytes) -> Registration:
    """What a browser says of a passkey that was made."""
    made = own.create(challenge)
    return Registration(made.attestation_object, made.client_data)


def answered(own: SoftwarePasskey, challenge: bytes) -> tuple[PasskeyAnswer, SoftwarePasskey]:
    """What a browser says of a passkey's answer, and the passkey after it."""
    said, used = own.get(challenge)
    answer = PasskeyAnswer(
        *(challenge, said.credential_id, b""),
        *(said.authenticator_data, said.client_data, said.signature),
    )
    return answer, used


def code_in(letter: Letter) -> str:
    """The code in an SMS."""
    return letter.text.split()[0]


def _added(portal: Portal, holder: Identity) -> SoftwarePasskey:
    passkeys = portal.told.world.portal_passkeys
    passkeys.send_code(holder)
    asked = passkeys.ask_new(holder).asked
    own = passkey.new(asked.rp_id, asked.origin, holder.id.encode())
    made = registered(own, asked.challenge)
    added = passkeys.add("Laptop", portal.code(), asked.challenge, made, holder)
    assert added.is_done
    return own
