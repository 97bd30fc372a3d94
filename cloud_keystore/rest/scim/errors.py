"""Errors as SCIM has them (RFC 7644, 3.12), from the same table as problem details."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType

from pydantic import ValidationError
from scim2_models import Error, SCIMException
from starlette.responses import Response

from cloud_keystore.http.problems import CHALLENGE, LONGEST_TEXT, Problem, of_error
from cloud_keystore.model import errors
from cloud_keystore.model.errors import KeystoreError

MEDIA_TYPE = "application/scim+json"
SCHEMA = "urn:ietf:params:scim:api:messages:2.0:Error"
# What the standard calls them, if it has a name, and with which status.
NAMES: Mapping[type[KeystoreError], tuple[HTTPStatus, str]] = MappingProxyType(
    {
        errors.InvalidInput: (HTTPStatus.BAD_REQUEST, "invalidValue"),
        errors.OrganisationNotFound: (HTTPStatus.BAD_REQUEST, "invalidValue"),
        errors.UserExists: (HTTPStatus.CONFLICT, "uniqueness"),
        errors.GroupExists: (HTTPStatus.CONFLICT, "uniqueness"),
        errors.TooManyGroups: (HTTPStatus.BAD_REQUEST, "tooMany"),
    }
)


def of(error: Exception) -> Response:
    """What a client is told of an error."""
    if isinstance(error, SCIMException):
        return _response(error.status, error.scim_type, error.detail)
    if isinstance(error, ValidationError):
        first = Error.from_validation_errors(error.errors(include_url=False, include_input=False))
        return _response(first[0].status or 400, first[0].scim_type or "", first[0].detail or "")
    known = NAMES.get(type(error)) if isinstance(error, KeystoreError) else None
    if known is not None:
        return _response(known[0], known[1], str(error))
    return of_problem(of_error(error))


def of_problem(problem: Problem) -> Response:
    """A problem as SCIM has it."""
    fields: dict[str, str] = {}
    if problem.status is HTTPStatus.UNAUTHORIZED:
        fields |= CHALLENGE
    if problem.retry_seconds is not None:
        fields["Retry-After"] = str(max(1, math.ceil(problem.retry_seconds)))
    return _response(problem.status, "", problem.detail, fields)


def _response(
    status: int, name: str, detail: str, fields: Mapping[str, str] = MappingProxyType({})
) -> Response:
    said = {"schemas": [SCHEMA], "status": str(int(status)), "detail": detail[:LONGEST_TEXT]}
    if name:
        said["scimType"] = name
    return Response(json.dumps(said).encode(), int(status), dict(fields), MEDIA_TYPE)
