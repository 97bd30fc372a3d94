"""What pages say of states and steps. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from cloud_keystore.cards.life import CardListing
from cloud_keystore.model.cards import CardState
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import Progress, Stage
from cloud_keystore.model.profiles import DEFAULT_PROFILE
from cloud_keystore.model.rights.roles import Right

USER_STATES: Mapping[str, str] = MappingProxyType(
    {"pending": "Pending", "enrolled": "Enrolled", "closed": "Left"}
)
COLOURS: Mapping[str, str] = MappingProxyType(
    {
        "pending": "yellow",
        "enrolled": "green",
        "closed": "grey",
        "issuing": "blue",
        "failed": "red",
        "cancelled": "grey",
        "active": "green",
        "suspended": "orange",
        "revoked": "grey",
        "invited": "blue",
        "removed": "grey",
        "expired": "red",
        "disabled": "grey",
    }
)
CARD_STATES: Mapping[CardState, str] = MappingProxyType(
    {
        CardState.ISSUING: "is being made",
        CardState.FAILED: "could not be made",
        CardState.CANCELLED: "was cancelled",
        CardState.PENDING: "waits for its first passcode",
        CardState.ACTIVE: "in use",
        CardState.SUSPENDED: "suspended",
        CardState.REVOKED: "revoked",
    }
)
NEXT: Mapping[Stage, str] = MappingProxyType(
    {
        Stage.NO_PHONE: "There is no phone. Invite one.",
        Stage.INVITATION_EXPIRED: "The invitation has expired. Send another one.",
        Stage.INVITED: "The holder opens the invitation on the phone, until {until}.",
        Stage.NO_CARD: "There is no card. Issue one.",
        Stage.CARD_INCOMPLETE: "Card {card} is being made.",
        Stage.CARD_FAILED: "Card {card} could not be made. Try again.",
        Stage.NO_PASSCODE: "The holder chooses a passcode for card {card} on the phone.",
        Stage.ENROLLED: "Nothing is missing.",
        Stage.CLOSED: "This person has left.",
    }
)


class Done(NamedTuple):
    """What was done: the sort of entry that tells of it, in words, and what has to happen next.
    Without a sort, nothing was changed.
    """

    kind: Kind | None
    text: str
    next_step: str


# By the word in the address of the page that shows it
DONE: Mapping[str, Done] = MappingProxyType(
    {
        "issued": Done(
            Kind.CARD_ISSUED,
            "A card is issued",
            "The holder chooses a passcode for it on the phone. Without a phone, invite one.",
        ),
        "failed": Done(
            Kind.CARD_FAILED,
            "A card could not be made",
            "Its reason is below. When that is mended, try to make it again.",
        ),
        "suspended": Done(
            Kind.CARD_SUSPENDED,
            "The card is suspended",
            "Put it back in use when it is clear that nobody else can use it.",
        ),
        "resumed": Done(
            Kind.CARD_RESUMED, "The card is back in use", "The holder need not do anything."
        ),
        "revoked": Done(
            Kind.CARD_REVOKED,
            "The card is revoked",
            "If the holder needs another card, issue one.",
        ),
        "renewed": Done(
            Kind.CARD_RENEWED,
            "The card is renewed",
            "The holder need not do anything; readers have the new certificates within a minute.",
        ),
        "waits": Done(
            None,
            "The authority of the card is asked",
            "The card is renewed when all its certificates have come.",
        ),
        "replaced": Done(
            Kind.CARD_ISSUED,
            "There is another card",
            "The holder chooses a passcode for it on the phone. The card before ends then, if it "
            "has not ended yet.",
        ),
        "closed": Done(Kind.USER_CLOSED, "This person is closed", "Nothing is left to do."),
        "there": Done(None, "This person was there already", "Nothing was changed."),
        "account": Done(
            Kind.WINDOWS_ACCOUNT_ADDED,
            "The Windows account is added",
            "It comes into use when the person has finished enrolling.",
        ),
        "no-account": Done(
            Kind.WINDOWS_ACCOUNT_REMOVED, "The Windows account is removed", "Nothing is left to do."
        ),
        "no-device": Done(
            Kind.IDENTITY_REMOVED,
            "The device is removed",
            "If the person needs another one, invite one.",
        ),
    }
)

RIGHTS: Mapping[Right, str] = MappingProxyType(
    {
        Right.VIEW: "See people, cards, phones and policies",
        Right.PEOPLE: "Add and change people",
        Right.ISSUE: "Issue cards",
        Right.UNLOCK: "Unlock cards",
        Right.SUSPEND: "Suspend cards",
        Right.REVOKE: "Revoke cards, put them back in use, and close people",
        Right.DEVICES: "Invite and remove phones",
        Right.WORKSTATIONS: "Add and remove workstations",
        Right.ALERTS: "Acknowledge alerts",
        Right.ROLES: "Invite and remove operators, and grant roles",
        Right.POLICY: "Set policies, and add organisations",
        Right.DOMAINS: "Set the domains of e-mail addresses",
        Right.JOURNAL: "Read the journal of others",
        Right.PORTAL: "Ask for portal passwords, and have them changed",
    }
)
# What was done, above the list that shows how things are then
SAID: Mapping[str, str] = MappingProxyType(
    {
        "added": "It is added.",
        "acknowledged": "It is acknowledged.",
        "changed": "It is changed. This holds at once.",
        "removed": "It is removed.",
        "signed-out": "Nobody is signed in there any more.",
        "granted": "The role is granted. It holds at once, or from its first day on.",
        "withdrawn": "The role is withdrawn. It gives no right any more.",
        "approved": "It is approved, and done.",
        "refused": "It is refused. Nothing was done.",
    }
)


def day(time: datetime | None) -> str:
    """A day as people write it."""
    return "" if time is None else f"{time.day} {time:%B %Y}"


def when(time: datetime | None) -> str:
    """A time, to the minute."""
    return "" if time is None else f"{day(time)}, {time:%H:%M} UTC"


def next_step(progress: Progress) -> str:
    """What has to happen next."""
    return NEXT[progress.stage].format(until=day(progress.until), card=progress.card)


def card_state(listing: CardListing) -> str:
    """The state of a card, and whether its passcode is locked."""
    said = CARD_STATES[listing.card.state]
    locked = listing.passcode_state == "locked" and listing.card.state is CardState.ACTIVE
    return f"{said}, locked" if locked else said


def card_type(profile: str) -> str:
    """The profile of a person's cards, or of the next one."""
    return profile or DEFAULT_PROFILE
