"""`ClientService`: programs that call the REST API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.people import Identity, Role
from cloud_keystore.people.clients import ClientListing, Clients, NewClient
from cloud_keystore.people.identities import Identities
from cloud_keystore.rpc.door import Door
from cloud_keystore.rpc.refusals import Context
from cloudcard.registry.v1 import clients_pb2 as pb
from cloudcard.registry.v1 import clients_pb2_grpc


@dataclass(frozen=True, slots=True)
class ClientServicer(clients_pb2_grpc.ClientServiceServicer):
    """Translates between messages and use cases."""

    door: Door
    clients: Clients
    identities: Identities
    clock: Clock

    async def CreateClient(
        self, request: pb.CreateClientRequest, context: Context
    ) -> pb.CreateClientResponse:
        def add(operator: Identity) -> NewClient:
            until = _time(request.expire_time) if request.HasField("expire_time") else None
            return self.clients.add(
                request.display_name,
                list(request.roles),
                request.organisation_id,
                until,
                actor=operator.actor,
            )

        made = await self.door.call(context, add)
        return pb.CreateClientResponse(client=self._listed(made.listing), token=made.token)

    async def ListClients(
        self, request: pb.ListClientsRequest, context: Context
    ) -> AsyncIterator[pb.ListClientsResponse]:
        def listed(who: Identity) -> Iterator[pb.Client]:
            return map(self._listed, self.clients.list_all(actor=who.actor))

        async for some in self.door.listed(context, listed):
            yield pb.ListClientsResponse(clients=some)

    async def RemoveClient(
        self, request: pb.RemoveClientRequest, context: Context
    ) -> pb.RemoveClientResponse:
        gone = await self.door.call(
            context,
            lambda operator: self.identities.remove(
                Role.CLIENT, request.client_id, request.reason, operator
            ),
        )
        return pb.RemoveClientResponse(client=self._client(gone))

    def _listed(self, listing: ClientListing) -> pb.Client:
        return self._client(listing.client, listing.organisation_name, listing.roles)

    def _client(
        self, client: Identity, organisation_name: str = "", roles: Collection[str] = ()
    ) -> pb.Client:
        message = pb.Client(
            id=client.id,
            display_name=client.display_name,
            state=client.state_at(self.clock()),
            organisation_id=client.organisation_id,
            organisation_name=organisation_name,
            roles=roles,
        )
        message.create_time.FromDatetime(client.create_time)
        if client.expire_time is not None:
            message.expire_time.FromDatetime(client.expire_time)
        return message


def _time(stamp: Timestamp) -> datetime:
    """A time of a request; raises InvalidInput if it is none."""
    try:
        return stamp.ToDatetime(UTC)
    except (ValueError, OverflowError):
        raise InvalidInput("expire_time is a time from year 1 to 9999") from None
