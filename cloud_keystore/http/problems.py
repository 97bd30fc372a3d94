"""Translates errors into what clients are told: problem details (RFC 9457), in one table."""

from __future__ import annotations

import json
import math
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType

import structlog
from starlette.responses import Response

from cloud_keystore.model import errors
from cloud_keystore.model.errors import KeystoreError

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"
TYPE = "urn:cloudcard:problem:"
CHALLENGE: Mapping[str, str] = MappingProxyType({"WWW-Authenticate": 'Bearer realm="cloudcard"'})
LONGEST_TEXT = 1000  # characters of a detail, which can quote what the client sent

STATUS: Mapping[type[KeystoreError], HTTPStatus] = MappingProxyType(
    {
        errors.InvalidInput: HTTPStatus.UNPROCESSABLE_ENTITY,
        errors.UserNotFound: HTTPStatus.NOT_FOUND,
        errors.UserExists: HTTPStatus.CONFLICT,
        errors.ChangedMeanwhile: HTTPStatus.PRECONDITION_FAILED,
        errors.UserClosed: HTTPStatus.CONFLICT,
        errors.AddressUnreachable: HTTPStatus.CONFLICT,
        errors.NoAppPin: HTTPStatus.CONFLICT,
        errors.PhoneUnreachable: HTTPStatus.CONFLICT,
        errors.PortalClosed: HTTPStatus.CONFLICT,
        errors.FactorNeeded: HTTPStatus.FORBIDDEN,
        errors.CardNotFound: HTTPStatus.NOT_FOUND,
        errors.CardNotInUse: HTTPStatus.CONFLICT,
        errors.IllegalCardChange: HTTPStatus.CONFLICT,
        errors.KeyNotFound: HTTPStatus.NOT_FOUND,
        errors.DeviceNotFound: HTTPStatus.NOT_FOUND,
        errors.IdentityNotFound: HTTPStatus.NOT_FOUND,
        errors.WebhookNotFound: HTTPStatus.NOT_FOUND,
        errors.PasscodeNeeded: HTTPStatus.CONFLICT,
        errors.RequestIdReused: HTTPStatus.UNPROCESSABLE_ENTITY,
        errors.ProfileNotFound: HTTPStatus.NOT_FOUND,
        errors.ProfileExists: HTTPStatus.CONFLICT,
        errors.ProfileInUse: HTTPStatus.CONFLICT,
        errors.BuiltInProfile: HTTPStatus.CONFLICT,
        errors.GroupNotFound: HTTPStatus.NOT_FOUND,
        errors.LastOperator: HTTPStatus.CONFLICT,
        errors.OrganisationNotFound: HTTPStatus.NOT_FOUND,
        errors.OrganisationExists: HTTPStatus.CONFLICT,
        errors.NotAllowed: HTTPStatus.FORBIDDEN,
        errors.SecondNeeded: HTTPStatus.CONFLICT,
        errors.ProofNeeded: HTTPStatus.FORBIDDEN,
        errors.NobodyElse: HTTPStatus.CONFLICT,
        errors.AlertNotFound: HTTPStatus.NOT_FOUND,
        errors.RoleNotFound: HTTPStatus.NOT_FOUND,
        errors.RoleExists: HTTPStatus.CONFLICT,
        errors.RoleGranted: HTTPStatus.CONFLICT,
        errors.BuiltInRole: HTTPStatus.CONFLICT,
        errors.ClientOutdated: HTTPStatus.CONFLICT,
        errors.RequestNotFound: HTTPStatus.NOT_FOUND,
        errors.RequestClosed: HTTPStatus.CONFLICT,
        errors.IdentityRejected: HTTPStatus.UNAUTHORIZED,
        errors.TokenRejected: HTTPStatus.FORBIDDEN,
        errors.ApprovalRejected: HTTPStatus.FORBIDDEN,
        errors.OperationNotFound: HTTPStatus.NOT_FOUND,
        errors.OperationClosed: HTTPStatus.CONFLICT,
        errors.SignInNotFound: HTTPStatus.NOT_FOUND,
        errors.SeatNotFound: HTTPStatus.NOT_FOUND,
        errors.SessionNotFound: HTTPStatus.NOT_FOUND,
        errors.PasscodeAlreadySet: HTTPStatus.CONFLICT,
        errors.PukRefused: HTTPStatus.CONFLICT,
        errors.TooManyGuesses: HTTPStatus.TOO_MANY_REQUESTS,
        errors.RequestUnderWay: HTTPStatus.CONFLICT,
        errors.TooManyCalls: HTTPStatus.TOO_MANY_REQUESTS,
        errors.JournalBudgetSpent: HTTPStatus.TOO_MANY_REQUESTS,
        errors.MessageOverdue: HTTPStatus.REQUEST_TIMEOUT,
        errors.KeyBackendUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
        errors.SealingKeyMissing: HTTPStatus.SERVICE_UNAVAILABLE,
        errors.StorageUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
        errors.Stopping: HTTPStatus.SERVICE_UNAVAILABLE,
        errors.Overloaded: HTTPStatus.SERVICE_UNAVAILABLE,
        errors.MalformedKeyInput: HTTPStatus.UNPROCESSABLE_ENTITY,
        errors.ResultWithheld: HTTPStatus.UNPROCESSABLE_ENTITY,
        errors.ObjectNotFound: HTTPStatus.NOT_FOUND,
        errors.AuthorityNotFound: HTTPStatus.NOT_FOUND,
        errors.EntryNotFound: HTTPStatus.NOT_FOUND,
        errors.NoResult: HTTPStatus.CONFLICT,
        errors.SessionClosed: HTTPStatus.CONFLICT,
        errors.SessionRefused: HTTPStatus.FORBIDDEN,
        errors.LastMembership: HTTPStatus.CONFLICT,
        errors.MappingNotFound: HTTPStatus.NOT_FOUND,
        errors.GroupExists: HTTPStatus.CONFLICT,
        errors.TooManyGroups: HTTPStatus.CONFLICT,
        errors.NoDifference: HTTPStatus.CONFLICT,
        errors.RenewalRejected: HTTPStatus.FORBIDDEN,
        errors.AdministrationRefused: HTTPStatus.FORBIDDEN,
        errors.ChallengeRejected: HTTPStatus.FORBIDDEN,
        errors.AdministratorNeeded: HTTPStatus.CONFLICT,
        errors.CardFull: HTTPStatus.CONFLICT,
        errors.KeyReferenceTaken: HTTPStatus.CONFLICT,
        errors.CardNotBlocked: HTTPStatus.CONFLICT,
        errors.NotAttested: HTTPStatus.CONFLICT,
        errors.JustRefused: HTTPStatus.CONFLICT,
        errors.TooManyRefusals: HTTPStatus.TOO_MANY_REQUESTS,
        errors.OperationBusy: HTTPStatus.SERVICE_UNAVAILABLE,
        errors.RecordDamaged: HTTPStatus.INTERNAL_SERVER_ERROR,
        errors.StorageDamaged: HTTPStatus.INTERNAL_SERVER_ERROR,
    }
)
# Versions of Python call some of them by other names.
PLAIN: Mapping[int, tuple[str, str]] = MappingProxyType(
    {
        400: ("bad-request", "the request is no HTTP, or not as the API has it"),
        404: ("not-found", "there is no such path: look at /openapi.json"),
        405: ("method-not-allowed", "the path has other methods: look at /openapi.json"),
        413: ("content-too-large", "the request is too large: send less"),
        428: ("precondition-required", "say by If-Match what you have seen: the ETag"),
        415: ("unsupported-media-type", "send JSON, with Content-Type: application/json"),
    }
)
AGAIN = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})


@dataclass(frozen=True, slots=True)
class Wrong:
    """One thing that is wrong in a request, and where."""

    where: str
    detail: str


@dataclass(frozen=True, slots=True)
class Problem:
    """What a client is told of an error. Programs rely on `kind`, people on `detail`."""

    status: HTTPStatus
    kind: str
    detail: str
    retry_seconds: float | None = None
    wrong: Sequence[Wrong] = ()

    def body(self) -> bytes:
        """The problem as JSON."""
        said: dict[str, object] = {
            "type": TYPE + self.kind,
            "title": self.kind.replace("-", " ").capitalize(),
            "status": int(self.status),
            "detail": self.detail[:LONGEST_TEXT],
        }
        if self.wrong:
            said["errors"] = [{"where": each.where, "detail": each.detail} for each in self.wrong]
        return json.dumps(said).encode()

    def response(self, fields: Mapping[str, str] = MappingProxyType({})) -> Response:
        """The problem as a response, with further header fields."""
        headers = dict(fields)
        if self.status is HTTPStatus.UNAUTHORIZED:
            headers |= CHALLENGE
        if self.retry_seconds is not None:
            headers["Retry-After"] = str(max(1, math.ceil(self.retry_seconds)))
        return Response(self.body(), int(self.status), headers, MEDIA_TYPE)


def of_status(status: int, detail: str = "") -> Problem:
    """The problem that is nothing but a status."""
    kind, text = PLAIN.get(status, PLAIN[HTTPStatus.BAD_REQUEST])
    return Problem(HTTPStatus(status), kind, detail or text)


def of_error(error: Exception) -> Problem:
    """What to tell of an error. What only the log may tell is written there."""
    if not isinstance(error, KeystoreError):
        return _failed(error)
    status = STATUS.get(type(error), HTTPStatus.INTERNAL_SERVER_ERROR)
    if status is HTTPStatus.INTERNAL_SERVER_ERROR:
        return _failed(error)
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        cause = error.__cause__
        log.error(type(error).__name__, cause=str(getattr(cause, "orig", None) or cause or error))
    retry = 1.0 if status in AGAIN else None
    if isinstance(error, errors.ComeBack):
        retry = error.retry_seconds
    text = str(error)
    if status is HTTPStatus.UNAUTHORIZED:
        text = "this token is unknown, has ended or was removed: ask an RA manager for another one"
    return Problem(status, _kind(type(error)), text, retry)


def _failed(error: Exception) -> Problem:
    """A problem of the keystore's own, of which only the number of its log entry is told."""
    incident = uuid.uuid4().hex
    if isinstance(error, errors.Failed):
        incident = str(error)  # which custody has written down
    elif isinstance(error, KeystoreError):
        log.error(type(error).__name__, incident=incident, cause=str(error))
    else:
        log.error("internal error", incident=incident, exc_info=error)
    text = f"the keystore failed; its log tells more under {incident}"
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", text)


def _kind(kind: type[KeystoreError]) -> str:
    """The name of an error as problems have it: UserNotFound is user-not-found."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", kind.__name__).lower()
