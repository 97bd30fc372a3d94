"""Groups over SCIM: one call of the standard each."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from fastapi import Request
from scim2_models import Context, PatchOp
from starlette.responses import Response

from cloud_keystore.cards.directories.groups import Groups
from cloud_keystore.model.errors import ChangedMeanwhile
from cloud_keystore.rest.calls import current
from cloud_keystore.rest.scim import translating as to
from cloud_keystore.rest.scim.answering import (
    ATTEMPTS,
    Body,
    any_version,
    base,
    check_version,
    told,
    unchanged,
)
from cloud_keystore.rest.scim.bounds import read
from cloud_keystore.rest.scim.models import POLICY, Group


@dataclass(frozen=True, slots=True)
class GroupCalls:
    """What can be asked of groups."""

    groups: Groups

    def create(self, request: Request, body: Body) -> Response:
        """Add a group."""
        given = Group.model_validate(
            read(body), scim_ctx=Context.RESOURCE_CREATION_REQUEST, scim_policy=POLICY
        )
        made = self.groups.create(to.whole_group(given), actor=current().actor)
        group = to.group(made, base(request))
        return told(group, request, Context.RESOURCE_CREATION_RESPONSE, HTTPStatus.CREATED)

    def show(self, request: Request, group_id: str) -> Response:
        """One group."""
        found = self.groups.find(group_id, actor=current().actor)
        seen = unchanged(request, to.etag(found))
        return seen or told(
            to.group(found, base(request)), request, Context.RESOURCE_QUERY_RESPONSE
        )

    def replace(self, request: Request, group_id: str, body: Body) -> Response:
        """Say everything of a group anew."""
        given = Group.model_validate(
            read(body), scim_ctx=Context.RESOURCE_REPLACEMENT_REQUEST, scim_policy=POLICY
        )
        actor, seen = current().actor, self._version(request, group_id)
        changed = self.groups.change(group_id, to.whole_group(given), seen, actor=actor)
        group = to.group(changed, base(request))
        return told(group, request, Context.RESOURCE_REPLACEMENT_RESPONSE)

    def patch(self, request: Request, group_id: str, body: Body) -> Response:
        """Say something of a group anew, all or nothing."""
        patch = PatchOp[Group].model_validate(
            read(body), scim_ctx=Context.RESOURCE_PATCH_REQUEST, scim_policy=POLICY
        )
        actor, at, own = current().actor, base(request), self._version(request, group_id)
        for left in reversed(range(ATTEMPTS)):
            found = self.groups.find(group_id, actor=actor)
            after = to.group(found, at)
            patch.patch(after, scim_policy=POLICY)
            try:
                seen = own or found.version
                changed = self.groups.change(group_id, to.whole_group(after), seen, actor=actor)
                break
            except ChangedMeanwhile:
                if own or not left:
                    raise
        return told(to.group(changed, at), request, Context.RESOURCE_PATCH_RESPONSE)

    def delete(self, request: Request, group_id: str) -> Response:
        """Forget a group."""
        seen = self._version(request, group_id)
        self.groups.delete(group_id, seen, actor=current().actor)
        return Response(status_code=int(HTTPStatus.NO_CONTENT))

    def _version(self, request: Request, group_id: str) -> str:
        """The version that a client has seen and that holds; empty if it says none."""
        if any_version(request):
            return ""
        found = self.groups.find(group_id, actor=current().actor)
        check_version(request, to.etag(found))
        return found.version
