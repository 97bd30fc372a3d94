"""Which entries are in a pack: those that match, and those on which they rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta

from cloud_keystore.model.journal import Entry, Kind, decode
from cloud_keystore.model.passcodes import PROOF_TIME
from cloud_keystore.storage.bundles.contents import Query

IDENTITY = (
    Kind.IDENTITY_INVITED,
    Kind.IDENTITY_ENROLLED,
    Kind.IDENTITY_RENEWED,
    Kind.IDENTITY_REKEYED,
    Kind.IDENTITY_REMOVED,
)
OF_HOLDERS = (
    *IDENTITY,
    Kind.CARD_ISSUED,
    Kind.CARD_COMPLETED,
    Kind.CARD_ACTIVATED,
    Kind.CARD_SUSPENDED,
    Kind.CARD_RESUMED,
    Kind.CARD_REVOKED,
    Kind.CARD_RESET,
    Kind.KEY_MADE,
    Kind.KEY_IMPORTED,
    Kind.KEY_MOVED,
)

Search = Callable[[Query], Iterable[tuple[int, bytes]]]  # places and entries


def collect(search: Search, found: dict[int, bytes]) -> dict[int, bytes]:
    """Entries by their places, with everything of their operations, and what their holders, cards
    and workstations were at that time.

    Operators' enrolments are left out: what they do is no use of a key.
    """
    for step in (_operations, _grounds):
        for more in step([decode(each) for each in found.values()]):
            found |= dict(search(more))
    return found


def _operations(entries: list[Entry]) -> Iterator[Query]:
    """Everything of the operations and sessions that some entries are about."""
    names = {each.operation_id for each in entries} | {
        str(each.details["session"]) for each in entries if "session" in each.details
    }
    return (Query(operation_id=name) for name in sorted(filter(None, names)))


def _grounds(entries: list[Entry]) -> Iterator[Query]:
    """What holders, cards and workstations are, of which some entries tell."""
    users, workstations = (_names(entries, name) for name in ("user_id", "workstation_id"))
    for name in workstations:
        yield Query(workstation_id=name, kinds=tuple(each.value for each in IDENTITY))
    asked = [each.time for each in entries if each.kind is Kind.OPERATION_ASKED]
    for name in users:
        yield Query(user_id=name, kinds=tuple(each.value for each in OF_HOLDERS))
        if asked:
            since, until = min(asked) - PROOF_TIME, max(asked) + timedelta(microseconds=1)
            kinds = (Kind.PASSCODE_RIGHT.value,)
            yield Query(user_id=name, kinds=kinds, since=since, until=until)


def _names(entries: Iterable[Entry], name: str) -> list[str]:
    return sorted({value for each in entries if (value := getattr(each, name)) is not None})
