"""Passwords and security questions of the keystore's own portal, for which no API client acts:
forgotten passwords, and what a holder changes who has logged in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cloud_keystore.model.actors import KEYSTORE
from cloud_keystore.model.people import Identity
from cloud_keystore.model.portal.passwords import Access, Chosen, Wanted, normal, violated_rule
from cloud_keystore.model.portal.questions import Question, checked
from cloud_keystore.people.portal.knowing import owner
from cloud_keystore.people.portal.passkeys import AskedPasskeys
from cloud_keystore.people.portal.passwords import Passwords
from cloud_keystore.people.portal.reset_factors import Given


@dataclass(frozen=True, slots=True)
class OwnPasswords:
    """Changes passwords as `Passwords` does, in the keystore's own name."""

    passwords: Passwords

    def forget(self, name: str) -> None:
        """Mail a code; nobody is told whether there is somebody who gets it. Raises InvalidInput,
        AddressUnreachable, TooManyCalls.
        """
        self.passwords.forget(name, actor=KEYSTORE)

    def wanted(
        self, name: str, code: str, *, again: bool = False, by_phone: bool = False
    ) -> Wanted | None:
        """What is wanted besides a code, for which the holder is asked; None if it is wrong. Raises
        PortalClosed, AddressUnreachable, InvalidInput, TooManyCalls.
        """
        return self.passwords.wanted(
            name, code.strip(), actor=KEYSTORE, again=again, by_phone=by_phone
        )

    def ask_passkey(self, name: str, code: str) -> AskedPasskeys | None:
        """What to ask the passkeys of whoever has a code; None if it is wrong. Raises InvalidInput,
        PortalClosed.
        """
        return self.passwords.ask_passkey(name, code.strip(), actor=KEYSTORE)

    def reset(self, name: str, code: str, new: str, answers: Sequence[str], given: Given) -> Chosen:
        """Set another password with a code, answers, and what else is needed. Raises InvalidInput,
        PortalClosed, TooManyGuesses, Overloaded.
        """
        return self.passwords.reset(name, code.strip(), new, answers, actor=KEYSTORE, given=given)

    def change(self, old: str, new: str, holder: Identity) -> Chosen:
        """Set another password, if the old one is right: all visits end. Raises IdentityRejected,
        InvalidInput, TooManyGuesses, Overloaded.
        """
        own = self.passwords.passcodes
        with own.database.read() as connection:
            user = owner(connection, holder, own.clock())
        if rule := violated_rule(normal(new), [user.display_name, user.email, user.upn]):
            return Chosen(is_set=False, rule=rule)
        return self.passwords.change(user.email, old, new, actor=KEYSTORE)

    def choose_questions(self, password: str, chosen: Sequence[Question], holder: Identity) -> bool:
        """Choose other security questions, if the password is right. Raises IdentityRejected,
        InvalidInput, PortalClosed, TooManyGuesses, Overloaded.
        """
        own = self.passwords.passcodes
        checked(chosen)
        with own.database.read() as connection:
            user = owner(connection, holder, own.clock())
        if not self.passwords.check(user.email, password, actor=KEYSTORE).is_right:
            return False
        self.passwords.questions.set_own(chosen, holder)
        return True

    def look(self, holder: Identity) -> Access:
        """What the holder has for the portal."""
        return self.passwords.look_own(holder)
