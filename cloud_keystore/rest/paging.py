"""Pages of lists: a client gets a text by which it asks for the next one."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

from fastapi import Query

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.fields.pages import Page

T = TypeVar("T")

MOST_ITEMS = 200  # of a page
ITEMS = 50
LONGEST_TOKEN = 256

Limit = Annotated[
    int, Query(ge=1, le=MOST_ITEMS, description="How many items the page has at most.")
]
PageToken = Annotated[
    str,
    Query(max_length=LONGEST_TOKEN, description="`next_page_token` of the page before."),
]


def page_of(name: str, limit: int, token: str) -> Page:
    """The page of a list that a client asks for, and one item more, by which it is known whether
    there is another page. Raises InvalidInput.
    """
    return Page(limit + 1, _after(name, token) if token else "")


def cut(
    name: str, found: Sequence[T], limit: int, key: Callable[[T], str]
) -> tuple[Sequence[T], str | None]:
    """The items of a page, and the token of the next one; None if there is none."""
    if len(found) <= limit:
        return found, None
    items = found[:limit]
    text = f"{name}:{key(items[-1])}"
    return items, base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _after(name: str, token: str) -> str:
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        raw = ""
    of, _, after = raw.partition(":")
    if of != name or not after or not after.isprintable():
        raise InvalidInput("page_token is none of this list: leave it out, and begin again")
    return after
