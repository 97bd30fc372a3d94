"""Translates errors into what callers are told: one table for all services, and for calls as well
as for messages of a stream.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import NoReturn, TypeAlias

import grpc
import structlog
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode
from grpc_status import rpc_status

from cloud_keystore.model import errors
from cloud_keystore.rpc import calls

Context: TypeAlias = "grpc.aio.ServicerContext[Message, Message]"

log = structlog.get_logger()

DOMAIN = "cloudcard"
BUSY_SECONDS = 0.1  # after which a use of a key has probably ended
# Bytes of a text, which can quote what the caller sent. Status and details carry it once each, at
# most three times as long, and clients of gRPC take 8 KiB of both.
LONGEST_TEXT = 1000

GRPC_STATUS: dict[type[errors.KeystoreError], tuple[StatusCode, str]] = {
    errors.InvalidInput: (StatusCode.INVALID_ARGUMENT, "INVALID_INPUT"),
    errors.MalformedKeyInput: (StatusCode.INVALID_ARGUMENT, "MALFORMED_KEY_INPUT"),
    errors.ResultWithheld: (StatusCode.INVALID_ARGUMENT, "RESULT_WITHHELD"),
    errors.UserNotFound: (StatusCode.NOT_FOUND, "USER_NOT_FOUND"),
    errors.UserExists: (StatusCode.ALREADY_EXISTS, "USER_EXISTS"),
    errors.ChangedMeanwhile: (StatusCode.ABORTED, "CHANGED_MEANWHILE"),
    errors.UserClosed: (StatusCode.FAILED_PRECONDITION, "USER_CLOSED"),
    errors.NoAppPin: (StatusCode.FAILED_PRECONDITION, "NO_APP_PIN"),
    errors.PhoneUnreachable: (StatusCode.FAILED_PRECONDITION, "PHONE_UNREACHABLE"),
    errors.AddressUnreachable: (StatusCode.FAILED_PRECONDITION, "ADDRESS_UNREACHABLE"),
    errors.PortalClosed: (StatusCode.FAILED_PRECONDITION, "PORTAL_CLOSED"),
    errors.FactorNeeded: (StatusCode.PERMISSION_DENIED, "FACTOR_NEEDED"),
    errors.CardNotFound: (StatusCode.NOT_FOUND, "CARD_NOT_FOUND"),
    errors.KeyNotFound: (StatusCode.NOT_FOUND, "KEY_NOT_FOUND"),
    errors.ObjectNotFound: (StatusCode.NOT_FOUND, "OBJECT_NOT_FOUND"),
    errors.DeviceNotFound: (StatusCode.NOT_FOUND, "DEVICE_NOT_FOUND"),
    errors.IdentityNotFound: (StatusCode.NOT_FOUND, "IDENTITY_NOT_FOUND"),
    errors.WebhookNotFound: (StatusCode.NOT_FOUND, "WEBHOOK_NOT_FOUND"),
    errors.LastOperator: (StatusCode.FAILED_PRECONDITION, "LAST_OPERATOR"),
    errors.AuthorityNotFound: (StatusCode.NOT_FOUND, "AUTHORITY_NOT_FOUND"),
    errors.AlertNotFound: (StatusCode.NOT_FOUND, "ALERT_NOT_FOUND"),
    errors.EntryNotFound: (StatusCode.NOT_FOUND, "ENTRY_NOT_FOUND"),
    errors.OperationNotFound: (StatusCode.NOT_FOUND, "OPERATION_NOT_FOUND"),
    errors.CardNotInUse: (StatusCode.FAILED_PRECONDITION, "CARD_NOT_IN_USE"),
    errors.IllegalCardChange: (StatusCode.FAILED_PRECONDITION, "ILLEGAL_CARD_CHANGE"),
    errors.OperationClosed: (StatusCode.FAILED_PRECONDITION, "OPERATION_CLOSED"),
    errors.NoResult: (StatusCode.FAILED_PRECONDITION, "NO_RESULT"),
    errors.SignInNotFound: (StatusCode.NOT_FOUND, "SIGN_IN_NOT_FOUND"),
    errors.SeatNotFound: (StatusCode.NOT_FOUND, "SEAT_NOT_FOUND"),
    errors.SessionNotFound: (StatusCode.NOT_FOUND, "SESSION_NOT_FOUND"),
    errors.SessionClosed: (StatusCode.FAILED_PRECONDITION, "SESSION_CLOSED"),
    errors.SessionRefused: (StatusCode.PERMISSION_DENIED, "SESSION_REFUSED"),
    errors.RequestIdReused: (StatusCode.INVALID_ARGUMENT, "REQUEST_ID_REUSED"),
    errors.OrganisationNotFound: (StatusCode.NOT_FOUND, "ORGANISATION_NOT_FOUND"),
    errors.OrganisationExists: (StatusCode.ALREADY_EXISTS, "ORGANISATION_EXISTS"),
    errors.NotAllowed: (StatusCode.PERMISSION_DENIED, "NOT_ALLOWED"),
    errors.RoleNotFound: (StatusCode.NOT_FOUND, "ROLE_NOT_FOUND"),
    errors.RoleExists: (StatusCode.ALREADY_EXISTS, "ROLE_EXISTS"),
    errors.RoleGranted: (StatusCode.FAILED_PRECONDITION, "ROLE_GRANTED"),
    errors.LastMembership: (StatusCode.FAILED_PRECONDITION, "LAST_MEMBERSHIP"),
    errors.ProfileNotFound: (StatusCode.NOT_FOUND, "PROFILE_NOT_FOUND"),
    errors.ProfileExists: (StatusCode.ALREADY_EXISTS, "PROFILE_EXISTS"),
    errors.ProfileInUse: (StatusCode.FAILED_PRECONDITION, "PROFILE_IN_USE"),
    errors.BuiltInProfile: (StatusCode.FAILED_PRECONDITION, "BUILT_IN_PROFILE"),
    errors.ClientOutdated: (StatusCode.FAILED_PRECONDITION, "CLIENT_OUTDATED"),
    errors.SecondNeeded: (StatusCode.FAILED_PRECONDITION, "SECOND_NEEDED"),
    errors.ProofNeeded: (StatusCode.FAILED_PRECONDITION, "PROOF_NEEDED"),
    errors.RequestNotFound: (StatusCode.NOT_FOUND, "REQUEST_NOT_FOUND"),
    errors.RequestClosed: (StatusCode.FAILED_PRECONDITION, "REQUEST_CLOSED"),
    errors.MappingNotFound: (StatusCode.NOT_FOUND, "MAPPING_NOT_FOUND"),
    errors.GroupNotFound: (StatusCode.NOT_FOUND, "GROUP_NOT_FOUND"),
    errors.GroupExists: (StatusCode.ALREADY_EXISTS, "GROUP_EXISTS"),
    errors.TooManyGroups: (StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_GROUPS"),
    errors.NoDifference: (StatusCode.FAILED_PRECONDITION, "NO_DIFFERENCE"),
    errors.NobodyElse: (StatusCode.FAILED_PRECONDITION, "NOBODY_ELSE"),
    errors.BuiltInRole: (StatusCode.FAILED_PRECONDITION, "BUILT_IN_ROLE"),
    errors.PasscodeNeeded: (StatusCode.FAILED_PRECONDITION, "PASSCODE_NEEDED"),
    errors.PasscodeAlreadySet: (StatusCode.FAILED_PRECONDITION, "PASSCODE_ALREADY_SET"),
    errors.KeyBackendUnavailable: (StatusCode.UNAVAILABLE, "KEY_BACKEND_UNAVAILABLE"),
    errors.SealingKeyMissing: (StatusCode.UNAVAILABLE, "SEALING_KEY_MISSING"),
    errors.OperationBusy: (StatusCode.UNAVAILABLE, "OPERATION_BUSY"),
    errors.ApprovalRejected: (StatusCode.PERMISSION_DENIED, "APPROVAL_REJECTED"),
    errors.IdentityRejected: (StatusCode.PERMISSION_DENIED, "IDENTITY_REJECTED"),
    errors.RenewalRejected: (StatusCode.PERMISSION_DENIED, "RENEWAL_REJECTED"),
    errors.TokenRejected: (StatusCode.PERMISSION_DENIED, "TOKEN_REJECTED"),
    errors.AdministrationRefused: (StatusCode.PERMISSION_DENIED, "ADMINISTRATION_REFUSED"),
    errors.ChallengeRejected: (StatusCode.PERMISSION_DENIED, "CHALLENGE_REJECTED"),
    errors.PukRefused: (StatusCode.FAILED_PRECONDITION, "PUK_REFUSED"),
    errors.TooManyGuesses: (StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_GUESSES"),
    errors.AdministratorNeeded: (StatusCode.FAILED_PRECONDITION, "ADMINISTRATOR_NEEDED"),
    errors.CardFull: (StatusCode.RESOURCE_EXHAUSTED, "CARD_FULL"),
    errors.KeyReferenceTaken: (StatusCode.FAILED_PRECONDITION, "KEY_REFERENCE_TAKEN"),
    errors.CardNotBlocked: (StatusCode.FAILED_PRECONDITION, "CARD_NOT_BLOCKED"),
    errors.NotAttested: (StatusCode.FAILED_PRECONDITION, "NOT_ATTESTED"),
    errors.JustRefused: (StatusCode.FAILED_PRECONDITION, "JUST_REFUSED"),
    errors.TooManyRefusals: (StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_REFUSALS"),
    errors.RequestUnderWay: (StatusCode.UNAVAILABLE, "REQUEST_UNDER_WAY"),
    errors.TooManyCalls: (StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_CALLS"),
    errors.JournalBudgetSpent: (StatusCode.RESOURCE_EXHAUSTED, "JOURNAL_BUDGET_SPENT"),
    errors.MessageOverdue: (StatusCode.DEADLINE_EXCEEDED, "MESSAGE_OVERDUE"),
    errors.StorageUnavailable: (StatusCode.UNAVAILABLE, "STORAGE_UNAVAILABLE"),
    errors.StorageDamaged: (StatusCode.DATA_LOSS, "STORAGE_DAMAGED"),
    errors.RecordDamaged: (StatusCode.DATA_LOSS, "RECORD_DAMAGED"),
    errors.Stopping: (StatusCode.UNAVAILABLE, "STOPPING"),
    errors.Overloaded: (StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED"),
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a caller is told of an error."""

    code: StatusCode
    reason: str
    text: str
    retry_seconds: float | None = None  # None if only a different call helps


async def refuse(context: Context, error: Exception) -> NoReturn:
    """End the call with a refusal and its reason; for a bug, only with the id of its log entry."""
    if isinstance(error, grpc.aio.AbortError):
        raise error
    told, call = refusal(error), calls.current()
    call.code, call.reason = told.code.name, told.reason
    await context.abort_with_status(_status(told))
    raise AssertionError("an abort does not return")


def refusal(error: Exception) -> Refusal:
    """What to tell of an error. What only the log may tell is written there."""
    incident = uuid.uuid4().hex
    # A broken seal is a damaged record too; only the log says which of the two it is.
    if isinstance(error, errors.RecordDamaged):
        code, reason = GRPC_STATUS[errors.RecordDamaged]
        log.error(reason, incident=incident, cause=str(error))
        text = f"a record of the keystore is damaged; its log tells which under {incident}"
        return Refusal(code, reason, text)
    if isinstance(error, errors.KeystoreError) and type(error) in GRPC_STATUS:
        code, reason = GRPC_STATUS[type(error)]
        if isinstance(error, errors.StorageUnavailable | errors.StorageDamaged):
            log.error(reason, cause=_cause(error))
        if isinstance(error, errors.SealingKeyMissing):
            log.error(reason, cause=str(error))
        return Refusal(code, reason, _shortened(str(error)), _retry_seconds(error))
    if isinstance(error, errors.Failed):
        incident = str(error)
    else:
        log.error("internal error", incident=incident, exc_info=error)
    text = f"the keystore failed; its log tells more under {incident}"
    return Refusal(StatusCode.INTERNAL, "INTERNAL", text)


def _shortened(text: str) -> str:
    """A text without its middle, if it is too long; its end says what to do."""
    raw = text.encode(errors="replace")
    if len(raw) <= LONGEST_TEXT:
        return text
    half = LONGEST_TEXT // 2
    return f"{raw[:half].decode(errors='ignore')} … {raw[-half:].decode(errors='ignore')}"


def _cause(error: Exception) -> str:
    """The driver's message, without the statement."""
    cause = error.__cause__
    return str(getattr(cause, "orig", None) or cause)


def _retry_seconds(error: errors.KeystoreError) -> float | None:
    """Seconds after which the same call can be made again; None if only a different call helps."""
    match error:
        case errors.ComeBack():
            return error.retry_seconds
        case errors.OperationBusy():
            return BUSY_SECONDS
        case _:
            return None


def _status(told: Refusal) -> grpc.Status:
    number, _ = told.code.value
    status = status_pb2.Status(code=number, message=told.text)
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason=told.reason, domain=DOMAIN))
    if told.retry_seconds is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromTimedelta(timedelta(seconds=told.retry_seconds))
        status.details.add().Pack(retry)
    return rpc_status.to_status(status)
