"""What the portal's pages say. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import NamedTuple

from cloud_keystore.model.journal import Kind
from cloud_keystore.model.portal.assents import AssentState
from cloud_keystore.model.portal.beginnings import Task
from cloud_keystore.web.me.visiting import EMAIL, FIRST_PASSWORD, PASSCODE, PHONE
from cloud_keystore.web.ra.words import day

SOON = timedelta(days=90)  # before a card ends, for its holder to notice
DAY = timedelta(days=1)


class Done(NamedTuple):
    """What was done: the sort of entry that tells of it, and what has to happen next."""

    kind: Kind
    text: str
    next_step: str = ""


# By the word in the address of the page that shows it
DONE: Mapping[str, Done] = MappingProxyType(
    {
        "phone": Done(
            Kind.IDENTITY_REMOVED,
            "The phone is removed",
            "It can no longer approve in your name. If you have no other phone, ask your "
            "registration authority for an invitation.",
        ),
        "session": Done(Kind.SESSION_ENDED, "The session is ended"),
        "sign-in": Done(Kind.SIGN_IN_ENDED, "The card is taken out of the reader"),
        "seat": Done(Kind.SEAT_ENDED, "You are signed out of the shared device"),
        "visits": Done(Kind.VISIT_ENDED, "The other browsers are logged out"),
        "renewed": Done(
            Kind.CARD_RENEWED,
            "Your card is renewed",
            "It keeps its passcode. Where you are signed in, it is asked for again.",
        ),
        "renewing": Done(
            Kind.RENEWAL_BEGUN,
            "The renewal of your card has begun",
            "Its authority is asked for the certificates. The card stays as it is until they come.",
        ),
        "factor": Done(Kind.FACTOR_SET, "Your log-ins need this from now on"),
        "passkey": Done(
            Kind.PORTAL_PASSKEY_ADDED,
            "The passkey is added",
            "Your log-ins need it as soon as you choose that under “How you log in”.",
        ),
        "questions": Done(Kind.QUESTIONS_SET, "Your security questions are set"),
        "email-code": Done(
            Kind.ADDRESS_CODE_SENT,
            "A code is on its way to your e-mail address",
            "It is good for fifteen minutes. A code of before is good no longer.",
        ),
        "email": Done(Kind.ADDRESS_VERIFIED, "Your e-mail address is verified"),
        "number-code": Done(
            Kind.PHONE_CODE_SENT,
            "A code is on its way to your phone number",
            "It is good for ten minutes. A code of before is good no longer.",
        ),
        "number": Done(Kind.PHONE_VERIFIED, "Your phone number is verified"),
    }
)


class TaskWords(NamedTuple):
    """What a list says of a task, and where it is done."""

    path: str
    name: str
    hint: str


TASK_WORDS: Mapping[Task, TaskWords] = MappingProxyType(
    {
        Task.EMAIL: TaskWords(EMAIL, "Verify your e-mail address", "By a code that is mailed"),
        Task.PASSWORD: TaskWords(
            FIRST_PASSWORD, "Set a password", "For these pages, where you look after your card"
        ),
        Task.PHONE: TaskWords(PHONE, "Connect your phone", "It asks you before your card is used"),
        Task.PASSCODE: TaskWords(
            PASSCODE,
            "Choose the passcode of your card",
            "On your phone, as soon as it is connected",
        ),
    }
)


ANOTHER = "You are asked once more. What was sent before is good no longer."
# Of a phone that was asked, as long as it has not agreed
PHONE_SAYS: Mapping[AssentState, str] = MappingProxyType(
    {
        AssentState.WAITING: "Your phone has not agreed yet. Type the number there first.",
        AssentState.DENIED: "Your phone has said no, or the number was another one. Ask it again.",
        AssentState.OVER: "That took too long. Ask your phone again.",
    }
)


def ending(end: datetime, now: datetime) -> str:
    """When something ends, in days as soon as that is near."""
    if end <= now:
        return f"ended {day(end)}"
    if end - now > SOON:
        return f"ends {day(end)}"
    days = (end - now) // DAY
    return f"ends {_in_days(days)}, {day(end)}"


def is_ending(end: datetime, now: datetime) -> bool:
    """Whether something ends soon, or has ended."""
    return end - now <= SOON


def _in_days(days: int) -> str:
    if not days:
        return "within a day"
    return f"in {days} {'day' if days == 1 else 'days'}"


def left(tries: int) -> str:
    """What is said of a code that was wrong."""
    if not tries:
        return "This code is wrong, or good no longer. Let another one be sent."
    return f"This code is wrong. You have {tries} {'try' if tries == 1 else 'tries'} left."
