"""`DirectoryService`: what directories say of people, what of it holds, and roles by groups."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from cloud_keystore.model.directories.entries import Difference
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.people import Identity
from cloud_keystore.people.programs.differences import Differences
from cloud_keystore.people.programs.mappings import MappingListing, Mappings, WantedMapping
from cloud_keystore.people.programs.operators import OperatorListing, Operators
from cloud_keystore.rpc.door import Door
from cloud_keystore.rpc.refusals import Context
from cloudcard.registry.v1 import directories_pb2 as pb
from cloudcard.registry.v1 import directories_pb2_grpc


@dataclass(frozen=True, slots=True)
class DirectoryServicer(directories_pb2_grpc.DirectoryServiceServicer):
    """Translates between messages and use cases."""

    door: Door
    differences: Differences
    mappings: Mappings
    operators: Operators

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

    async def MapGroup(self, request: pb.MapGroupRequest, context: Context) -> pb.MapGroupResponse:
        def map_group(who: Identity) -> MappingListing:
            until = _time(request.until_time) if request.HasField("until_time") else None
            wanted = WantedMapping(
                request.client_id,
                request.named_by,
                request.group,
                request.role,
                request.organisation_id,
                until,
            )
            return self.mappings.map_group(wanted, actor=who.actor)

        made = await self.door.call(context, map_group)
        return pb.MapGroupResponse(mapping=_mapping(made))

    async def ListGroupMappings(
        self, request: pb.ListGroupMappingsRequest, context: Context
    ) -> AsyncIterator[pb.ListGroupMappingsResponse]:
        async for some in self.door.listed(
            context, lambda who: map(_mapping, self.mappings.list_all(actor=who.actor))
        ):
            yield pb.ListGroupMappingsResponse(mappings=some)

    async def UnmapGroup(
        self, request: pb.UnmapGroupRequest, context: Context
    ) -> pb.UnmapGroupResponse:
        removed = await self.door.call(
            context, lambda who: self.mappings.unmap(request.mapping_id, actor=who.actor)
        )
        return pb.UnmapGroupResponse(mapping=_mapping(removed))

    async def SetOperatorPerson(
        self, request: pb.SetOperatorPersonRequest, context: Context
    ) -> pb.SetOperatorPersonResponse:
        def say(who: Identity) -> OperatorListing:
            if not request.user_id:
                return self.operators.forget(request.operator_id, actor=who.actor)
            return self.operators.identify(
                request.operator_id,
                request.user_id,
                request.organisation_id,
                request.subject,
                actor=who.actor,
            )

        said = await self.door.call(context, say)
        return pb.SetOperatorPersonResponse(operator_person=_person(said))

    async def ListOperatorPersons(
        self, request: pb.ListOperatorPersonsRequest, context: Context
    ) -> AsyncIterator[pb.ListOperatorPersonsResponse]:
        async for some in self.door.listed(
            context, lambda who: map(_person, self.operators.list_all(actor=who.actor))
        ):
            yield pb.ListOperatorPersonsResponse(operator_persons=some)


def _mapping(listing: MappingListing) -> pb.GroupMapping:
    found = listing.mapping
    message = pb.GroupMapping(
        id=found.id,
        client_id=found.client_id,
        client_display_name=listing.client_name,
        named_by=found.named_by.value,
        group=found.name,
        role=listing.role_name,
        organisation_id=found.organisation_id,
        organisation_name=listing.organisation_name,
        operators=listing.operators,
    )
    message.create_time.FromDatetime(found.create_time)
    if found.until_time is not None:
        message.until_time.FromDatetime(found.until_time)
    return message


def _person(listing: OperatorListing) -> pb.OperatorPerson:
    said = listing.said
    message = pb.OperatorPerson(
        operator_id=said.identity_id,
        operator_display_name=listing.operator.display_name,
        user_id=said.user_id,
        user_display_name=listing.user.display_name,
        uuid12=listing.user.uuid12 or "",
        organisation_id=said.organisation_id,
        organisation_name=listing.organisation_name,
        issuer=said.issuer or "",
        subject=said.subject or "",
    )
    if said.until_time is not None:
        message.until_time.FromDatetime(said.until_time)
    return message


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


def _time(stamp: Timestamp) -> datetime:
    """A time of a request; raises InvalidInput if it is none."""
    try:
        return stamp.ToDatetime(UTC)
    except (ValueError, OverflowError):
        raise InvalidInput("a time of a mapping is from year 1 to 9999") from None
