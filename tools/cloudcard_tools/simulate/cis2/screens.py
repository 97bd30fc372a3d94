"""The pages of the provider: how to log in, which role, whether to log out. Pure."""

from __future__ import annotations

from collections.abc import Set
from urllib.parse import urlencode

from cloudcard_tools.simulate import pages
from cloudcard_tools.simulate.cis2 import places
from cloudcard_tools.simulate.cis2.levels import Way
from cloudcard_tools.simulate.cis2.places import Places
from cloudcard_tools.simulate.cis2.steps import LIST_ENDS, found
from cloudcard_tools.simulate.directory import ORGANISATIONS, Person
from cloudcard_tools.simulate.exchange import Response


def log_in(
    at: Places, key: str, ways: Set[Way], wrong: str = "", *, rings: bool = False
) -> Response:
    """The ways to log in that are sure enough; with a phone, if the provider rings phones."""
    parts = [pages.paragraph(wrong)] if wrong else []
    if Way.CARD in ways:
        parts += [
            pages.heading("With a card"),
            pages.form(at.at_card(places.CARD), "Use the card", {"waiting": key}, method="get"),
            pages.paragraph(
                f"Programs sign a challenge instead: {at.at(places.CHALLENGE)}?waiting={key}"
            ),
        ]
    if rings and ways & {Way.PHONE, Way.CHALLENGE}:
        parts += [
            pages.heading("With a phone"),
            pages.form(
                at.at(places.PHONE),
                "Ring my phone",
                {"waiting": key},
                pages.text_field("user", "E-mail address or account name"),
            ),
        ]
    if Way.CODE in ways:
        parts += [
            pages.heading("With a one-time code"),
            pages.form(
                at.at(places.CODE),
                "Log in",
                {"waiting": key},
                pages.text_field("person", "Number of twelve digits"),
                pages.text_field("passphrase", "Passphrase"),
                pages.text_field("code", "Code"),
            ),
        ]
    return pages.page("Log in", *parts)


def ringing(at: Places, key: str, number: str) -> Response:
    """What somebody types on the phone, until it has been done."""
    there = f"{at.at(places.PHONE)}?{urlencode({'waiting': key})}"
    return pages.page(
        "Look at your phone",
        pages.paragraph(f"Type this number on your phone: {number}"),
        pages.link(there, "I have approved it"),
        again=there,
    )


def passcode(at: Places, key: str, wrong: str = "") -> Response:
    """The passcode of the card that somebody has put in by phone: its key is to sign."""
    return pages.page(
        "Type the passcode of your card",
        pages.paragraph(wrong) if wrong else "",
        pages.paragraph("Your phone then asks once more: for a signature of the card's key."),
        pages.form(
            at.at(places.PASSCODE),
            "Continue",
            {"waiting": key},
            pages.text_field("passcode", "Passcode", kind="password"),
        ),
    )


def roles(key: str, person: Person, words: str) -> Response:
    """The roles of a person: a list, or a search if there are many."""
    shown = person.roles
    parts = [pages.paragraph(person.name)]
    if len(shown) > LIST_ENDS:
        shown = found(shown, words)[:LIST_ENDS] if words.strip() else []
        parts.append(
            pages.form(
                places.ROLE,
                "Search",
                {"waiting": key},
                pages.text_field("search", "Role or organisation", words),
                method="get",
            )
        )
    options = {
        role.id: f"{role.job.name} at {ORGANISATIONS[role.organisation]} ({role.organisation})"
        for role in shown
    }
    if options:
        parts.append(
            pages.form(
                places.ROLE,
                "Continue",
                {"waiting": key},
                pages.choice("role", "Choose a role", options),
            )
        )
    return pages.page("Choose a role", *parts)


def log_out(hidden: dict[str, str]) -> Response:
    """Whether to log out."""
    return pages.page(
        "Log out",
        pages.paragraph("Do you want to log out of everything that you are logged in to here?"),
        pages.form(places.END_SESSION, "Log out", hidden),
    )


def logged_out() -> Response:
    """That nobody is logged in any more."""
    return pages.page("Logged out", pages.paragraph("You are logged out."))
