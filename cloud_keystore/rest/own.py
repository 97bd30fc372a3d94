"""What the portal asks for people who sign in to it. Whom it names, it learns nothing of, unless
what they give is right.
"""

from __future__ import annotations

from dataclasses import dataclass

from cloud_keystore.people.portal.passwords import Passwords
from cloud_keystore.rest import own_models as m
from cloud_keystore.rest.calls import current


@dataclass(frozen=True, slots=True)
class OwnCalls:
    """Passwords of people."""

    portal_passwords: Passwords

    def check_password(self, asked: m.Entered) -> m.CheckedPassword:
        """Whether a password is right. It is one factor: a phone is another."""
        found = self.portal_passwords.check(
            asked.name, asked.password.get_secret_value(), actor=current().actor
        )
        return m.CheckedPassword(
            is_right=found.is_right, user_id=found.user_id or None, has_phone=found.has_phone
        )

    def change_password(self, asked: m.ChangedPassword) -> m.ChosenPassword:
        """Set another password, if the one in force is given."""
        old, new = asked.password.get_secret_value(), asked.new_password.get_secret_value()
        chosen = self.portal_passwords.change(asked.name, old, new, actor=current().actor)
        return m.ChosenPassword(is_set=chosen.is_set, violated_rule=chosen.rule or None)

    def forget_password(self, asked: m.Forgotten) -> m.Mailed:
        """Mail a code to whoever has a password and a verified address. The answer is the same for
        everybody.
        """
        self.portal_passwords.forget(asked.name, actor=current().actor)
        return m.Mailed()

    def list_questions(self, asked: m.MailedCode) -> m.AskedQuestions:
        """The security questions that are to be answered with a code. A wrong code loses a try."""
        found = self.portal_passwords.questions_of(
            asked.name, asked.code.get_secret_value(), actor=current().actor
        )
        return m.AskedQuestions(is_right=found is not None, questions=list(found or ()))

    def reset_password(self, asked: m.ResetPassword) -> m.ChosenPassword:
        """Set another password with a code, and with answers in the order of the questions."""
        chosen = self.portal_passwords.reset(
            asked.name,
            asked.code.get_secret_value(),
            asked.new_password.get_secret_value(),
            tuple(each.get_secret_value() for each in asked.answers),
            actor=current().actor,
        )
        return m.ChosenPassword(is_set=chosen.is_set, violated_rule=chosen.rule or None)
