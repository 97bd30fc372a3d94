"""What the portal's requests and responses hold. Secrets are never shown."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field, SecretStr

from cloud_keystore.model.portal.questions import MOST
from cloud_keystore.rest.models import LONGEST_TEXT, Asked, Text

Name = Annotated[Text, Field(description="An e-mail address, or the name of an account.")]
Secret = Annotated[SecretStr, Field(max_length=LONGEST_TEXT)]


class Forgotten(Asked):
    """Somebody whose password is forgotten."""

    name: Name


class Entered(Forgotten):
    """A password that somebody has entered."""

    password: Secret


class ChangedPassword(Entered):
    """A password in force, and another one."""

    new_password: Annotated[Secret, Field(description="12 to 128 characters.")]


class MailedCode(Forgotten):
    """A code that somebody has got by e-mail."""

    code: Secret


class ResetPassword(MailedCode):
    """A code, another password, and answers to security questions."""

    new_password: Annotated[Secret, Field(description="12 to 128 characters.")]
    answers: Annotated[tuple[Secret, ...], Field(max_length=MOST)] = ()


class CheckedPassword(BaseModel):
    """Whether a password was right, and whose it is."""

    is_right: bool
    user_id: str | None
    has_phone: bool


class ChosenPassword(BaseModel):
    """Whether another password is in force; if not, what is wrong with it, or nothing if it was
    what was given with it.
    """

    is_set: bool
    violated_rule: str | None


class Mailed(BaseModel):
    """A code was mailed, if there is somebody who gets one."""


class AskedQuestions(BaseModel):
    """Whether a code was right, and the questions to be answered with it."""

    is_right: bool
    questions: list[str]
