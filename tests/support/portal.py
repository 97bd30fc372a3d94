"""A portal without its pages: an API client, and people who have a password, or forget it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cloud_keystore.approval import statement
from cloud_keystore.mail.letters import Letter
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.people import Identity, User
from cloud_keystore.model.policies import Policy
from cloud_keystore.model.portal.assents import AssentState, Subject
from cloud_keystore.model.portal.passwords import Chosen
from cloud_keystore.model.portal.questions import Question
from support.keystore_world import Enrolled
from support.outbox import Told

EMAIL = "ada@example.org"
PASSWORD = "Fjord-Tapir-88"
OTHER = "correct horse battery staple"
QUESTIONS = (
    Question("What was my first pet?", "Miss Moppet"),
    Question("Which street was my school in?", "Rue de l'Église 7"),
    Question("Who is my oldest friend?", "Charles B."),
)
VERIFY = "Verify your e-mail address"
ANSWERS = tuple(each.answer for each in QUESTIONS)


@dataclass
class Portal:
    """The portal, and Ada, who has a phone, a verified address and a password."""

    told: Told
    user: User
    phone: Enrolled
    actor: Actor

    @classmethod
    def open(cls, told: Told, policy: Policy | None = None) -> Portal:
        """A portal where a policy allows passwords."""
        world = told.world
        world.set_policy(policy or Policy(portal_passwords=True))
        user, phone = told.enrolled(EMAIL)
        opened = cls(told, user, phone, client_of(told).actor)
        opened.verify(phone)
        assert world.portal_passwords.set_own(PASSWORD, phone.identity).is_set
        told.send()
        world.clock.forward(hours=1)
        return opened

    def verify(self, phone: Enrolled) -> None:
        """Verify the address of a phone's holder."""
        world = self.told.world
        world.addresses.send_own(phone.identity)
        assert world.addresses.confirm_own(self.code(), phone.identity).is_verified

    def code(self) -> str:
        """The code in the letter that was sent last."""
        letters = [each for each in self.told.send() if "Your code" in each.subject]
        return code_in(letters[-1].text)

    def forgotten(self, name: str = EMAIL) -> str:
        """The code that somebody gets who has forgotten a password."""
        self.told.world.portal_passwords.forget(name, actor=self.actor)
        return self.code()

    def say_yes(
        self, number: str, phone: Enrolled | None = None, *, subject: Subject | None = None
    ) -> AssentState:
        """The yes of a phone, signed, to the one question that waits, or that waits about this."""
        world, own = self.told.world, phone or self.phone
        waiting = world.assents.waiting(own.identity)
        (question,) = (each for each in waiting if subject in (None, each.subject))
        signature, assertion = own.evidence(statement.assent(question.id, number))
        return world.assents.answer(
            *(question.id, number, own.identity),
            agrees=True,
            is_me=True,
            signature=signature,
            assertion=assertion,
        )

    def enter(self, password: str = PASSWORD, name: str = EMAIL) -> bool:
        """Enter a password."""
        return self.told.world.portal_passwords.check(name, password, actor=self.actor).is_right

    def reset(
        self, code: str, new: str = OTHER, answers: tuple[str, ...] = (), name: str = EMAIL
    ) -> Chosen:
        """Set another password with a code."""
        passwords = self.told.world.portal_passwords
        return passwords.reset(name, code, new, answers, actor=self.actor)


def client_of(told: Told, place: str = "") -> Identity:
    """The portal as an API client, for an organisation."""
    world = told.world
    return world.clients.add("portal", ["portal"], place, actor=world.actor).listing.client


def code_in(text: str) -> str:
    """The code in a letter."""
    (code,) = re.findall(r"^(\d{8})\r?$", text, re.MULTILINE)
    return str(code)


def link_in(letters: list[Letter]) -> str:
    """The link in the letter that was sent last to verify an address."""
    letter = [each for each in letters if each.subject == VERIFY][-1]
    [link] = re.findall(r"https://cards\.example\.org/address#(\S+)", letter.text)
    assert f"/address#{link}" in letter.html
    return str(link)


def other_than(code: str) -> str:
    """A code that is not this one."""
    return f"{(int(code) + 1) % 10**8:08}"
