"""Checks of the identities on this computer, and whether their keystores can be reached."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from cloudcard_tools.doctor.checks import Check, Finding, failed, ok, warning
from cloudcard_tools.shared import home, identity
from cloudcard_tools.shared.calling import explain
from cloudcard_tools.shared.failures import Failure, IdentityUnusable
from cloudcard_tools.shared.reaching import why

CONNECT_SECONDS = 3.0
RENEW_BEFORE = timedelta(days=60)
ENROL = {
    "workstation": "cloudcard reader enrol TOKEN (needed to serve cards of a keystore)",
    "authenticator": "cloudcard authenticator enrol TOKEN (needed where this is the phone)",
    "operator": "cloudcard ra enrol TOKEN (needed where cards are issued)",
}


def enrolled(role: str) -> Finding:
    """Whether the identity of a role is there, readable and valid now."""
    try:
        folder = home.of_role(role)
    except Failure as error:
        return failed("this user has no home folder", error.message)
    if not folder.exists():
        return warning("not enrolled on this computer", ENROL[role])
    try:
        found = identity.load(folder)
        _, certificate = found.pair()
        identity.channel(found).close()
    except IdentityUnusable as error:
        cause, _, fix = error.message.partition(": ")
        return failed(cause, fix)
    end = certificate.not_valid_after_utc
    if end - datetime.now(UTC) < RENEW_BEFORE:
        return warning(
            f"{found.display_name}; ends at {end}",
            "use it while the keystore is in reach, which renews it, or ask for a new token",
        )
    return ok(f"{found.display_name}, until {end:%Y-%m-%d}")


def reachable() -> Finding:
    """Whether each keystore that an identity here names is serving."""
    identities = {}
    for role in ENROL:
        try:
            found = identity.load(home.of_role(role))
        except Failure:
            continue  # the check of that identity reports it
        identities[found.address] = found
    if not identities:
        return warning("no identity here names a keystore", "enrol first")
    for address, found in identities.items():
        try:
            with identity.channel(found) as channel:
                asked = health_pb2.HealthCheckRequest()
                answer = health_pb2_grpc.HealthStub(channel).Check(asked, timeout=CONNECT_SECONDS)
        except IdentityUnusable as error:
            cause, _, fix = error.message.partition(": ")
            return failed(cause, fix)
        except grpc.RpcError as error:
            return failed(f"{address}: no answer", explain(error, partial(why, found.way)).message)
        if answer.status != health_pb2.HealthCheckResponse.SERVING:
            return failed(
                f"{address} runs, but its database does not answer",
                "look into the keystore's log, and at its database",
            )
    return ok(", ".join(identities))


CHECKS = (
    *(Check(f"Identity: {role}", partial(enrolled, role)) for role in ENROL),
    Check("Keystore", reachable),
)
