"""`AuditService`: what auditors call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from cloud_keystore.audit.reading import Reading
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.journal import EPOCH, MICROSECOND, decode, identifiers
from cloud_keystore.model.people import Identity
from cloud_keystore.rpc.door import Door, chunks
from cloud_keystore.rpc.finding import matches, more, sort_of
from cloud_keystore.rpc.refusals import Context
from cloud_keystore.storage.journal import Place, Query, Row
from cloudcard.audit.v1 import audit_pb2 as pb
from cloudcard.audit.v1 import audit_pb2_grpc

DEFAULT_PAGE = 100
LARGEST_PAGE = 512 * 1024  # bytes; clients take twice as much
LAST_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class AuditServicer(audit_pb2_grpc.AuditServiceServicer):
    """Translates between messages and use cases."""

    door: Door
    reading: Reading

    async def GetJournal(
        self, request: pb.GetJournalRequest, context: Context
    ) -> pb.GetJournalResponse:
        (origin, public_key), note = await self.door.call(
            context, lambda auditor: (self.reading.key(), self.reading.head(auditor))
        )
        return pb.GetJournalResponse(origin=origin, public_key=public_key, checkpoint=note)

    async def SearchEntries(
        self, request: pb.SearchEntriesRequest, context: Context
    ) -> pb.SearchEntriesResponse:
        most = request.page_size or DEFAULT_PAGE

        def search(auditor: Identity) -> tuple[list[Row], Mapping[str, str]]:
            found = self.reading.search(
                auditor, _query(request), request.card_serial, _place(request.page_token), most
            )
            return found, self.reading.names(found[:most])

        found, names = await self.door.call(context, search)
        page, used = page_of(found[:most], names)
        return pb.SearchEntriesResponse(
            entries=page,
            next_page_token=_token(found[len(page) - 1]) if len(found) > len(page) else "",
            names={each: names[each] for each in used},
        )

    async def FindSubjects(
        self, request: pb.FindSubjectsRequest, context: Context
    ) -> pb.FindSubjectsResponse:
        found = await self.door.call(
            context,
            lambda auditor: self.reading.find(auditor, sort_of(request.sort), request.text),
        )
        return pb.FindSubjectsResponse(matches=matches(found), more=more(found))

    async def ExportEntries(
        self, request: pb.ExportEntriesRequest, context: Context
    ) -> AsyncIterator[pb.ExportEntriesResponse]:
        first, end = request.from_index, request.end_index
        async with self.door.stream(context) as auditor:
            await asyncio.to_thread(self.reading.begin_export, auditor, first, end)
            while rows := await asyncio.to_thread(self.reading.export, auditor, first, end):
                for some in chunks(map(_entry, rows)):
                    yield pb.ExportEntriesResponse(entries=some)
                first += len(rows)

    async def ListCheckpoints(
        self, request: pb.ListCheckpointsRequest, context: Context
    ) -> pb.ListCheckpointsResponse:
        most = request.page_size or DEFAULT_PAGE
        found = await self.door.call(
            context, lambda auditor: self.reading.checkpoints(auditor, request.after_size, most)
        )
        return pb.ListCheckpointsResponse(checkpoints=found)

    async def ProveInclusion(
        self, request: pb.ProveInclusionRequest, context: Context
    ) -> pb.ProveInclusionResponse:
        found = await self.door.call(
            context,
            lambda auditor: self.reading.prove_inclusion(auditor, request.size, request.indices),
        )
        return pb.ProveInclusionResponse(proofs=[pb.Proof(hashes=each) for each in found])

    async def ProveConsistency(
        self, request: pb.ProveConsistencyRequest, context: Context
    ) -> pb.ProveConsistencyResponse:
        found = await self.door.call(
            context,
            lambda auditor: self.reading.prove_consistency(auditor, request.old_size, request.size),
        )
        return pb.ProveConsistencyResponse(proof=pb.Proof(hashes=found))


def _query(request: pb.SearchEntriesRequest) -> Query:
    return Query(
        user_id=request.user_id or None,
        workstation_id=request.workstation_id or None,
        operation_id=request.operation_id or None,
        kinds=tuple(request.kinds),
        since=_time(request.since) if request.HasField("since") else None,
        until=_time(request.until) if request.HasField("until") else None,
    )


def _time(stamp: Timestamp) -> datetime:
    try:
        return stamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidInput("since and until are times from year 1 to 9999") from None


def _token(row: Row) -> str:
    return f"{(row.time - EPOCH) // MICROSECOND}-{row.id}"


def _place(token: str) -> Place | None:
    if not token:
        return None
    try:
        time, number = (int(part) for part in token.split("-"))
        return EPOCH + time * MICROSECOND, min(number, LAST_ID)
    except (ValueError, OverflowError):
        raise InvalidInput("page_token is not one of a response") from None


def page_of(rows: Sequence[Row], names: Mapping[str, str]) -> tuple[list[pb.Entry], list[str]]:
    """As many of the entries as fit into one response, and the identifiers in them that have names;
    at least one entry.
    """
    page: list[pb.Entry] = []
    used: dict[str, None] = {}
    size = 0
    for row in rows:
        entry = _entry(row)
        new = (names.keys() & identifiers(decode(row.entry))) - used.keys()
        size += entry.ByteSize() + sum(len(each) + len(names[each].encode()) for each in new)
        if page and size > LARGEST_PAGE:
            break
        page.append(entry)
        used |= dict.fromkeys(sorted(new))
    return page, list(used)


def _entry(row: Row) -> pb.Entry:
    return pb.Entry(id=row.id, index=row.index, entry=row.entry)
