"""Collects the entries of a pack: those that match, and those on which they rest."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from cloud_keystore.model.journal import Entry, Kind, decode
from cloud_keystore.model.passcodes import PROOF_TIME
from cloudcard.audit.v1 import audit_pb2 as pb
from cloudcard_tools.audit.cards import EVENTS
from cloudcard_tools.audit.service import Journal

WHOLE = 10**9
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
    *EVENTS,
    Kind.CARD_RESET,
    Kind.KEY_MADE,
    Kind.KEY_IMPORTED,
    Kind.KEY_MOVED,
)


def collect(service: Journal, query: pb.SearchEntriesRequest, size: int) -> list[pb.Entry]:
    """The entries that match a query and have places below `size`, in order; with them everything
    of their operations, and what their holders, cards and workstations were at that time.

    Operators' enrolments are left out: what they do is no use of a key.
    """
    found = _by_place(service.search(query, WHOLE), size)
    for step in (_operations, _grounds):
        for more in step(found.values()):
            found |= _by_place(service.search(more, WHOLE), size)
    return [found[index] for index in sorted(found)]


def _by_place(entries: Iterable[pb.Entry], size: int) -> dict[int, pb.Entry]:
    return {each.index: each for each in entries if each.HasField("index") and each.index < size}


def _operations(found: Iterable[pb.Entry]) -> list[pb.SearchEntriesRequest]:
    """Everything of the operations and sessions that some entries are about."""
    entries = [decode(each.entry) for each in found]
    names = {each.operation_id for each in entries} | {
        str(each.details["session"]) for each in entries if "session" in each.details
    }
    return [pb.SearchEntriesRequest(operation_id=name) for name in sorted(filter(None, names))]


def _grounds(found: Iterable[pb.Entry]) -> list[pb.SearchEntriesRequest]:
    """What holders, cards and workstations are, of which some entries tell."""
    entries = [decode(each.entry) for each in found]
    users, workstations = (_names(entries, name) for name in ("user_id", "workstation_id"))
    queries = [
        pb.SearchEntriesRequest(workstation_id=name, kinds=[each.value for each in IDENTITY])
        for name in workstations
    ]
    asked = [each.time for each in entries if each.kind is Kind.OPERATION_ASKED]
    for name in users:
        queries.append(
            pb.SearchEntriesRequest(user_id=name, kinds=[each.value for each in OF_HOLDERS])
        )
        if asked:
            given = pb.SearchEntriesRequest(user_id=name, kinds=[Kind.PASSCODE_RIGHT.value])
            given.since.FromDatetime(min(asked) - PROOF_TIME)
            given.until.FromDatetime(max(asked) + timedelta(microseconds=1))
            queries.append(given)
    return queries


def _names(entries: Iterable[Entry], name: str) -> list[str]:
    return sorted({value for each in entries if (value := getattr(each, name)) is not None})
