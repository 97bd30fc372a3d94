"""`RequestService`: what one operator asks for, and another one has to approve."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from cloud_keystore.cards.requests import RequestListing, Requests
from cloud_keystore.model.people import Identity
from cloud_keystore.people.rights.four_eyes import FourEyes, FourEyesListing
from cloud_keystore.rpc.door import Door
from cloud_keystore.rpc.refusals import Context
from cloudcard.registry.v1 import requests_pb2 as pb
from cloudcard.registry.v1 import requests_pb2_grpc


@dataclass(frozen=True, slots=True)
class RequestServicer(requests_pb2_grpc.RequestServiceServicer):
    """Translates between messages and use cases."""

    door: Door
    requests: Requests
    four_eyes: FourEyes

    async def ListRequests(
        self, request: pb.ListRequestsRequest, context: Context
    ) -> AsyncIterator[pb.ListRequestsResponse]:
        def listed(who: Identity) -> Iterator[pb.OperatorRequest]:
            decided = request.include_decided
            return map(_request, self.requests.list_all(decided=decided, actor=who.actor))

        async for some in self.door.listed(context, listed):
            yield pb.ListRequestsResponse(requests=some)

    async def ApproveRequest(
        self, request: pb.ApproveRequestRequest, context: Context
    ) -> pb.ApproveRequestResponse:
        approved = await self.door.call(
            context, lambda who: self.requests.approve(request.request_id, actor=who.actor)
        )
        return pb.ApproveRequestResponse(request=_request(approved))

    async def RefuseRequest(
        self, request: pb.RefuseRequestRequest, context: Context
    ) -> pb.RefuseRequestResponse:
        refused = await self.door.call(
            context, lambda who: self.requests.refuse(request.request_id, actor=who.actor)
        )
        return pb.RefuseRequestResponse(request=_request(refused))

    async def SetFourEyes(
        self, request: pb.SetFourEyesRequest, context: Context
    ) -> pb.SetFourEyesResponse:
        named = await self.door.call(
            context,
            lambda who: self.four_eyes.require(
                list(request.operations), request.organisation_id, actor=who.actor
            ),
        )
        return pb.SetFourEyesResponse(four_eyes=_four_eyes(named))

    async def ListFourEyes(
        self, request: pb.ListFourEyesRequest, context: Context
    ) -> AsyncIterator[pb.ListFourEyesResponse]:
        async for some in self.door.listed(
            context, lambda who: map(_four_eyes, self.four_eyes.list_all(actor=who.actor))
        ):
            yield pb.ListFourEyesResponse(four_eyes=some)


def _request(listing: RequestListing) -> pb.OperatorRequest:
    made, wanted = listing.request, listing.request.wanted
    message = pb.OperatorRequest(
        id=made.id,
        action=wanted.action,
        about=wanted.about,
        terms=wanted.terms,
        right=wanted.right,
        organisation_id=wanted.organisation_id,
        organisation_name=listing.organisation_name,
        asked_by=made.asked_by,
        asked_by_name=listing.asked_by_name,
        state=listing.state,
        decided_by=made.decided_by or "",
        decided_by_name=listing.decided_by_name,
    )
    message.create_time.FromDatetime(made.create_time)
    message.expire_time.FromDatetime(made.expire_time)
    if made.decide_time is not None:
        message.decide_time.FromDatetime(made.decide_time)
    return message


def _four_eyes(listing: FourEyesListing) -> pb.FourEyes:
    return pb.FourEyes(
        organisation_id=listing.organisation_id,
        organisation_name=listing.organisation_name,
        operations=listing.operations,
    )
