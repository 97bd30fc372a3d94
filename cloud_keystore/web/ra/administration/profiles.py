"""The page of card types: the built-in profiles, and those that organisations define."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from cloud_keystore.cards.custom.custom_profiles import CustomProfiles, ProfileListing
from cloud_keystore.model.profiles import DEFAULT_PROFILE, PROFILES, CardProfile
from cloud_keystore.web.ra.administration.places import PROFILES as PATH
from cloud_keystore.web.ra.administration.places import SECTION
from cloud_keystore.web.ra.lists import Cell, Line, Listing, ListPage, number_cell
from cloud_keystore.web.ra.views import Views
from cloud_keystore.web.rows import Row
from cloud_keystore.web.visiting import current

COLUMNS = {
    "name": "Card type",
    "title": "What it is",
    "organisation": "Of",
    "prefix": "Numbers begin",
    "days": "Days",
    "client": "Oldest app",
}


@dataclass(frozen=True, slots=True)
class ProfilePages:
    """Lists profiles."""

    views: Views
    custom_profiles: CustomProfiles

    def rows(self) -> tuple[Row, ...]:
        """Its pages."""
        return ListPage(self.views, PATH, self.listing, SECTION).rows()

    def listing(self, _request: Request) -> Listing:
        """The profiles of which an operator can issue cards."""
        own = self.custom_profiles.list_all(actor=current().visitor.actor)
        return Listing(
            "Card types",
            COLUMNS,
            [*map(_built_in, PROFILES.values()), *map(_own, own)],
            "",
            (
                f"New cards are {DEFAULT_PROFILE}, unless another type is set for their holder. "
                "Types of organisations are defined by command: cloudcard ra profile create.",
            ),
        )


def _built_in(profile: CardProfile) -> Line:
    cells = (Cell(profile.name), Cell(profile.title), Cell("All"), Cell(profile.serial_prefix))
    return Line((*cells, number_cell(profile.validity_days), Cell("")))


def _own(listing: ProfileListing) -> Line:
    profile = listing.profile
    title = f"{profile.series}, a variant of {profile.base}, {listing.cards} cards"
    cells = (Cell(profile.name), Cell(title), Cell(listing.organisation_name))
    days = number_cell(profile.validity_days)
    return Line((*cells, Cell(profile.serial_prefix), days, Cell(profile.oldest_client)))
