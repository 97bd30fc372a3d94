"""`AuthorityService`: authorities of cards, and their revocation lists."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from cloud_keystore.model.people import Identity
from cloud_keystore.pki.revocation.publishing import AuthorityListing, Publishing
from cloud_keystore.rpc.door import CHUNK_BYTES, Door
from cloud_keystore.rpc.refusals import Context
from cloudcard.registry.v1 import authorities_pb2 as pb
from cloudcard.registry.v1 import authorities_pb2_grpc


@dataclass(frozen=True, slots=True)
class AuthorityServicer(authorities_pb2_grpc.AuthorityServiceServicer):
    """Translates between messages and use cases."""

    door: Door
    publishing: Publishing

    async def ListAuthorities(
        self, request: pb.ListAuthoritiesRequest, context: Context
    ) -> AsyncIterator[pb.ListAuthoritiesResponse]:
        def listed(_: Identity) -> Iterator[pb.Authority]:
            return map(_authority, self.publishing.authorities_of_cards())

        async for some in self.door.listed(context, listed):
            yield pb.ListAuthoritiesResponse(authorities=some)

    async def ExportRevocationList(
        self, request: pb.ExportRevocationListRequest, context: Context
    ) -> AsyncIterator[pb.ExportRevocationListResponse]:
        found = await self.door.call(context, lambda _: self.publishing.document(request.key_id))
        for start in range(0, len(found.document), CHUNK_BYTES):
            part = found.document[start : start + CHUNK_BYTES]
            yield pb.ExportRevocationListResponse(part=part)


def _authority(listing: AuthorityListing) -> pb.Authority:
    message = pb.Authority(
        key_id=listing.key_id,
        name=listing.name,
        certificate=listing.certificate,
        issues=listing.issues,
    )
    if (latest := listing.latest) is not None:
        message.list_number = latest.number
        message.listed = latest.listed
        if latest.this_time is not None and latest.next_time is not None:
            message.list_time.FromDatetime(latest.this_time)
            message.list_end_time.FromDatetime(latest.next_time)
    return message
