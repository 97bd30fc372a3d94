"""`OrganisationService`: organisations, and the policies that are set for them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta

from cloud_keystore.approval.payload import session_terms, terms
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.operations import Channel
from cloud_keystore.model.organisations import Organisation
from cloud_keystore.model.passcodes import CODE_TIME
from cloud_keystore.model.people import Identity
from cloud_keystore.model.policies import Policy, PolicyVersion
from cloud_keystore.model.portal.factors import Factor
from cloud_keystore.people.migrating import Migrated, Migrating
from cloud_keystore.people.organisations import Organisations
from cloud_keystore.people.policies.explaining import Explained, Explaining
from cloud_keystore.rpc.door import Door
from cloud_keystore.rpc.refusals import Context
from cloudcard.approval.v1 import approval_pb2
from cloudcard.registry.v1 import organisations_pb2 as pb
from cloudcard.registry.v1 import organisations_pb2_grpc


@dataclass(frozen=True, slots=True)
class OrganisationServicer(organisations_pb2_grpc.OrganisationServiceServicer):
    """Translates between messages and use cases."""

    door: Door
    organisations: Organisations
    migrating: Migrating
    explaining: Explaining

    async def CreateOrganisation(
        self, request: pb.CreateOrganisationRequest, context: Context
    ) -> pb.CreateOrganisationResponse:
        made = await self.door.call(
            context,
            lambda operator: self.organisations.add(request.name, operator, request.parent_id),
        )
        return pb.CreateOrganisationResponse(organisation=_organisation(made))

    async def UpdateOrganisation(
        self, request: pb.UpdateOrganisationRequest, context: Context
    ) -> pb.UpdateOrganisationResponse:
        def change(caller: Identity) -> Organisation:
            given = (
                getattr(request, name) if request.HasField(name) else None
                for name in ("name", "parent_id", "help_contact")
            )
            return self.organisations.change(request.organisation_id, *given, actor=caller.actor)

        changed = await self.door.call(context, change)
        return pb.UpdateOrganisationResponse(organisation=_organisation(changed))

    async def MigrateOrganisation(
        self, request: pb.MigrateOrganisationRequest, context: Context
    ) -> pb.MigrateOrganisationResponse:
        def migrate(caller: Identity) -> Migrated:
            move = self.migrating.foresee if request.dry_run else self.migrating.migrate
            return move(
                request.organisation_id,
                request.to_organisation_id,
                with_policies=request.with_policies,
                operator=caller,
            )

        found = await self.door.call(context, migrate)
        return pb.MigrateOrganisationResponse(moved=found.moved, kept=found.kept)

    async def ListOrganisations(
        self, _request: pb.ListOrganisationsRequest, context: Context
    ) -> AsyncIterator[pb.ListOrganisationsResponse]:
        def listed(who: Identity) -> Iterator[pb.Organisation]:
            return map(_organisation, self.organisations.list_all(actor=who.actor))

        async for some in self.door.listed(context, listed):
            yield pb.ListOrganisationsResponse(organisations=some)

    async def SetPolicy(
        self, request: pb.SetPolicyRequest, context: Context
    ) -> pb.SetPolicyResponse:
        version = await self.door.call(
            context,
            lambda operator: self.organisations.set_policy(
                request.organisation_id,
                request.profile,
                _policy(request.policy),
                operator,
                tuple(request.own.names) if request.HasField("own") else None,
                tuple(request.locked),
            ),
        )
        return pb.SetPolicyResponse(policy=_version(version))

    async def ListPolicies(
        self, request: pb.ListPoliciesRequest, context: Context
    ) -> AsyncIterator[pb.ListPoliciesResponse]:
        def listed(who: Identity) -> Iterator[pb.PolicyVersion]:
            earlier = request.include_earlier
            found = self.organisations.list_policies(earlier=earlier, actor=who.actor)
            return map(_version, found)

        async for some in self.door.listed(context, listed):
            yield pb.ListPoliciesResponse(policies=some)

    async def ExplainPolicy(
        self, request: pb.ExplainPolicyRequest, context: Context
    ) -> pb.ExplainPolicyResponse:
        def explain(who: Identity) -> Explained:
            match request.WhichOneof("subject"):
                case "user_id":
                    return self.explaining.of_user(request.user_id, actor=who.actor)
                case "serial":
                    return self.explaining.of_card(request.serial, actor=who.actor)
                case _:
                    place, profile = request.organisation_id, request.profile
                    return self.explaining.of_organisation(place, profile, actor=who.actor)

        found = await self.door.call(context, explain)
        return pb.ExplainPolicyResponse(
            organisation_id=found.organisation_id,
            profile=found.profile,
            policy=_version(found.version),
            sources=[
                pb.TermSource(
                    term=term,
                    origin=source.origin,
                    organisation_id=source.organisation_id,
                    policy=source.policy,
                    locked=source.locked,
                )
                for term, source in found.sources.items()
            ],
        )


def _policy(message: pb.Policy) -> Policy:
    try:
        channels = frozenset(Channel(each) for each in message.channels)
    except ValueError:
        raise InvalidInput("a channel is one that this keystore does not know") from None
    try:
        factors = frozenset(Factor(each) for each in message.portal_factors)
    except ValueError:
        raise InvalidInput("portal_factors has what is none: phone, sms or passkey") from None
    session = None
    if message.HasField("session"):
        session = session_terms(message.session)
    return Policy(
        passwordless=message.passwordless,
        largest_batch=message.largest_batch,
        largest_commitment_batch=message.largest_commitment_batch or 1,
        session=session,
        channels=channels or frozenset(Channel),
        passkeys=message.passkeys,
        synced_passkeys=message.synced_passkeys,
        passkey_models=frozenset(message.passkey_models),
        unlock_code_time=timedelta(seconds=message.unlock_code_seconds) or CODE_TIME,
        survey_after=message.survey_after,
        portal_passwords=message.portal_passwords,
        security_answers=message.security_answers,
        portal_changes=message.portal_changes,
        portal_factors=factors,
        refuses_puk=message.refuses_puk,
        shared_device_time=timedelta(seconds=message.shared_device_seconds),
    )


def _version(version: PolicyVersion) -> pb.PolicyVersion:
    policy = version.policy
    message = pb.PolicyVersion(
        organisation_id=version.organisation_id,
        profile=version.profile,
        version=version.version,
        own=sorted(version.own),
        here_alone=version.here_alone and bool(version.organisation_id),
        locked=sorted(version.locked),
        policy=pb.Policy(
            passwordless=policy.passwordless,
            largest_batch=policy.largest_batch,
            largest_commitment_batch=policy.largest_commitment_batch,
            session=None if policy.session is None else terms(policy.session),
            channels=[approval_pb2.Channel.ValueType(each) for each in sorted(policy.channels)],
            passkeys=policy.passkeys,
            synced_passkeys=policy.synced_passkeys,
            passkey_models=sorted(policy.passkey_models),
            unlock_code_seconds=policy.unlock_code_time // timedelta(seconds=1),
            survey_after=policy.survey_after,
            portal_passwords=policy.portal_passwords,
            security_answers=policy.security_answers,
            portal_changes=policy.portal_changes,
            portal_factors=sorted(policy.portal_factors),
            refuses_puk=policy.refuses_puk,
            shared_device_seconds=policy.shared_device_time // timedelta(seconds=1),
        ),
    )
    if version.create_time is not None:
        message.create_time.FromDatetime(version.create_time)
    return message


def _organisation(organisation: Organisation) -> pb.Organisation:
    return pb.Organisation(
        id=organisation.id,
        name=organisation.name,
        parent_id=organisation.parent_id,
        help_contact=organisation.help,
    )
