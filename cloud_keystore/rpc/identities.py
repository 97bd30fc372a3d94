"""The methods of `RegistryService` for workstations, operators and auditors."""

from __future__ import annotations

from cloud_keystore.model.people import Identity, IdentityState, Role
from cloud_keystore.people.identities import Identities
from cloud_keystore.people.people import People, Token
from cloud_keystore.rpc.door import Door
from cloud_keystore.rpc.refusals import Context
from cloudcard.registry.v1 import registry_pb2 as pb


class IdentityMethods:
    """Translates between messages and use cases; a part of the registry's servicer."""

    __slots__ = ()

    door: Door
    people: People
    identities: Identities

    async def CreateWorkstation(
        self, request: pb.CreateWorkstationRequest, context: Context
    ) -> pb.CreateWorkstationResponse:
        made, token = await self.door.call(
            context,
            lambda caller: self.people.add_workstation(
                request.display_name, request.site, actor=caller.actor
            ),
        )
        return pb.CreateWorkstationResponse(
            workstation=_workstation(made), token=token_message(token)
        )

    async def ListWorkstations(
        self, request: pb.ListWorkstationsRequest, context: Context
    ) -> pb.ListWorkstationsResponse:
        found = await self._list(context, Role.WORKSTATION)
        return pb.ListWorkstationsResponse(workstations=map(_workstation, found))

    async def RemoveWorkstation(
        self, request: pb.RemoveWorkstationRequest, context: Context
    ) -> pb.RemoveWorkstationResponse:
        gone = await self._remove(context, Role.WORKSTATION, request.workstation_id, request.reason)
        return pb.RemoveWorkstationResponse(workstation=_workstation(gone))

    async def CreateOperator(
        self, request: pb.CreateOperatorRequest, context: Context
    ) -> pb.CreateOperatorResponse:
        token = await self.door.call(
            context,
            lambda caller: self.people.add_operator(request.display_name, actor=caller.actor),
        )
        return pb.CreateOperatorResponse(token=token_message(token))

    async def ListOperators(
        self, request: pb.ListOperatorsRequest, context: Context
    ) -> pb.ListOperatorsResponse:
        found = await self._list(context, Role.OPERATOR)
        return pb.ListOperatorsResponse(operators=map(_operator, found))

    async def RemoveOperator(
        self, request: pb.RemoveOperatorRequest, context: Context
    ) -> pb.RemoveOperatorResponse:
        gone = await self._remove(context, Role.OPERATOR, request.operator_id, request.reason)
        return pb.RemoveOperatorResponse(operator=_operator(gone))

    async def CreateAuditor(
        self, request: pb.CreateAuditorRequest, context: Context
    ) -> pb.CreateAuditorResponse:
        token = await self.door.call(
            context,
            lambda caller: self.people.add_auditor(request.display_name, actor=caller.actor),
        )
        return pb.CreateAuditorResponse(token=token_message(token))

    async def ListAuditors(
        self, request: pb.ListAuditorsRequest, context: Context
    ) -> pb.ListAuditorsResponse:
        found = await self._list(context, Role.AUDITOR)
        return pb.ListAuditorsResponse(auditors=map(_auditor, found))

    async def RemoveAuditor(
        self, request: pb.RemoveAuditorRequest, context: Context
    ) -> pb.RemoveAuditorResponse:
        gone = await self._remove(context, Role.AUDITOR, request.auditor_id, request.reason)
        return pb.RemoveAuditorResponse(auditor=_auditor(gone))

    async def _list(self, context: Context, role: Role) -> list[Identity]:
        return await self.door.call(context, lambda _: self.identities.list_of(role))

    async def _remove(
        self, context: Context, role: Role, identity_id: str, reason: str
    ) -> Identity:
        return await self.door.call(
            context, lambda caller: self.identities.remove(role, identity_id, reason, caller)
        )


def token_message(token: Token) -> pb.Token:
    """A one-time token, to be handed out."""
    message = pb.Token(text=token.text)
    message.expire_time.FromDatetime(token.expire_time)
    return message


def _workstation(identity: Identity) -> pb.Workstation:
    message = pb.Workstation(
        id=identity.id,
        display_name=identity.display_name,
        site=identity.site,
        enrolled=identity.state is IdentityState.ACTIVE,
        state=identity.state.value,
    )
    message.create_time.FromDatetime(identity.create_time)
    return message


def _operator(identity: Identity) -> pb.Operator:
    message = pb.Operator(
        id=identity.id, display_name=identity.display_name, state=identity.state.value
    )
    message.create_time.FromDatetime(identity.create_time)
    return message


def _auditor(identity: Identity) -> pb.Auditor:
    message = pb.Auditor(
        id=identity.id, display_name=identity.display_name, state=identity.state.value
    )
    message.create_time.FromDatetime(identity.create_time)
    return message
