"""`DirectoryService`: what directories say of people, and what of it holds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from cloud_keystore.model.directories.entries import Difference
from cloud_keystore.people.programs.differences import Differences
from cloud_keystore.rpc.door import Door
from cloud_keystore.rpc.refusals import Context
from cloudcard.registry.v1 import directories_pb2 as pb
from cloudcard.registry.v1 import directories_pb2_grpc


@dataclass(frozen=True, slots=True)
class DirectoryServicer(directories_pb2_grpc.DirectoryServiceServicer):
    """Translates between messages and use cases."""

    door: Door
    differences: Differences

    async def ListDifferences(
        self, request: pb.ListDifferencesRequest, context: Context
    ) -> AsyncIterator[pb.ListDifferencesResponse]:
        async for some in self.door.listed(
            context, lambda who: map(_difference, self.differences.list_all(actor=who.actor))
        ):
            yield pb.ListDifferencesResponse(differences=some)

    async def DecideDifference(
        self, request: pb.DecideDifferenceRequest, context: Context
    ) -> pb.DecideDifferenceResponse:
        decided = await self.door.call(
            context,
            lambda operator: self.differences.decide(
                request.user_id,
                request.field,
                request.client,
                take=request.take,
                actor=operator.actor,
            ),
        )
        return pb.DecideDifferenceResponse(difference=_difference(decided))


def _difference(found: Difference) -> pb.Difference:
    message = pb.Difference(
        user_id=found.user.id,
        uuid12=found.user.uuid12 or "",
        user_display_name=found.user.display_name,
        field=found.field.value,
        said=found.said,
        holds=found.holds,
        client_id=found.client_id,
        client_display_name=found.client_name,
    )
    message.change_time.FromDatetime(found.change_time)
    return message
