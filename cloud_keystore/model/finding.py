"""Finding things by what people call them. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, unique

from cloud_keystore.model.fields.texts import comparable

SHORTEST_BEGINNING = 3  # a shorter one is too easily another thing's
LONGEST_TEXT = 256


@unique
class Sort(IntEnum):
    """A sort of things; the numbers are those of `cloudcard.registry.v1.Sort`."""

    USER = 1
    CARD = 2
    DEVICE = 3
    WORKSTATION = 4
    OPERATOR = 5
    AUDITOR = 6
    ORGANISATION = 7
    ALERT = 8
    OPERATION = 9
    CLIENT = 10
    SHARED_DEVICE = 11


@dataclass(frozen=True, slots=True)
class Findable:
    """A thing with what it is found by: `ids` belong to it alone, others can have the same name
    (`called`). `about` and the rest tell it apart from others.
    """

    id: str
    ids: tuple[str, ...]
    called: tuple[str, ...]
    name: str
    about: tuple[str, ...] = ()
    state: str = ""
    ended: bool = False
    create_time: datetime | None = None


def find(text: str, things: Iterable[Findable]) -> list[Findable]:
    """The things that a text names: by an identifier; or else by a name, where upper and lower case
    are the same; or else by the beginning of an identifier or of a name's word, where accents do
    not matter either.
    """
    wanted, begins = folded(text), unaccented(text)
    if not begins:
        return []
    called: list[Findable] = []
    begun: list[Findable] = []
    for thing in things:
        if wanted in map(folded, thing.ids):
            return [thing]
        names = [folded(name) for name in thing.called]
        if wanted in names:
            called.append(thing)
        elif len(wanted) >= SHORTEST_BEGINNING and any(
            f" {begins}" in f" {unaccented(word)}" for word in (*thing.ids, *thing.called)
        ):
            begun.append(thing)
    # What has ended comes last, so that it is the first to be left off.
    return sorted(called or begun, key=lambda each: each.ended)


def as_written(text: str) -> str:
    """A text that is looked for, without the blanks between the digits of a number that was read
    out in groups.
    """
    together = "".join(text.split())
    return together if together.isdigit() else text


def folded(text: str) -> str:
    """The form in which texts are compared: no matter how they were typed."""
    return unicodedata.normalize("NFC", comparable(" ".join(text.split())))


def unaccented(text: str) -> str:
    """The form in which a text is looked for within others: folded, and without accents."""
    apart = unicodedata.normalize("NFKD", folded(text))
    return comparable("".join(each for each in apart if not unicodedata.combining(each)))
