"""`IdentityService`: workstations, holders' devices, operators and auditors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from google.protobuf.message import Message

from cloud_keystore.custody.credentials.app_pins import AppPins
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.approval_keys import ApprovalKeyKind, Passkey
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.fields.problems import Counted
from cloud_keystore.model.fields.software import Contact
from cloud_keystore.model.people import Identity, IdentityState, Role
from cloud_keystore.people.devices import DeviceListing, Devices
from cloud_keystore.people.identities import Identities
from cloud_keystore.people.people import People, Token
from cloud_keystore.people.portal.short_codes import ShortCodes
from cloud_keystore.people.rights.visits import Visits
from cloud_keystore.people.workstations.problems import Problems
from cloud_keystore.rpc.door import Door
from cloud_keystore.rpc.refusals import Context
from cloudcard.registry.v1 import identities_pb2 as pb
from cloudcard.registry.v1 import identities_pb2_grpc
from cloudcard.workstation.v1 import workstation_pb2

M = TypeVar("M", bound=Message)
Named = TypeVar("Named", pb.Operator, pb.Auditor)


@dataclass(frozen=True, slots=True)
class IdentityServicer(identities_pb2_grpc.IdentityServiceServicer):
    """Translates between messages and use cases."""

    door: Door
    people: People
    short_codes: ShortCodes
    app_pins: AppPins
    devices: Devices
    identities: Identities
    problems: Problems
    visits: Visits
    clock: Clock

    @property
    def _now(self) -> datetime:
        return self.clock()

    async def CreateWorkstation(
        self, request: pb.CreateWorkstationRequest, context: Context
    ) -> pb.CreateWorkstationResponse:
        made, token = await self.door.call(
            context,
            lambda caller: self.people.add_workstation(
                request.display_name, request.site, request.organisation_id, actor=caller.actor
            ),
        )
        return pb.CreateWorkstationResponse(
            workstation=_workstation(made, self._now), token=token_message(token)
        )

    async def ListWorkstations(
        self, request: pb.ListWorkstationsRequest, context: Context
    ) -> AsyncIterator[pb.ListWorkstationsResponse]:
        def listed(who: Identity) -> Iterator[pb.Workstation]:
            found = self.identities.list_of(Role.WORKSTATION, actor=who.actor)
            expiries = self._expiries(found, who.actor)
            ids = [each.id for each in found]
            heard = self.identities.contacts(ids, actor=who.actor)
            counted = self.problems.counted(ids, actor=who.actor)
            for each in found:
                expiry, contact = expiries.get(each.id), heard.get(each.id)
                yield _workstation(each, self._now, expiry, contact, counted.get(each.id))

        async for some in self.door.listed(context, listed):
            yield pb.ListWorkstationsResponse(workstations=some)

    async def GetWorkstationReport(
        self, request: pb.GetWorkstationReportRequest, context: Context
    ) -> pb.GetWorkstationReportResponse:
        _, found = await self.door.call(
            context, lambda who: self.problems.of(request.workstation_id, actor=who.actor)
        )
        response = pb.GetWorkstationReportResponse()
        if found is not None:
            response.problems.extend(
                workstation_pb2.Problem(
                    check=each.check,
                    name=each.name,
                    failed=each.failed,
                    cause=each.cause,
                    fix=each.fix,
                )
                for each in found.problems
            )
            response.report_time.FromDatetime(found.report_time)
        return response

    async def UpdateWorkstation(
        self, request: pb.UpdateWorkstationRequest, context: Context
    ) -> pb.UpdateWorkstationResponse:
        moved = await self._move(
            context, Role.WORKSTATION, request.workstation_id, request.organisation_id
        )
        return pb.UpdateWorkstationResponse(workstation=_workstation(moved, self._now))

    async def RemoveWorkstation(
        self, request: pb.RemoveWorkstationRequest, context: Context
    ) -> pb.RemoveWorkstationResponse:
        gone = await self._remove(context, Role.WORKSTATION, request.workstation_id, request.reason)
        return pb.RemoveWorkstationResponse(workstation=_workstation(gone, self._now))

    async def CreateDeviceToken(
        self, request: pb.CreateDeviceTokenRequest, context: Context
    ) -> pb.CreateDeviceTokenResponse:
        token = await self.door.call(
            context, lambda caller: self.people.invite_device(request.user_id, actor=caller.actor)
        )
        return pb.CreateDeviceTokenResponse(device_token=token_message(token))

    async def CreateShortCode(
        self, request: pb.CreateShortCodeRequest, context: Context
    ) -> pb.CreateShortCodeResponse:
        made = await self.door.call(
            context, lambda who: self.short_codes.make(request.user_id, actor=who.actor)
        )
        response = pb.CreateShortCodeResponse(code=made.text)
        response.expire_time.FromDatetime(made.expire_time)
        return response

    async def CreateAppPinCode(
        self, request: pb.CreateAppPinCodeRequest, context: Context
    ) -> pb.CreateAppPinCodeResponse:
        made = await self.door.call(
            context, lambda who: self.app_pins.make_code(request.device_id, actor=who.actor)
        )
        response = pb.CreateAppPinCodeResponse(code=made.code)
        response.expire_time.FromDatetime(made.expire_time)
        return response

    async def ListDevices(
        self, request: pb.ListDevicesRequest, context: Context
    ) -> AsyncIterator[pb.ListDevicesResponse]:
        def listed(who: Identity) -> Iterator[pb.Device]:
            found = self.devices.list_of(request.user_id, actor=who.actor)
            expiries = self._expiries([each.device for each in found], who.actor)
            heard = self.identities.contacts([each.device.id for each in found], actor=who.actor)
            for each in found:
                expiry, contact = expiries.get(each.device.id), heard.get(each.device.id)
                yield device_message(each, self._now, expiry, contact)

        async for some in self.door.listed(context, listed):
            yield pb.ListDevicesResponse(devices=some)

    async def GetDevice(
        self, request: pb.GetDeviceRequest, context: Context
    ) -> pb.GetDeviceResponse:
        def get(who: Identity) -> pb.GetDeviceResponse:
            found, holder = self.devices.find(request.device_id, actor=who.actor)
            own = found.device.id
            expiry = self._expiries([found.device], who.actor).get(own)
            contact = self.identities.contacts([own], actor=who.actor).get(own)
            device = device_message(found, self._now, expiry, contact)
            return pb.GetDeviceResponse(
                device=device, user_id=holder.id, user_name=holder.display_name
            )

        return await self.door.call(context, get)

    async def RemoveDevice(
        self, request: pb.RemoveDeviceRequest, context: Context
    ) -> pb.RemoveDeviceResponse:
        entry = await self.door.call(
            context,
            lambda operator: self.devices.remove(request.device_id, request.reason, operator),
        )
        return pb.RemoveDeviceResponse(device=device_message(entry, self._now))

    async def CreateOperator(
        self, request: pb.CreateOperatorRequest, context: Context
    ) -> pb.CreateOperatorResponse:
        token = await self.door.call(
            context,
            lambda caller: self.people.add_operator(
                request.display_name, request.role, request.organisation_id, actor=caller.actor
            ),
        )
        return pb.CreateOperatorResponse(token=token_message(token))

    async def ListOperators(
        self, request: pb.ListOperatorsRequest, context: Context
    ) -> AsyncIterator[pb.ListOperatorsResponse]:
        async for some in self._list(context, Role.OPERATOR, _operator):
            yield pb.ListOperatorsResponse(operators=some)

    async def UpdateOperator(
        self, request: pb.UpdateOperatorRequest, context: Context
    ) -> pb.UpdateOperatorResponse:
        moved = await self._move(
            context, Role.OPERATOR, request.operator_id, request.organisation_id
        )
        return pb.UpdateOperatorResponse(operator=_operator(moved, self._now))

    async def RemoveOperator(
        self, request: pb.RemoveOperatorRequest, context: Context
    ) -> pb.RemoveOperatorResponse:
        gone = await self._remove(context, Role.OPERATOR, request.operator_id, request.reason)
        return pb.RemoveOperatorResponse(operator=_operator(gone, self._now))

    async def CreateVisitCode(
        self, _request: pb.CreateVisitCodeRequest, context: Context
    ) -> pb.CreateVisitCodeResponse:
        made = await self.door.call(context, self.visits.make_code)
        message = pb.CreateVisitCodeResponse(code=made.text, address=made.address)
        message.expire_time.FromDatetime(made.expire_time)
        return message

    async def CreateAuditor(
        self, request: pb.CreateAuditorRequest, context: Context
    ) -> pb.CreateAuditorResponse:
        token = await self.door.call(
            context,
            lambda caller: self.people.add_auditor(
                request.display_name, request.organisation_id, actor=caller.actor
            ),
        )
        return pb.CreateAuditorResponse(token=token_message(token))

    async def ListAuditors(
        self, request: pb.ListAuditorsRequest, context: Context
    ) -> AsyncIterator[pb.ListAuditorsResponse]:
        async for some in self._list(context, Role.AUDITOR, _auditor):
            yield pb.ListAuditorsResponse(auditors=some)

    async def UpdateAuditor(
        self, request: pb.UpdateAuditorRequest, context: Context
    ) -> pb.UpdateAuditorResponse:
        moved = await self._move(context, Role.AUDITOR, request.auditor_id, request.organisation_id)
        return pb.UpdateAuditorResponse(auditor=_auditor(moved, self._now))

    async def RemoveAuditor(
        self, request: pb.RemoveAuditorRequest, context: Context
    ) -> pb.RemoveAuditorResponse:
        gone = await self._remove(context, Role.AUDITOR, request.auditor_id, request.reason)
        return pb.RemoveAuditorResponse(auditor=_auditor(gone, self._now))

    def _expiries(self, found: Collection[Identity], actor: Actor) -> Mapping[str, datetime]:
        """When certificates expire, or the invitations of those that are not enrolled yet, by
        identifier. Removed ones are left out.
        """
        invited = [each.id for each in found if each.state is IdentityState.INVITED]
        ends = {
            each.id: each.expire_time
            for each in found
            if each.state is IdentityState.ACTIVE and each.expire_time is not None
        }
        if not invited:
            return ends
        return ends | dict(self.identities.invitations(invited, actor=actor))

    def _list(
        self,
        context: Context,
        role: Role,
        shown: Callable[[Identity, datetime, datetime | None], M],
    ) -> AsyncIterator[list[M]]:
        def listed(who: Identity) -> Iterator[M]:
            found = self.identities.list_of(role, actor=who.actor)
            expiries = self._expiries(found, who.actor)
            for each in found:
                yield shown(each, self._now, expiries.get(each.id))

        return self.door.listed(context, listed)

    async def _move(
        self, context: Context, role: Role, identity_id: str, organisation_id: str
    ) -> Identity:
        return await self.door.call(
            context,
            lambda caller: self.identities.move(
                role, identity_id, organisation_id, actor=caller.actor
            ),
        )

    async def _remove(
        self, context: Context, role: Role, identity_id: str, reason: str
    ) -> Identity:
        return await self.door.call(
            context, lambda caller: self.identities.remove(role, identity_id, reason, caller)
        )


def token_message(token: Token) -> pb.Token:
    """An enrolment token as a message."""
    message = pb.Token(text=token.text)
    message.expire_time.FromDatetime(token.expire_time)
    if token.role_until is not None:
        message.role_until_time.FromDatetime(token.role_until)
    return message


def _workstation(
    identity: Identity,
    now: datetime,
    expiry: datetime | None = None,
    contact: Contact | None = None,
    counted: Counted | None = None,
) -> pb.Workstation:
    message = pb.Workstation(
        id=identity.id,
        display_name=identity.display_name,
        site=identity.site,
        enrolled=identity.state is IdentityState.ACTIVE,
        organisation_id=identity.organisation_id,
        state=identity.state_at(now),
        software=_software(contact),
    )
    message.create_time.FromDatetime(identity.create_time)
    _set_expiry(message, expiry)
    if counted is not None:
        message.problems.failed, message.problems.warnings = counted.failed, counted.warnings
        message.problems.report_time.FromDatetime(counted.report_time)
    return message


def device_message(
    entry: DeviceListing,
    now: datetime,
    expiry: datetime | None = None,
    contact: Contact | None = None,
) -> pb.Device:
    """A device as a message, with what it said of itself last, if it is told."""
    device, key = entry.device, entry.key
    kind = pb.DEVICE_KIND_UNSPECIFIED
    if key is not None:
        passkey = isinstance(key, Passkey)
        kind = pb.DeviceKind.ValueType(
            ApprovalKeyKind.PASSKEY if passkey else ApprovalKeyKind.NATIVE
        )
    message = pb.Device(
        id=device.id,
        display_name=device.display_name,
        kind=kind,
        state=device.state_at(now),
        backed_up=isinstance(key, Passkey) and key.backed_up,
        attested_model=key.attested_model if isinstance(key, Passkey) else "",
        software=_software(contact),
    )
    message.create_time.FromDatetime(device.create_time)
    _set_expiry(message, expiry)
    return message


def _software(contact: Contact | None) -> pb.Software | None:
    if contact is None:
        return None
    said = contact.software
    message = pb.Software(
        version=said.version,
        platform=said.platform,
        platform_version=said.platform_version,
        capabilities=said.capabilities,
        compatibility=said.compared(),
    )
    message.seen_time.FromDatetime(contact.seen_time)
    return message


def _operator(identity: Identity, now: datetime, expiry: datetime | None = None) -> pb.Operator:
    return _named(pb.Operator(), identity, now, expiry)


def _auditor(identity: Identity, now: datetime, expiry: datetime | None = None) -> pb.Auditor:
    return _named(pb.Auditor(), identity, now, expiry)


def _named(message: Named, identity: Identity, now: datetime, expiry: datetime | None) -> Named:
    """Fill the message of an identity of which only a name is known."""
    message.id, message.display_name = identity.id, identity.display_name
    message.organisation_id = identity.organisation_id
    message.state = identity.state_at(now)
    message.create_time.FromDatetime(identity.create_time)
    _set_expiry(message, expiry)
    return message


def _set_expiry(
    message: pb.Workstation | pb.Device | pb.Operator | pb.Auditor, expiry: datetime | None
) -> None:
    if expiry is not None:
        message.expire_time.FromDatetime(expiry)
