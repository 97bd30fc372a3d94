"""What can be done with a card: a table of states, rights and consequences. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from cloud_keystore.cards.life import CardListing
from cloud_keystore.model.cards import CardState, Replacement
from cloud_keystore.model.pki.revocation import RevocationReason
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.web.ra.forms import Field

LEFT, OTHER = RevocationReason.CESSATION_OF_OPERATION, RevocationReason.SUPERSEDED
REASONS: Mapping[str, str] = MappingProxyType(
    {
        LEFT.value: "It is needed no more. What it has signed still counts.",
        OTHER.value: "Another card takes its place. What it has signed still counts.",
        RevocationReason.AFFILIATION_CHANGED.value: (
            "Its holder works somewhere else. What it has signed still counts."
        ),
        RevocationReason.KEY_COMPROMISE.value: (
            "Somebody else could use it. Everything that it has ever signed counts for nothing."
        ),
    }
)


REPLACEMENTS: Mapping[str, str] = MappingProxyType(
    {
        Replacement.DAMAGED.value: "It does not work. It goes on until the new one is in use.",
        Replacement.LOST.value: "It was lost. It goes on until the new one is in use.",
        Replacement.COMPROMISED.value: (
            "Somebody else could use it. It is revoked at once, and everything that it has ever "
            "signed counts for nothing."
        ),
    }
)


class Act(NamedTuple):
    """What is done with a card: the states in which it can be, the right, and its question."""

    states: frozenset[CardState]
    right: Right
    button: str
    title: str
    said: tuple[str, ...] = ()
    fields: tuple[Field, ...] = ()
    warns: bool = False


ACTS: Mapping[str, Act] = MappingProxyType(
    {
        "code": Act(
            frozenset({CardState.ACTIVE, CardState.SUSPENDED}),
            Right.UNLOCK,
            "Make an unlock code",
            "",
        ),
        "again": Act(frozenset({CardState.FAILED}), Right.ISSUE, "Try to make it again", ""),
        "suspend": Act(
            frozenset({CardState.ACTIVE}),
            Right.SUSPEND,
            "Suspend",
            "Suspend this card?",
            (
                "Nobody can use the card until somebody puts it back in use. Requests that wait "
                "are withdrawn, sessions end, and its certificates are on hold.",
                "The holder is told by e-mail.",
            ),
        ),
        "resume": Act(
            frozenset({CardState.SUSPENDED}),
            Right.REVOKE,
            "Put back in use",
            "Put this card back in use?",
            ("Its holder can use it at once. A locked passcode stays locked.",),
        ),
        "renew": Act(
            frozenset({CardState.ACTIVE}),
            Right.ISSUE,
            "Renew",
            "Renew this card?",
            ("It stays the same card with the same passcode, and gets new keys and certificates.",),
        ),
        "replace": Act(
            frozenset({CardState.PENDING, CardState.ACTIVE, CardState.SUSPENDED}),
            Right.ISSUE,
            "Replace",
            "Replace this card?",
            ("Its holder gets another card of the same type, and is told by e-mail.",),
            (Field("why", "Why?", choices=REPLACEMENTS),),
        ),
        "revoke": Act(
            frozenset(
                {CardState.ISSUING, CardState.FAILED, CardState.PENDING}
                | {CardState.ACTIVE, CardState.SUSPENDED}
            ),
            Right.REVOKE,
            "Revoke",
            "Revoke this card?",
            (
                "The card is out of use for ever, its certificates are revoked, and its keys are "
                "destroyed. The holder needs another card.",
            ),
            (
                Field("code", "Why?", choices=REASONS),
                Field("reason", "In your words", "The holder and the journal are told."),
            ),
            warns=True,
        ),
    }
)


def acts_on(listing: CardListing, rights: tuple[Right, ...]) -> list[tuple[str, Act]]:
    """What somebody with some rights can do with a card in its state."""
    return [
        (name, act)
        for name, act in ACTS.items()
        if listing.card.state in act.states and act.right in rights
    ]
