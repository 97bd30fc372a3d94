"""Checks of the identities on this computer: their files, and a real call with each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NamedTuple

import grpc

from cloudcard.audit.v1.audit_pb2 import GetJournalRequest
from cloudcard.audit.v1.audit_pb2_grpc import AuditServiceStub
from cloudcard.authenticator.v1.authenticator_pb2 import ListSessionsRequest
from cloudcard.authenticator.v1.authenticator_pb2_grpc import AuthenticatorServiceStub
from cloudcard.registry.v1.cards_pb2 import ListProfilesRequest
from cloudcard.registry.v1.cards_pb2_grpc import CardServiceStub
from cloudcard.workstation.v1.workstation_pb2 import EndSessionRequest
from cloudcard.workstation.v1.workstation_pb2_grpc import WorkstationServiceStub
from cloudcard_tools.doctor.checks import Check, Finding, failed, ok, warning
from cloudcard_tools.shared import home, identity
from cloudcard_tools.shared.calling import explain
from cloudcard_tools.shared.failures import Failure, IdentityUnusable, OutOfReach, sentence
from cloudcard_tools.shared.identity import Identity

CALL_SECONDS = 2.5
RENEW_BEFORE = timedelta(days=60)
REJECTED = "IDENTITY_REJECTED"
LET_IN = "SESSION_NOT_FOUND"  # the keystore knows the caller, and no such session
IF_LATE = "the keystore takes connections and does not answer: see the check of the keystore"


class Role(NamedTuple):
    """How somebody enrols, and a call that changes nothing and is answered to the role alone."""

    enrol: str
    call: Callable[[grpc.Channel], object]


def _as_workstation(channel: grpc.Channel) -> object:
    return WorkstationServiceStub(channel).EndSession(EndSessionRequest(), timeout=CALL_SECONDS)


def _as_phone(channel: grpc.Channel) -> object:
    asked = ListSessionsRequest()
    return AuthenticatorServiceStub(channel).ListSessions(asked, timeout=CALL_SECONDS)


def _as_operator(channel: grpc.Channel) -> object:
    return CardServiceStub(channel).ListProfiles(ListProfilesRequest(), timeout=CALL_SECONDS)


def _as_auditor(channel: grpc.Channel) -> object:
    return AuditServiceStub(channel).GetJournal(GetJournalRequest(), timeout=CALL_SECONDS)


ROLES: Mapping[str, Role] = {
    "workstation": Role(
        "cloudcard reader enrol TOKEN (needed to serve cards of a keystore)", _as_workstation
    ),
    "authenticator": Role(
        "cloudcard authenticator enrol TOKEN (needed where this is the phone)", _as_phone
    ),
    "operator": Role("cloudcard ra enrol TOKEN (needed where cards are issued)", _as_operator),
    "auditor": Role("cloudcard audit enrol TOKEN (needed where the journal is read)", _as_auditor),
}


def checks() -> tuple[Check, ...]:
    """One check for each role."""
    return tuple(
        Check(f"identity.{role}", f"Identity: {role}", partial(enrolled, role), IF_LATE)
        for role in ROLES
    )


def enrolled(role: str) -> Finding:
    """Whether the identity of a role is there, of that role, valid now, and let in."""
    try:
        folder = home.of_role(role)
    except Failure as error:
        return failed("this user has no home folder", error.message)
    if not folder.exists():
        return ok(f"none on this computer; {ROLES[role].enrol}")
    try:
        own = identity.load(folder)
        _, certificate = own.pair()
        if own.role != role:
            cause = f"the identity in {folder} is one of an {own.role}, not of an {role}"
            return failed(cause, f"move the folder to {home.of_role(own.role)}, or {own.again}")
        with identity.channel(own) as channel:
            refused = _refusal(own, channel)
    except IdentityUnusable as error:
        cause, _, fix = error.message.partition(": ")
        return failed(cause, fix)
    if refused is not None:
        return refused
    end = certificate.not_valid_after_utc
    if end - datetime.now(UTC) < RENEW_BEFORE:
        return warning(
            f"{own.display_name}, let in; ends at {end:%Y-%m-%d %H:%M} UTC",
            "use it while the keystore is in reach, which renews it, or ask for a new token",
        )
    return ok(f"{own.display_name}, let in; until {end:%Y-%m-%d}")


def _refusal(own: Identity, channel: grpc.Channel) -> Finding | None:
    """Why the keystore does not let the identity in; None if it does."""
    try:
        ROLES[own.role].call(channel)
    except grpc.RpcError as error:
        failure = explain(error)
        if failure.reason == LET_IN:
            return None
        if isinstance(failure, OutOfReach):
            cause = f"{own.display_name}: its files are good; the keystore does not answer"
            return warning(cause, "see the check of the keystore")
        if failure.reason == REJECTED:
            cause = f"the keystore does not let {own.display_name} in: {failure.message}"
            return failed(cause, sentence(own.again))
        return warning(f"the keystore refuses a call: {failure.message}", "try again")
    return None
