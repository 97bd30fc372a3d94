"""Checks of the identities on this computer, and whether their keystores can be reached."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

import click
import grpc
from cryptography import x509
from grpc_health.v1 import health_pb2, health_pb2_grpc

from cloudcard_tools.doctor.checks import Check, Finding, failed, ok, warning
from cloudcard_tools.shared import home, identity

CONNECT_SECONDS = 3.0
RENEW_BEFORE = timedelta(days=14)
ENROL = {
    "workstation": "cloudcard reader enrol TOKEN (needed to serve cards of a keystore)",
    "authenticator": "cloudcard authenticator enrol TOKEN (needed where this is the phone)",
    "operator": "cloudcard ra enrol TOKEN (needed where cards are issued)",
}


def enrolled(role: str) -> Finding:
    """Whether the identity of a role is there, readable and valid now."""
    folder = home.of_role(role)
    if not folder.exists():
        return warning("not enrolled on this computer", ENROL[role])
    try:
        found = identity.load(folder)
        certificate = x509.load_pem_x509_certificate((folder / "certificate.pem").read_bytes())
    except click.ClickException as error:
        return failed(error.message, f"remove {folder} and enrol again")
    except (OSError, ValueError) as error:
        return failed(
            f"its certificate cannot be read: {error}", f"remove {folder} and enrol again"
        )
    now = datetime.now(UTC)
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < begin:
        return failed(f"its certificate begins at {begin}", "set the clock of this computer")
    if now > end:
        return failed(f"its certificate ended at {end}", f"remove {folder} and enrol again")
    if end - now < RENEW_BEFORE:
        return warning(f"{found.display_name}; ends at {end}", "ask for a new token in time")
    return ok(f"{found.display_name}, until {end:%Y-%m-%d}")


def reachable() -> Finding:
    """Whether each keystore that an identity here names is serving."""
    identities = {}
    for role in ENROL:
        try:
            found = identity.load(home.of_role(role))
        except click.ClickException:
            continue  # the check of that identity reports it
        identities[found.address] = found
    if not identities:
        return warning("no identity here names a keystore", "enrol first")
    for address, found in identities.items():
        try:
            with identity.channel(found) as channel:
                asked = health_pb2.HealthCheckRequest()
                answer = health_pb2_grpc.HealthStub(channel).Check(asked, timeout=CONNECT_SECONDS)
        except click.ClickException as error:
            return failed(error.message, f"remove {found.folder} and enrol again")
        except grpc.RpcError as error:
            why = error.details() if isinstance(error, grpc.Call) else error
            return failed(
                f"{address}: {why}", "is the keystore running (cloudcard serve), the network up?"
            )
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
