"""Collects the entries of a pack: those that match, and those on which they rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cloud_keystore.audit.packs import collecting
from cloud_keystore.storage.bundles.contents import Query
from cloudcard.audit.v1 import audit_pb2 as pb
from cloudcard_tools.audit.service import Journal

WHOLE = 10**9


def collect(service: Journal, query: pb.SearchEntriesRequest, size: int) -> list[pb.Entry]:
    """The entries that match a query and have places below `size`, in order; with them everything
    on which they rest.
    """
    found: dict[int, pb.Entry] = {}

    def search(more: pb.SearchEntriesRequest) -> Iterator[tuple[int, bytes]]:
        for index, each in _by_place(service.search(more, WHOLE), size).items():
            found[index] = each
            yield index, each.entry

    collecting.collect(lambda more: search(_asked(more)), dict(search(query)))
    return [found[index] for index in sorted(found)]


def _asked(query: Query) -> pb.SearchEntriesRequest:
    """The same conditions for the service."""
    asked = pb.SearchEntriesRequest(
        user_id=query.user_id or "",
        workstation_id=query.workstation_id or "",
        operation_id=query.operation_id or "",
        kinds=query.kinds,
    )
    if query.since is not None:
        asked.since.FromDatetime(query.since)
    if query.until is not None:
        asked.until.FromDatetime(query.until)
    return asked


def _by_place(entries: Iterable[pb.Entry], size: int) -> dict[int, pb.Entry]:
    return {each.index: each for each in entries if each.HasField("index") and each.index < size}
