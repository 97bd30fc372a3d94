"""SCIM as an application: its paths in one table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, NamedTuple, TypeVar

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from scim2_models import (
    BaseModel,
    Context,
    ListResponse,
    NotFoundException,
    PatchOp,
    PreconditionFailedException,
    ResourceType,
    ResponseParameters,
    Schema,
    SCIMException,
    SearchRequest,
    ServiceProviderConfig,
    TooManyException,
)
from starlette.exceptions import HTTPException
from starlette.responses import Response

from cloud_keystore.cards.directories.provisioning import Provisioning
from cloud_keystore.http.problems import of_status
from cloud_keystore.model.directories.entries import Sought
from cloud_keystore.model.errors import ChangedMeanwhile, KeystoreError
from cloud_keystore.people.organisations import Organisations
from cloud_keystore.rest.calls import current
from cloud_keystore.rest.scim import errors, filters, models
from cloud_keystore.rest.scim import translating as to
from cloud_keystore.rest.scim.bounds import check_filter, read
from cloud_keystore.rest.scim.errors import MEDIA_TYPE
from cloud_keystore.rest.scim.models import AT, MOST_RESULTS, POLICY, Person

RESULTS = 100  # of an answer, if the client asks for no number
MOST_COMPARED = 2000  # people whom a filter or an order is computed for
NO_CALL = {
    404: f"there is no such resource: {AT}/ResourceTypes shows which there are",
    405: "the resource has other methods (RFC 7644, 3.2)",
}
ATTEMPTS = 3  # of a change, while others change the same person


async def _raw(request: Request) -> bytes:
    return await request.body()


Told = TypeVar("Told", Schema, ResourceType)

Body = Annotated[bytes, Depends(_raw)]


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

    def config(self, request: Request) -> Response:
        """What the service can do."""
        return _told(models.config(_base(request)))

    def resource_types(self, request: Request) -> Response:
        """Which resources there are."""
        return _listed(models.resource_types(_base(request)))

    def resource_type(self, request: Request, name: str) -> Response:
        """One kind of resources."""
        return _told(_one(models.resource_types(_base(request)), name))

    def schemas(self, request: Request) -> Response:
        """What resources have."""
        return _listed(self._schemas(request))

    def schema(self, request: Request, name: str) -> Response:
        """What one resource has."""
        return _told(_one(self._schemas(request), name))

    def list_people(self, request: Request) -> Response:
        """People whom a filter in the query means, in an order, a page of them."""
        given: dict[str, object] = dict(request.query_params)
        check_filter(request.query_params.get("filter", ""))
        return self._found(SearchRequest[Person].model_validate(given), request)

    def search(self, request: Request, body: Body) -> Response:
        """The same, with the filter in the body."""
        wanted = SearchRequest[Person].model_validate(
            read(body), scim_ctx=Context.SEARCH_REQUEST, scim_policy=POLICY
        )
        return self._found(wanted, request)

    def create(self, request: Request, body: Body) -> Response:
        """Add a person."""
        given = Person.model_validate(
            read(body), scim_ctx=Context.RESOURCE_CREATION_REQUEST, scim_policy=POLICY
        )
        made = self.provisioning.create(to.whole(given), actor=current().actor)
        person = to.person(made, _base(request))
        told = _told(person, request, Context.RESOURCE_CREATION_RESPONSE, HTTPStatus.CREATED)
        told.headers["Location"] = to.location(made, _base(request))
        return told

    def show(self, request: Request, user_id: str) -> Response:
        """One person."""
        found = self.provisioning.find(user_id, actor=current().actor)
        if to.etag(found) in _tags(request, "if-none-match"):
            return Response(
                status_code=int(HTTPStatus.NOT_MODIFIED), headers={"ETag": to.etag(found)}
            )
        return _told(to.person(found, _base(request)), request, Context.RESOURCE_QUERY_RESPONSE)

    def replace(self, request: Request, user_id: str, body: Body) -> Response:
        """Say everything of a person anew."""
        given = Person.model_validate(
            read(body), scim_ctx=Context.RESOURCE_REPLACEMENT_REQUEST, scim_policy=POLICY
        )
        actor, seen = current().actor, self._version(request, user_id)
        changed = self.provisioning.change(user_id, to.whole(given), seen, actor=actor)
        person = to.person(changed, _base(request))
        return _told(person, request, Context.RESOURCE_REPLACEMENT_RESPONSE)

    def patch(self, request: Request, user_id: str, body: Body) -> Response:
        """Say something of a person anew, all or nothing."""
        patch = PatchOp[Person].model_validate(
            read(body), scim_ctx=Context.RESOURCE_PATCH_REQUEST, scim_policy=POLICY
        )
        actor, base, own = current().actor, _base(request), self._version(request, user_id)
        for left in reversed(range(ATTEMPTS)):
            found = self.provisioning.find(user_id, actor=actor)
            before, after = to.person(found, base), to.person(found, base)
            patch.patch(after, scim_policy=POLICY)
            said = to.changed(before, after, to.named(patch))
            try:
                seen = own or found.version
                changed = self.provisioning.change(user_id, said, seen, actor=actor)
                break
            except ChangedMeanwhile:
                if own or not left:
                    raise
        return _told(to.person(changed, base), request, Context.RESOURCE_PATCH_RESPONSE)

    def delete(self, request: Request, user_id: str) -> Response:
        """Close a person, and forget them as far as the directory goes."""
        seen = self._version(request, user_id)
        self.provisioning.delete(user_id, seen, actor=current().actor)
        return Response(status_code=int(HTTPStatus.NO_CONTENT))

    def _schemas(self, request: Request) -> list[Schema]:
        known = self.organisations.list_all(actor=current().actor)
        return models.schemas(_base(request), [each.name for each in known])

    def _version(self, request: Request, user_id: str) -> str:
        """The version that a client has seen and that holds; empty if it says none."""
        tags = _tags(request, "if-match")
        if not tags or "*" in tags:
            return ""
        found = self.provisioning.find(user_id, actor=current().actor)
        if to.etag(found) not in tags:
            raise PreconditionFailedException(
                detail="somebody has changed this meanwhile: read it again"
            )
        return found.version

    def _found(self, wanted: SearchRequest[Person], request: Request) -> Response:
        base, actor = _base(request), current().actor
        first, most = wanted.start_index_0 or 0, wanted.count
        most = min(RESULTS if most is None else most, MOST_RESULTS)
        if wanted.filter is None and wanted.sort_by is None:
            found = self.provisioning.list_all(Sought(), first, most, actor=actor)
            people, total = [to.person(each, base) for each in found.shown], found.total
        else:
            people = self._compared(wanted, base)
            total, people = len(people), people[first : first + most]
        answer = ListResponse[Person](
            total_results=total,
            start_index=first + 1,
            items_per_page=len(people),
            resources=people,
        )
        return _dumped(answer, request, Context.RESOURCE_QUERY_RESPONSE, wanted)

    def _compared(self, wanted: SearchRequest[Person], base: str) -> list[Person]:
        """Everybody whom a filter means, in their order."""
        sought = Sought()
        if wanted.filter is not None:
            sought = filters.sought(wanted.filter.ast)
        found = self.provisioning.list_all(sought, 0, MOST_COMPARED, actor=current().actor)
        if found.total > MOST_COMPARED:
            raise TooManyException(
                detail=f"there are more than {MOST_COMPARED} people to compare: ask by eq for "
                "userName, externalId, emails.value or id, or leave filter and sortBy out"
            )
        people = [to.person(each, base) for each in found.shown]
        if wanted.filter is not None:
            people = [each for each in people if wanted.filter.match(each)]
        if wanted.sort_by is not None:
            people = wanted.sort(people)
        return people


def rows(calls: ScimCalls) -> Sequence[Row]:
    """All calls."""
    return (
        Row("GET", f"{AT}/ServiceProviderConfig", calls.config),
        Row("GET", f"{AT}/ResourceTypes", calls.resource_types),
        Row("GET", f"{AT}/ResourceTypes/{{name}}", calls.resource_type),
        Row("GET", f"{AT}/Schemas", calls.schemas),
        Row("GET", f"{AT}/Schemas/{{name}}", calls.schema),
        Row("POST", f"{AT}/.search", calls.search),
        Row("GET", f"{AT}/Users", calls.list_people),
        Row("POST", f"{AT}/Users", calls.create),
        Row("POST", f"{AT}/Users/.search", calls.search),
        Row("GET", f"{AT}/Users/{{user_id}}", calls.show),
        Row("PUT", f"{AT}/Users/{{user_id}}", calls.replace),
        Row("PATCH", f"{AT}/Users/{{user_id}}", calls.patch),
        Row("DELETE", f"{AT}/Users/{{user_id}}", calls.delete),
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


def _base(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}"


def _tags(request: Request, name: str) -> frozenset[str]:
    """The versions that a header field names; weak ones, as ours are."""
    given = [each.strip() for each in request.headers.get(name, "").split(",")]
    whole = (each if each.startswith(("W/", "*")) else f"W/{each}" for each in given if each)
    return frozenset(whole)


def _one(found: Sequence[Told], name: str) -> Told:
    for each in found:
        if each.id == name:
            return each
    raise NotFoundException(detail="there is no such resource")


def _listed(found: list[Schema] | list[ResourceType]) -> Response:
    answer = ListResponse[Schema | ResourceType](
        total_results=len(found), start_index=1, items_per_page=len(found), resources=[*found]
    )
    return _dumped(answer, None, Context.RESOURCE_QUERY_RESPONSE)


def _told(
    found: Person | Schema | ResourceType | ServiceProviderConfig,
    request: Request | None = None,
    context: Context = Context.RESOURCE_QUERY_RESPONSE,
    status: HTTPStatus = HTTPStatus.OK,
) -> Response:
    told = _dumped(found, request, context)
    told.status_code = int(status)
    if found.meta is not None and found.meta.version:
        told.headers["ETag"] = found.meta.version
    return told


def _dumped(
    answer: BaseModel,
    request: Request | None,
    context: Context,
    shown: ResponseParameters[Person] | None = None,
) -> Response:
    """An answer, with the attributes that the client asks for."""
    if shown is None and request is not None:
        asked = ("attributes", "excludedAttributes")
        given = {name: request.query_params[name] for name in asked if name in request.query_params}
        shown = ResponseParameters[Person].model_validate(given) if given else None
    text = answer.model_dump_json(scim_ctx=context, response_parameters=shown, scim_policy=POLICY)
    return Response(text, media_type=MEDIA_TYPE)
