"""SCIM as an application: its paths in one table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import NamedTuple

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from scim2_models import Context, PatchOp, Schema, SCIMException
from starlette.exceptions import HTTPException
from starlette.responses import Response

from cloud_keystore.cards.directories.provisioning import Provisioning
from cloud_keystore.http.problems import of_status
from cloud_keystore.model.errors import ChangedMeanwhile, KeystoreError
from cloud_keystore.people.organisations import Organisations
from cloud_keystore.rest.calls import current
from cloud_keystore.rest.scim import errors, models
from cloud_keystore.rest.scim import translating as to
from cloud_keystore.rest.scim.answering import (
    ATTEMPTS,
    Body,
    any_version,
    base,
    check_version,
    listed,
    one,
    told,
    unchanged,
)
from cloud_keystore.rest.scim.bounds import read
from cloud_keystore.rest.scim.groups import GroupCalls
from cloud_keystore.rest.scim.models import AT, POLICY, Person
from cloud_keystore.rest.scim.searching import Searching

NO_CALL = {
    404: f"there is no such resource: {AT}/ResourceTypes shows which there are",
    405: "the resource has other methods (RFC 7644, 3.2)",
}


class Row(NamedTuple):
    """One call: where it is, and what serves it."""

    method: str
    path: str
    serve: Callable[..., Response]


@dataclass(frozen=True, slots=True)
class ScimCalls:
    """What can be asked."""

    provisioning: Provisioning
    organisations: Organisations
    groups: GroupCalls
    searching: Searching

    def config(self, request: Request) -> Response:
        """What the service can do."""
        return told(models.config(base(request)))

    def resource_types(self, request: Request) -> Response:
        """Which resources there are."""
        return listed(models.resource_types(base(request)))

    def resource_type(self, request: Request, name: str) -> Response:
        """One kind of resources."""
        return told(one(models.resource_types(base(request)), name))

    def schemas(self, request: Request) -> Response:
        """What resources have."""
        return listed(self._schemas(request))

    def schema(self, request: Request, name: str) -> Response:
        """What one resource has."""
        return told(one(self._schemas(request), name))

    def create(self, request: Request, body: Body) -> Response:
        """Add a person."""
        given = Person.model_validate(
            read(body), scim_ctx=Context.RESOURCE_CREATION_REQUEST, scim_policy=POLICY
        )
        made = self.provisioning.create(to.whole(given), actor=current().actor)
        person = to.person(made, base(request))
        return told(person, request, Context.RESOURCE_CREATION_RESPONSE, HTTPStatus.CREATED)

    def show(self, request: Request, user_id: str) -> Response:
        """One person."""
        found = self.provisioning.find(user_id, actor=current().actor)
        seen = unchanged(request, to.etag(found))
        return seen or told(
            to.person(found, base(request)), request, Context.RESOURCE_QUERY_RESPONSE
        )

    def replace(self, request: Request, user_id: str, body: Body) -> Response:
        """Say everything of a person anew."""
        given = Person.model_validate(
            read(body), scim_ctx=Context.RESOURCE_REPLACEMENT_REQUEST, scim_policy=POLICY
        )
        actor, seen = current().actor, self._version(request, user_id)
        changed = self.provisioning.change(user_id, to.whole(given), seen, actor=actor)
        person = to.person(changed, base(request))
        return told(person, request, Context.RESOURCE_REPLACEMENT_RESPONSE)

    def patch(self, request: Request, user_id: str, body: Body) -> Response:
        """Say something of a person anew, all or nothing."""
        patch = PatchOp[Person].model_validate(
            read(body), scim_ctx=Context.RESOURCE_PATCH_REQUEST, scim_policy=POLICY
        )
        actor, at, own = current().actor, base(request), self._version(request, user_id)
        for left in reversed(range(ATTEMPTS)):
            found = self.provisioning.find(user_id, actor=actor)
            before, after = to.person(found, at), to.person(found, at)
            patch.patch(after, scim_policy=POLICY)
            said = to.changed(before, after, to.named(patch))
            try:
                seen = own or found.version
                changed = self.provisioning.change(user_id, said, seen, actor=actor)
                break
            except ChangedMeanwhile:
                if own or not left:
                    raise
        return told(to.person(changed, at), request, Context.RESOURCE_PATCH_RESPONSE)

    def delete(self, request: Request, user_id: str) -> Response:
        """Close a person, and forget them as far as the directory goes."""
        seen = self._version(request, user_id)
        self.provisioning.delete(user_id, seen, actor=current().actor)
        return Response(status_code=int(HTTPStatus.NO_CONTENT))

    def _schemas(self, request: Request) -> list[Schema]:
        known = self.organisations.list_all(actor=current().actor)
        return models.schemas(base(request), [each.name for each in known])

    def _version(self, request: Request, user_id: str) -> str:
        """The version that a client has seen and that holds; empty if it says none."""
        if any_version(request):
            return ""
        found = self.provisioning.find(user_id, actor=current().actor)
        check_version(request, to.etag(found))
        return found.version


def rows(calls: ScimCalls) -> Sequence[Row]:
    """All calls."""
    return (
        Row("GET", f"{AT}/ServiceProviderConfig", calls.config),
        Row("GET", f"{AT}/ResourceTypes", calls.resource_types),
        Row("GET", f"{AT}/ResourceTypes/{{name}}", calls.resource_type),
        Row("GET", f"{AT}/Schemas", calls.schemas),
        Row("GET", f"{AT}/Schemas/{{name}}", calls.schema),
        Row("POST", f"{AT}/.search", calls.searching.search),
        Row("GET", f"{AT}/Users", calls.searching.list_people),
        Row("POST", f"{AT}/Users", calls.create),
        Row("POST", f"{AT}/Users/.search", calls.searching.search_people),
        Row("GET", f"{AT}/Users/{{user_id}}", calls.show),
        Row("PUT", f"{AT}/Users/{{user_id}}", calls.replace),
        Row("PATCH", f"{AT}/Users/{{user_id}}", calls.patch),
        Row("DELETE", f"{AT}/Users/{{user_id}}", calls.delete),
        Row("GET", f"{AT}/Groups", calls.searching.list_groups),
        Row("POST", f"{AT}/Groups", calls.groups.create),
        Row("POST", f"{AT}/Groups/.search", calls.searching.search_groups),
        Row("GET", f"{AT}/Groups/{{group_id}}", calls.groups.show),
        Row("PUT", f"{AT}/Groups/{{group_id}}", calls.groups.replace),
        Row("PATCH", f"{AT}/Groups/{{group_id}}", calls.groups.patch),
        Row("DELETE", f"{AT}/Groups/{{group_id}}", calls.groups.delete),
    )


def application(calls: ScimCalls) -> FastAPI:
    """SCIM, to be put behind a gate."""
    made = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    for row in rows(calls):
        made.add_api_route(row.path, row.serve, methods=[row.method], response_model=None)
    for kind in (
        KeystoreError,
        SCIMException,
        ValidationError,
        RequestValidationError,
        Exception,
    ):
        made.add_exception_handler(kind, _refused)
    made.add_exception_handler(HTTPException, _no_call)
    return made


async def _refused(_request: Request, error: Exception) -> Response:
    return errors.of(error)


async def _no_call(_request: Request, error: Exception) -> Response:
    """What the framework refuses: a path that is not there, or a method that it does not have."""
    assert isinstance(error, HTTPException)  # noqa: S101 (it is registered for nothing else)
    told = errors.of_problem(of_status(error.status_code, NO_CALL.get(error.status_code, "")))
    told.headers.update(error.headers or {})
    return told
