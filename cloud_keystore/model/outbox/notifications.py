"""Notifications: what people are told, and how often that is tried. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum, unique

LEASE_TIME = timedelta(minutes=15)  # of whoever sends a portion: nobody else sends it meanwhile
FIRST_PAUSE = timedelta(minutes=1)  # before the second try; doubled up to the longest pause
LONGEST_PAUSE = timedelta(hours=2)
LAST_TRY = 19  # a day after the first
REMIND_DAYS = (3, 7, 12)  # after an invitation, which is good for 14


@unique
class Template(StrEnum):
    """What a notification tells. A name that was once written keeps its meaning for ever."""

    INVITED = "invited"
    REMINDER = "reminder"  # of an invitation
    DEVICE_ADDED = "device-added"
    DEVICE_REMOVED = "device-removed"
    DEVICE_REMOVED_OWN = "device-removed-own"  # by its holder
    CARD_ISSUED = "card-issued"  # and waits for its first passcode
    CARD_ACTIVE = "card-active"
    CARD_ENDS = "card-ends"  # in some days
    CARD_RENEWED = "card-renewed"
    LOCKED = "locked"
    UNLOCK_ASKED = "unlock-asked"
    UNLOCKED = "unlocked"
    UNLOCK_CODE = "unlock-code"  # was made
    APP_PIN_CODE = "app-pin-code"  # was made
    CODE_USED_UP = "code-used-up"  # an unlock code, by wrong ones
    PASSCODE_CHANGED = "passcode-changed"
    SUSPENDED = "suspended"
    RESUMED = "resumed"
    REVOKED = "revoked"
    NAME_CHANGED = "name-changed"
    EMAIL_CHANGED = "email-changed"
    EMAIL_ASKED = "email-asked"  # another address is given, and waits to be verified
    EMAIL_LINK = "email-link"  # by which that is done
    LEFT = "left"
    PHONE_CODE = "phone-code"  # by which a phone number is verified
    ADDRESS_CODE = "address-code"  # by which an e-mail address is verified
    PASSWORD_CODE = "password-code"  # noqa: S105 (a name): by which another password is set
    DEVICE_CODE = "device-code"  # by which another phone is invited
    VISIT_CODE = "visit-code"  # by which a holder logs in to the portal
    VISIT_SMS = "visit-sms"  # the same, to the phone number
    RESET_SMS = "reset-sms"  # by which another password is set, besides the mailed code
    FACTOR_CODE = "factor-code"  # by which a log-in comes to need something else
    PASSWORD_CHANGED = "password-changed"  # noqa: S105 (a name)
    PASSKEY_COPIED = "passkey-copied"  # which was removed
    PORTAL_LOCKED = "portal-locked"  # for a while, by wrong passwords
    ALERT = "alert"  # was raised
    FEEDBACK = "feedback"  # of staff, for whoever looks after the service
    TEST = "test"  # that an operator has asked for


INVITATIONS = frozenset({Template.INVITED, Template.REMINDER})
# With a code in them
CODED = frozenset(
    {
        Template.ADDRESS_CODE,
        Template.PASSWORD_CODE,
        Template.DEVICE_CODE,
        Template.VISIT_CODE,
        Template.FACTOR_CODE,
    }
)
MESSAGED = frozenset({Template.VISIT_SMS, Template.RESET_SMS})  # with a code, to a number
LINKED = frozenset({Template.EMAIL_LINK})  # with the link of a code


@unique
class State(StrEnum):
    """The state of a notification."""

    WAITING = "waiting"
    SENDING = "sending"  # by whoever has the lease
    SENT = "sent"  # a mail server has taken it
    FAILED = "failed"
    CANCELLED = "cancelled"  # it came to be of no use


@unique
class Outcome(StrEnum):
    """What became of one try."""

    TAKEN = "taken"  # by the mail server
    LATER = "later"  # it can be taken another time
    REFUSED = "refused"  # for ever
    UNTRIED = "untried"  # the sender ends


@dataclass(frozen=True, slots=True)
class Notification:
    """What somebody is told."""

    id: str
    template: Template
    user_id: str | None  # None: nobody who is known, in a test
    about: str  # the identity that is invited; empty where it does not matter
    facts: str  # JSON: what the text names. Nothing of it is secret.
    address: str  # to which it goes; empty until then if it is the user's, who can get another one
    is_fixed: bool  # whether it goes to this address, whatever the user's is
    state: State
    why: str  # it has failed or waits again, or was cancelled
    tries: int
    create_time: datetime
    next_time: datetime  # of the next try, or when the lease ends
    end_time: datetime | None = None


def pause(tries: int) -> timedelta:
    """How long to wait after so many tries."""
    return min(FIRST_PAUSE * (1 << (tries - 1)), LONGEST_PAUSE)
