"""Pages of lists, for whoever does not want all at once, and the order of lists."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from cloud_keystore.model.errors import InvalidInput

LARGEST_PAGE = 1000
# What lists of people and of cards can be sorted by
USER_COLUMNS = (
    *("created", "name", "uuid12", "email", "state", "devices", "cards", "organisation"),
    *("profile", "phone", "upn", "sid", "id"),
)
CARD_COLUMNS = (
    *("issued", "serial", "holder", "state", "passcode", "profile", "organisation", "expires"),
)


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a list in the order of what identifies its items: at most so many of those after
    `after`.
    """

    size: int
    after: str = ""


def page(size: int, after: str) -> Page | None:
    """The page that is asked for; None for the whole list. Raises InvalidInput."""
    if size > LARGEST_PAGE:
        raise InvalidInput(f"page_size is {size}: give at most {LARGEST_PAGE}, or 0 for all")
    if after and not size:
        raise InvalidInput("page_size is missing: after is of a page")
    return Page(size, after) if size else None


@dataclass(frozen=True, slots=True)
class Order:
    """The column by which a list is sorted."""

    column: str
    descending: bool = False


def order(text: str, columns: Collection[str], default: str) -> Order:
    """The order that is asked for: a column, after a minus if the last comes first. Raises
    InvalidInput.
    """
    column = text.removeprefix("-") or default
    if column not in columns:
        named = ", ".join(columns)
        raise InvalidInput(f"sort is {text[:32]!r}: give one of {named}, perhaps after a minus")
    return Order(column, text.startswith("-"))
