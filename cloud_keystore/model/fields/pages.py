"""Pages of lists, for whoever does not want all at once."""

from __future__ import annotations

from dataclasses import dataclass

from cloud_keystore.model.errors import InvalidInput

LARGEST_PAGE = 1000


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
