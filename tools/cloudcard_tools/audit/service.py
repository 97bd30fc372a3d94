"""The keystore's journal, as its service shows it to auditors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import grpc

from cloud_keystore.audit import notes
from cloud_keystore.audit.notes import Checkpoint
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.finding import Sort
from cloudcard.audit.v1 import audit_pb2 as pb
from cloudcard.audit.v1.audit_pb2_grpc import AuditServiceStub
from cloudcard.registry.v1 import finding_pb2
from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.shared.finding import Answer

PROOF_SECONDS = 600.0  # a proof reads a journal of before as a whole
PAGE = 500
MOST_PROOFS = 500


@dataclass(frozen=True, slots=True)
class Head:
    """Which journal this is, and how far its newest checkpoint reaches."""

    origin: str
    public_key: bytes
    note: bytes
    checkpoint: Checkpoint


class Journal:
    """The journal, read through the service."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._stub = AuditServiceStub(channel)
        self.names: dict[str, str] = {}

    def head(self) -> Head:
        """The journal's identity and newest checkpoint. Raises Failure as long as there is none."""
        said = self._stub.GetJournal(pb.GetJournalRequest())
        if not said.checkpoint:
            raise Failure("the journal has no checkpoint yet: try again in a few seconds")
        try:
            checkpoint = notes.open_(said.checkpoint, said.public_key)
        except InvalidInput as error:
            raise Failure(str(error)) from None
        return Head(said.origin, said.public_key, said.checkpoint, checkpoint)

    def search(self, query: pb.SearchEntriesRequest, most: int) -> Iterator[pb.Entry]:
        """At most `most` entries that match, the newest first. `names` grows by what their
        identifiers stand for.
        """
        asked = pb.SearchEntriesRequest()
        asked.CopyFrom(query)
        while most > 0:
            asked.page_size = min(most, PAGE)
            page = self._stub.SearchEntries(asked)
            self.names.update(page.names)
            yield from page.entries
            most -= len(page.entries)
            asked.page_token = page.next_page_token
            if not page.next_page_token:
                return

    def find(self, sort: Sort, text: str) -> Answer:
        """What a text names, among that which entries can be about."""
        request = pb.FindSubjectsRequest(sort=finding_pb2.Sort.ValueType(sort), text=text)
        found = self._stub.FindSubjects(request)
        return Answer(found.matches, found.more)

    def entries(self, end: int) -> Iterator[pb.Entry]:
        """All entries up to a place, in order."""
        for message in self._stub.ExportEntries(pb.ExportEntriesRequest(end_index=end)):
            yield from message.entries

    def checkpoints(self, end: int) -> Iterator[bytes]:
        """All checkpoints up to a size, the smallest first."""
        after = 0
        while after < end:
            asked = pb.ListCheckpointsRequest(after_size=after, page_size=PAGE)
            page = self._stub.ListCheckpoints(asked).checkpoints
            for note in page:
                after = int(note.split(b"\n")[1])
                if after <= end:
                    yield note
            if not page:
                return

    def consistency(self, old_size: int, size: int) -> tuple[bytes, ...]:
        """A proof that the journal of one size begins with that of a smaller one."""
        asked = pb.ProveConsistencyRequest(old_size=old_size, size=size)
        return tuple(self._stub.ProveConsistency(asked, timeout=PROOF_SECONDS).proof.hashes)

    def proofs(self, size: int, indices: list[int]) -> Iterator[tuple[bytes, ...]]:
        """For each entry, a proof that it is in the journal of a checkpoint."""
        for start in range(0, len(indices), MOST_PROOFS):
            asked = pb.ProveInclusionRequest(
                size=size, indices=indices[start : start + MOST_PROOFS]
            )
            for proof in self._stub.ProveInclusion(asked, timeout=PROOF_SECONDS).proofs:
                yield tuple(proof.hashes)
