"""Finding what a command is about by what its user has: a serial number, a name, an address, or the
beginning of one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import click

from cloud_keystore.model.finding import SHORTEST_BEGINNING, Findable, Sort
from cloudcard.registry.v1 import finding_pb2 as pb
from cloudcard_tools.shared.failures import Failure, NothingFound, SeveralFound
from cloudcard_tools.shared.output import Row, iso_time

Ask: TypeAlias = Callable[[Sort, str], "Answer"]

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SERIAL = re.compile(r"[0-9]{16}")


class Words(NamedTuple):
    """How a sort of things is called, and the command that lists them, if there is one."""

    one: str
    several: str
    listed_by: str


WORDS: Mapping[Sort, Words] = {
    Sort.USER: Words("person", "people", "cloudcard ra user list"),
    Sort.CARD: Words("card", "cards", "cloudcard ra card list"),
    Sort.DEVICE: Words("phone", "phones", "cloudcard ra device list USER"),
    Sort.WORKSTATION: Words("workstation", "workstations", "cloudcard ra workstation list"),
    Sort.OPERATOR: Words("operator", "operators", "cloudcard ra operator list"),
    Sort.AUDITOR: Words("auditor", "auditors", "cloudcard ra auditor list"),
    Sort.SHARED_DEVICE: Words("shared device", "shared devices", "cloudcard ra shared-device list"),
    Sort.CLIENT: Words("API client", "API clients", "cloudcard ra client list"),
    Sort.ORGANISATION: Words("organisation", "organisations", "cloudcard ra organisation list"),
    Sort.ALERT: Words("alert", "alerts", "cloudcard ra alerts list --all"),
    Sort.OPERATION: Words("operation", "operations", ""),
}


class Answer(NamedTuple):
    """What was found, and how many more there are."""

    matches: Sequence[pb.Match]
    more: int = 0


def find(
    ask: Ask,
    sort: Sort,
    text: str,
    *,
    in_use: bool = False,
    words: Words | None = None,
    by_hand: bool = False,
) -> str:
    """The identifier, or of a card the serial number, of what a text names. With `in_use`, what has
    been removed counts only if nothing else is called so. `words` are the operators' own unless
    given. With `by_hand`, the person at the terminal chooses among several.

    Raises NothingFound, SeveralFound, and Failure if the person chooses none. A whole identifier or
    serial number is not looked up.
    """
    whole = SERIAL if sort is Sort.CARD else UUID
    if whole.fullmatch(text):
        return text
    answer = ask(sort, text)
    return choose(words or WORDS[sort], text, answer, in_use=in_use, by_hand=by_hand)


def both(text: str, found: str) -> str:
    """What was found, and what was typed if that is something else."""
    return found if text == found else f"{found} ({text})"


def choose(
    words: Words, text: str, answer: Answer, *, in_use: bool = False, by_hand: bool = False
) -> str:
    """The only match, or with `by_hand` the one that is chosen. Raises NothingFound, SeveralFound,
    Failure.
    """
    matches, more = answer
    if in_use:
        matches = [each for each in matches if not each.ended] or matches
    if not matches:
        short = (
            f"; a beginning has at least {SHORTEST_BEGINNING} characters"
            if len(text.strip()) < SHORTEST_BEGINNING
            else ""
        )
        listed = f": {words.listed_by}" if words.listed_by else ""
        raise NothingFound(f'there is no {words.one} "{text}"{short}{listed}')
    if len(matches) == 1:
        return matches[0].id
    heading = f'"{text}" can be each of these {words.several}:'
    if by_hand:
        return _chosen(heading, matches, more)
    lines = [heading, *map(_line, matches)]
    if more:
        lines.append(f"  and {more} more")
    lines.append("Give more of its name, or the identifier or serial number at the left.")
    raise SeveralFound("\n".join(lines), [_row(each) for each in matches])


def _chosen(heading: str, matches: Sequence[pb.Match], more: int) -> str:
    """The match whose number the person types. Raises Failure for anything else."""
    lines = [heading, *(f"{number:>3}{_line(each)}" for number, each in enumerate(matches, 1))]
    if more:
        lines.append(f"     and {more} more: give more of its name to see them")
    click.echo("\n".join(lines), err=True)
    typed: str = click.prompt("Which one? [none]", default="", show_default=False, err=True)
    numbered = {str(number): each.id for number, each in enumerate(matches, 1)}
    if typed.strip() not in numbered:
        raise Failure("none was chosen: nothing was changed")
    return numbered[typed.strip()]


def of_own(found: Sequence[Findable]) -> Answer:
    """What was found on this computer, as an answer."""
    return Answer([pb.Match(id=each.id, name=each.name, about=each.about) for each in found])


def _line(match: pb.Match) -> str:
    since = f"since {iso_time(match.create_time.ToDatetime())}" if match.create_time.seconds else ""
    known = ", ".join(word for word in (match.name, *match.about, match.state, since) if word)
    return f"  {match.id}  {known}"


def _row(match: pb.Match) -> Row:
    return {
        "id": match.id,
        "name": match.name,
        "about": list(match.about),
        "state": match.state,
        "created": iso_time(match.create_time.ToDatetime()) if match.create_time.seconds else None,
    }
