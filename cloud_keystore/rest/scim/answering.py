"""What calls of SCIM share: how they answer, and which versions clients have seen."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, TypeAlias, TypeVar

from fastapi import Depends, Request
from scim2_models import (
    BaseModel,
    Context,
    ListResponse,
    NotFoundException,
    PreconditionFailedException,
    ResourceType,
    ResponseParameters,
    Schema,
    ServiceProviderConfig,
)
from starlette.responses import Response

from cloud_keystore.rest.scim.errors import MEDIA_TYPE
from cloud_keystore.rest.scim.models import MOST_RESULTS, POLICY, Group, Person

RESULTS = 100  # of an answer, if the client asks for no number
ATTEMPTS = 3  # of a change, while others change the same


async def _raw(request: Request) -> bytes:
    return await request.body()


Told = TypeVar("Told", Schema, ResourceType)

Body = Annotated[bytes, Depends(_raw)]
Shown: TypeAlias = (
    ResponseParameters[Person] | ResponseParameters[Group] | ResponseParameters[Person | Group]
)


def base(request: Request) -> str:
    """Where the service is, as the client calls it."""
    return f"{request.url.scheme}://{request.url.netloc}"


def results(count: int | None) -> int:
    """How many results an answer has at most, if a client asks for so many."""
    return min(RESULTS if count is None else count, MOST_RESULTS)


def tags(request: Request, name: str) -> frozenset[str]:
    """The versions that a header field names; weak ones, as ours are."""
    given = [each.strip() for each in request.headers.get(name, "").split(",")]
    whole = (each if each.startswith(("W/", "*")) else f"W/{each}" for each in given if each)
    return frozenset(whole)


def any_version(request: Request) -> bool:
    """Whether a client changes something whatever its version is."""
    named = tags(request, "if-match")
    return not named or "*" in named


def check_version(request: Request, etag: str) -> None:
    """Raise PreconditionFailedException unless a client has seen a version."""
    if etag not in tags(request, "if-match"):
        raise PreconditionFailedException(
            detail="somebody has changed this meanwhile: read it again"
        )


def unchanged(request: Request, etag: str) -> Response | None:
    """The answer to a client that has seen a version already; None for another one."""
    if etag not in tags(request, "if-none-match"):
        return None
    return Response(status_code=int(HTTPStatus.NOT_MODIFIED), headers={"ETag": etag})


def one(found: Sequence[Told], name: str) -> Told:
    """That of a name; raises NotFoundException."""
    for each in found:
        if each.id == name:
            return each
    raise NotFoundException(detail="there is no such resource")


def listed(found: list[Schema] | list[ResourceType]) -> Response:
    """All of some resources."""
    answer = ListResponse[Schema | ResourceType](
        total_results=len(found), start_index=1, items_per_page=len(found), resources=[*found]
    )
    return dumped(answer, None, Context.RESOURCE_QUERY_RESPONSE)


def told(
    found: Person | Group | Schema | ResourceType | ServiceProviderConfig,
    request: Request | None = None,
    context: Context = Context.RESOURCE_QUERY_RESPONSE,
    status: HTTPStatus = HTTPStatus.OK,
) -> Response:
    """One resource, with its version."""
    answer = dumped(found, request, context)
    answer.status_code = int(status)
    if found.meta is not None and found.meta.version:
        answer.headers["ETag"] = found.meta.version
    if status is HTTPStatus.CREATED and found.meta is not None and found.meta.location:
        answer.headers["Location"] = str(found.meta.location)
    return answer


def dumped(
    answer: BaseModel,
    request: Request | None,
    context: Context,
    shown: Shown | None = None,
) -> Response:
    """An answer, with the attributes that the client asks for."""
    if shown is None and request is not None:
        asked = ("attributes", "excludedAttributes")
        given = {name: request.query_params[name] for name in asked if name in request.query_params}
        if given and isinstance(answer, Group):
            shown = ResponseParameters[Group].model_validate(given)
        elif given:
            shown = ResponseParameters[Person].model_validate(given)
    text = answer.model_dump_json(scim_ctx=context, response_parameters=shown, scim_policy=POLICY)
    return Response(text, media_type=MEDIA_TYPE)
