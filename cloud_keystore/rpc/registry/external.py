"""`ExternalService`: authorities outside of the keystore, and what they certify."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cloud_keystore.cards.external.certifying import Certifying, Waiting
from cloud_keystore.cards.external.est_servers import EstServers
from cloud_keystore.cards.external.external_lists import ExternalLists, ListListing
from cloud_keystore.cards.external.trusting import Chosen, Trusting
from cloud_keystore.model.people import Identity
from cloud_keystore.model.pki.est import Credentials, EstServer
from cloud_keystore.model.pki.external import Brought, ExternalAuthority, Outcome
from cloud_keystore.rpc.door import Door
from cloud_keystore.rpc.refusals import Context
from cloudcard.registry.v1 import external_pb2 as pb
from cloudcard.registry.v1 import external_pb2_grpc

OUTCOME: Mapping[Outcome, pb.CertificateOutcome.ValueType] = MappingProxyType(
    {
        Outcome.COMPLETED: pb.CERTIFICATE_OUTCOME_COMPLETED,
        Outcome.KEPT: pb.CERTIFICATE_OUTCOME_KEPT,
        Outcome.THERE: pb.CERTIFICATE_OUTCOME_THERE,
        Outcome.REFUSED: pb.CERTIFICATE_OUTCOME_REFUSED,
    }
)


@dataclass(frozen=True, slots=True)
class ExternalServicer(external_pb2_grpc.ExternalServiceServicer):
    """Translates between messages and use cases."""

    door: Door
    trusting: Trusting
    est_servers: EstServers
    external_lists: ExternalLists
    certifying: Certifying

    async def TrustAuthority(
        self, request: pb.TrustAuthorityRequest, context: Context
    ) -> pb.TrustAuthorityResponse:
        added = await self.door.call(
            context,
            lambda who: self.trusting.trust(
                request.name, request.certificate, request.below, actor=who.actor
            ),
        )
        return pb.TrustAuthorityResponse(added=added)

    async def DistrustAuthority(
        self, request: pb.DistrustAuthorityRequest, context: Context
    ) -> pb.DistrustAuthorityResponse:
        removed = await self.door.call(
            context, lambda who: self.trusting.distrust(request.name, actor=who.actor)
        )
        return pb.DistrustAuthorityResponse(removed=removed)

    async def ListExternalAuthorities(
        self, request: pb.ListExternalAuthoritiesRequest, context: Context
    ) -> AsyncIterator[pb.ListExternalAuthoritiesResponse]:
        def found(who: Identity) -> Iterator[pb.ExternalAuthority]:
            servers = self.est_servers.list_all(actor=who.actor)
            lists = self.external_lists.list_all(actor=who.actor)
            known = self.trusting.list_all(actor=who.actor)
            names = {each.id: each.name for each in known}
            for each in known:
                message = _authority(each, servers.get(each.name), lists.get(each.name))
                message.below = names.get(each.above_id, "")
                yield message

        async for some in self.door.listed(context, found):
            yield pb.ListExternalAuthoritiesResponse(authorities=some)

    async def UseEstServer(
        self, request: pb.UseEstServerRequest, context: Context
    ) -> pb.UseEstServerResponse:
        asked = request.server

        def use(who: Identity) -> None:
            server = EstServer(
                asked.url, asked.anchors, asked.user, asked.certificate, asked.any_subject
            )
            credentials = Credentials(request.password, request.private_key)
            self.est_servers.use(request.authority, server, credentials, actor=who.actor)

        await self.door.call(context, use)
        return pb.UseEstServerResponse()

    async def StopEstServer(
        self, request: pb.StopEstServerRequest, context: Context
    ) -> pb.StopEstServerResponse:
        stopped = await self.door.call(
            context, lambda who: self.est_servers.stop(request.authority, actor=who.actor)
        )
        return pb.StopEstServerResponse(stopped=stopped)

    async def BringList(
        self, request: pb.BringListRequest, context: Context
    ) -> pb.BringListResponse:
        taken = await self.door.call(
            context,
            lambda who: self.external_lists.bring(
                request.authority, request.document, actor=who.actor
            ),
        )
        return pb.BringListResponse(number=taken.number, listed=taken.listed, is_new=taken.is_new)

    async def UseList(self, request: pb.UseListRequest, context: Context) -> pb.UseListResponse:
        changed = await self.door.call(
            context,
            lambda who: self.external_lists.use(
                request.authority, request.url, stops=request.stops, actor=who.actor
            ),
        )
        return pb.UseListResponse(changed=changed)

    async def ListIssuerChoices(
        self, request: pb.ListIssuerChoicesRequest, context: Context
    ) -> AsyncIterator[pb.ListIssuerChoicesResponse]:
        async for some in self.door.listed(
            context, lambda who: map(_choice, self.trusting.list_choices(actor=who.actor))
        ):
            yield pb.ListIssuerChoicesResponse(choices=some)

    async def ChooseIssuer(
        self, request: pb.ChooseIssuerRequest, context: Context
    ) -> pb.ChooseIssuerResponse:
        wish = request.choice
        changed = await self.door.call(
            context,
            lambda who: self.trusting.choose(
                wish.organisation_id, wish.profile, wish.authority, actor=who.actor
            ),
        )
        return pb.ChooseIssuerResponse(changed=changed)

    async def ListCardRequests(
        self, request: pb.ListCardRequestsRequest, context: Context
    ) -> AsyncIterator[pb.ListCardRequestsResponse]:
        async for some in self.door.listed(
            context, lambda who: map(_request, self.certifying.waiting(actor=who.actor))
        ):
            yield pb.ListCardRequestsResponse(requests=some)

    async def ImportCertificates(
        self, request: pb.ImportCertificatesRequest, context: Context
    ) -> pb.ImportCertificatesResponse:
        done = await self.door.call(
            context,
            lambda who: self.certifying.install(
                [*request.certificates],
                [*request.between],
                dry_run=request.dry_run,
                actor=who.actor,
            ),
        )
        return pb.ImportCertificatesResponse(
            certificates=map(_imported, done.brought), done=done.done
        )


def _authority(
    authority: ExternalAuthority,
    server: EstServer | None,
    listing: ListListing | None,
) -> pb.ExternalAuthority:
    message = pb.ExternalAuthority(name=authority.name, certificate=authority.certificate)
    message.create_time.FromDatetime(authority.create_time)
    if server is not None:
        message.est.CopyFrom(
            pb.EstServer(
                url=server.url,
                anchors=server.anchors,
                user=server.user,
                certificate=server.certificate,
                any_subject=server.any_subject,
            )
        )
    if listing is not None:
        message.list.CopyFrom(_list(listing))
    return message


def _list(listing: ListListing) -> pb.ExternalList:
    held = listing.held
    message = pb.ExternalList(
        url=held.url,
        stops=held.stops,
        number=held.number,
        listed=held.listed,
        stale=listing.is_stale,
        reason=held.why,
        fix=held.fix,
    )
    if held.this_time is not None and held.next_time is not None:
        message.this_time.FromDatetime(held.this_time)
        message.next_time.FromDatetime(held.next_time)
    if held.url and held.fetch_time is not None:
        message.fetch_time.FromDatetime(held.fetch_time)
    return message


def _choice(chosen: Chosen) -> pb.IssuerChoice:
    return pb.IssuerChoice(
        organisation_id=chosen.choice.organisation_id,
        profile=chosen.choice.profile,
        authority=chosen.authority,
    )


def _request(waiting: Waiting) -> pb.CardRequest:
    asked = waiting.asked
    message = pb.CardRequest(
        card_serial=waiting.card.serial,
        key_ref=waiting.key_ref,
        csr=asked.csr,
        authority=waiting.authority,
        user_display_name=waiting.user.display_name,
        tries=asked.tries,
        reason=asked.why,
        fix=asked.fix,
    )
    message.create_time.FromDatetime(asked.create_time)
    if asked.next_time is not None:
        message.next_time.FromDatetime(asked.next_time)
    return message


def _imported(brought: Brought) -> pb.ImportedCertificate:
    return pb.ImportedCertificate(
        outcome=OUTCOME[brought.outcome],
        card_serial=brought.card_serial,
        key_ref=brought.key_ref,
        subject=brought.subject,
        reason=brought.reason,
        fix=brought.fix,
    )
