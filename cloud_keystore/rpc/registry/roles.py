"""`RoleService`: roles, and who was granted which."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.people import Identity
from cloud_keystore.people.rights.custom_roles import CustomRoles
from cloud_keystore.people.roles import AssignmentListing, RoleListing, Roles, Wish
from cloud_keystore.rpc.door import Door
from cloud_keystore.rpc.refusals import Context
from cloudcard.registry.v1 import roles_pb2 as pb
from cloudcard.registry.v1 import roles_pb2_grpc


@dataclass(frozen=True, slots=True)
class RoleServicer(roles_pb2_grpc.RoleServiceServicer):
    """Translates between messages and use cases."""

    door: Door
    roles: Roles
    custom_roles: CustomRoles
    clock: Clock

    async def ListRoles(
        self, request: pb.ListRolesRequest, context: Context
    ) -> AsyncIterator[pb.ListRolesResponse]:
        async for some in self.door.listed(
            context, lambda who: map(_role, self.roles.known(actor=who.actor))
        ):
            yield pb.ListRolesResponse(roles=some)

    async def CreateRole(
        self, request: pb.CreateRoleRequest, context: Context
    ) -> pb.CreateRoleResponse:
        made = await self.door.call(
            context,
            lambda who: self.custom_roles.define(
                request.name, list(request.rights), request.organisation_id, actor=who.actor
            ),
        )
        return pb.CreateRoleResponse(role=_role(made))

    async def UpdateRole(
        self, request: pb.UpdateRoleRequest, context: Context
    ) -> pb.UpdateRoleResponse:
        name = request.name if request.HasField("name") else None
        changed = await self.door.call(
            context,
            lambda who: self.custom_roles.change(
                request.role_id, name, list(request.rights), actor=who.actor
            ),
        )
        return pb.UpdateRoleResponse(role=_role(changed))

    async def DeleteRole(
        self, request: pb.DeleteRoleRequest, context: Context
    ) -> pb.DeleteRoleResponse:
        deleted = await self.door.call(
            context, lambda who: self.custom_roles.delete(request.role_id, actor=who.actor)
        )
        return pb.DeleteRoleResponse(role=_role(deleted))

    async def ListAssignments(
        self, request: pb.ListAssignmentsRequest, context: Context
    ) -> AsyncIterator[pb.ListAssignmentsResponse]:
        def listed(who: Identity) -> Iterator[pb.Assignment]:
            at = _time(request.as_of) if request.HasField("as_of") else None
            return map(self._assignment, self.roles.list_all(at, actor=who.actor))

        async for some in self.door.listed(context, listed):
            yield pb.ListAssignmentsResponse(assignments=some)

    async def GrantRole(
        self, request: pb.GrantRoleRequest, context: Context
    ) -> pb.GrantRoleResponse:
        def grant(who: Identity) -> AssignmentListing:
            wish = Wish(
                request.identity_id,
                request.role,
                request.organisation_id,
                _time(request.from_time) if request.HasField("from_time") else None,
                _time(request.until_time) if request.HasField("until_time") else None,
            )
            return self.roles.grant(wish, actor=who.actor)

        granted = await self.door.call(context, grant)
        return pb.GrantRoleResponse(assignment=self._assignment(granted))

    async def WithdrawRole(
        self, request: pb.WithdrawRoleRequest, context: Context
    ) -> pb.WithdrawRoleResponse:
        ended = await self.door.call(
            context, lambda who: self.roles.withdraw(request.assignment_id, actor=who.actor)
        )
        return pb.WithdrawRoleResponse(assignment=self._assignment(ended))

    def _assignment(self, listing: AssignmentListing) -> pb.Assignment:
        now, granted, identity = self.clock(), listing.assignment, listing.identity
        message = pb.Assignment(
            id=granted.id,
            identity_id=identity.id,
            display_name=identity.display_name,
            identity_state=identity.state_at(now),
            role=listing.role_name,
            organisation_id=granted.organisation_id,
            organisation_name=listing.organisation_name,
            granted_by=granted.granted_by,
            state=granted.state_at(now),
        )
        message.from_time.FromDatetime(granted.from_time)
        if granted.until_time is not None:
            message.until_time.FromDatetime(granted.until_time)
        return message


def _role(listing: RoleListing) -> pb.NamedRole:
    return pb.NamedRole(
        id=listing.id,
        name=listing.name,
        rights=listing.rights,
        built_in=listing.built_in,
        organisation_id=listing.organisation_id,
        organisation_name=listing.organisation_name,
    )


def _time(stamp: Timestamp) -> datetime:
    """A time of a request; raises InvalidInput if it is none."""
    try:
        return stamp.ToDatetime(UTC)
    except (ValueError, OverflowError):
        raise InvalidInput("a time of a role is from year 1 to 9999") from None
