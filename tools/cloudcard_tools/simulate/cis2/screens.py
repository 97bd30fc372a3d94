"""The pages of the provider: how to log in, which role, whether to log out. Pure."""

from __future__ import annotations

from collections.abc import Set

from cloudcard_tools.simulate import pages
from cloudcard_tools.simulate.cis2 import places
from cloudcard_tools.simulate.cis2.levels import Way
from cloudcard_tools.simulate.cis2.places import Places
from cloudcard_tools.simulate.cis2.steps import LIST_ENDS, found
from cloudcard_tools.simulate.directory import ORGANISATIONS, Person
from cloudcard_tools.simulate.exchange import Response


def log_in(at: Places, key: str, ways: Set[Way], wrong: str = "") -> Response:
    """The ways to log in that are sure enough."""
    parts = [pages.paragraph(wrong)] if wrong else []
    if Way.CARD in ways:
        parts += [
            pages.heading("With a card"),
            pages.form(at.at_card(places.CARD), "Use the card", {"waiting": key}, method="get"),
            pages.paragraph(
                f"Programs sign a challenge instead: {at.at(places.CHALLENGE)}?waiting={key}"
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
