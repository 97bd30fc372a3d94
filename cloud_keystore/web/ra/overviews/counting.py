"""The page of how many cards there are, by organisation, type, numbers and state."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from cloud_keystore.cards.life import Life
from cloud_keystore.model.profiles import PROFILES
from cloud_keystore.people.organisations import Organisations
from cloud_keystore.web.ra import words
from cloud_keystore.web.ra.administration.places import paths
from cloud_keystore.web.ra.lists import (
    Cell,
    Choice,
    Line,
    Listing,
    ListPage,
    chosen_of,
    number_cell,
)
from cloud_keystore.web.ra.overviews.section import SECTION
from cloud_keystore.web.ra.views import REPORT, Views
from cloud_keystore.web.rows import Row
from cloud_keystore.web.visiting import current

TYPE = Choice("type", "Card type", {"": "All card types", **{each: each for each in PROFILES}})
COLUMNS = {
    "organisation": "Organisation",
    "type": "Card type",
    "prefix": "Numbers begin",
    "state": "State",
    "cards": "Cards",
}


@dataclass(frozen=True, slots=True)
class CountPages:
    """Counts cards."""

    views: Views
    cards: Life
    organisations: Organisations

    def rows(self) -> tuple[Row, ...]:
        """Its pages."""
        return ListPage(self.views, REPORT, self.listing, SECTION).rows()

    def listing(self, request: Request) -> Listing:
        """How many cards there are whose holders the operator sees."""
        actor, wanted = current().visitor.actor, chosen_of(request, TYPE)
        called = paths(self.organisations.list_all(actor=actor))
        found = [each for each in self.cards.count(actor=actor) if wanted in ("", each.profile)]
        total = sum(each.cards for each in found)
        return Listing(
            "Cards",
            COLUMNS,
            [
                Line(
                    (
                        Cell(called.get(each.organisation_id, each.organisation_id)),
                        Cell(each.profile),
                        Cell(PROFILES[each.profile].serial_prefix),
                        Cell(words.CARD_STATES[each.state].capitalize()),
                        number_cell(each.cards),
                    )
                )
                for each in found
            ],
            "There are no cards yet.",
            (f"{total} {'card' if total == 1 else 'cards'} in all.",),
            choices=(TYPE,),
        )
