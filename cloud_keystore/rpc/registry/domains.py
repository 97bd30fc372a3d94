"""`DomainService`: the domains that e-mail addresses can have."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from cloud_keystore.model.fields.emails import Domain
from cloud_keystore.people.domains import Domains
from cloud_keystore.rpc.door import Door
from cloud_keystore.rpc.refusals import Context
from cloudcard.registry.v1 import domains_pb2 as pb
from cloudcard.registry.v1 import domains_pb2_grpc


@dataclass(frozen=True, slots=True)
class DomainServicer(domains_pb2_grpc.DomainServiceServicer):
    """Translates between messages and use cases."""

    door: Door
    domains: Domains

    async def AddDomain(
        self, request: pb.AddDomainRequest, context: Context
    ) -> pb.AddDomainResponse:
        added = await self.door.call(
            context, lambda operator: self.domains.add(request.name, actor=operator.actor)
        )
        return pb.AddDomainResponse(added=added)

    async def RemoveDomain(
        self, request: pb.RemoveDomainRequest, context: Context
    ) -> pb.RemoveDomainResponse:
        removed = await self.door.call(
            context, lambda operator: self.domains.remove(request.name, actor=operator.actor)
        )
        return pb.RemoveDomainResponse(removed=removed)

    async def ListDomains(
        self, request: pb.ListDomainsRequest, context: Context
    ) -> AsyncIterator[pb.ListDomainsResponse]:
        async for some in self.door.listed(
            context, lambda who: map(_domain, self.domains.list_all(actor=who.actor))
        ):
            yield pb.ListDomainsResponse(domains=some)


def _domain(domain: Domain) -> pb.Domain:
    message = pb.Domain(name=domain.name)
    message.create_time.FromDatetime(domain.create_time)
    return message
