"""Checks of the keystores that this computer's identities name: the way there, and the clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from cloud_keystore.model.clock import TOLD_AS
from cloudcard_tools.doctor.checks import Check, Finding, Once, failed, ok, warning
from cloudcard_tools.doctor.identities import ROLES
from cloudcard_tools.shared import home, identity
from cloudcard_tools.shared.calling import explain
from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.shared.identity import Identity
from cloudcard_tools.shared.reaching import INTERRUPTED, why

STEP_SECONDS = 1.2  # for a connection, a handshake
CALL_SECONDS = 2.0
MOST_DIFFERENCE = timedelta(seconds=30)
IF_LATE = (
    "is the keystore's computer on, does this computer's DNS answer, and does a firewall let "
    "connections through?"
)
NOT_TRIED = warning("not tried, as the keystore does not answer", "see the check of the keystore")


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of calling a keystore: whether it serves, and its time; or why it does not."""

    failure: Failure | None = None
    serving: bool = False
    ahead: timedelta | None = None  # its clock, of this computer's
    doubt: timedelta = timedelta()


def checks() -> tuple[Check, ...]:
    """Two checks for each keystore that an identity here names."""
    named = _named()
    if not named:
        nothing = warning("no identity here names a keystore", "enrol first")
        return (Check("keystore.reachable", "Keystore", lambda: nothing),)
    found: list[Check] = []
    for address, own in named.items():
        seen = Once(partial(_see, own))
        which = f" {address}" if len(named) > 1 else ""
        found += (
            Check(
                "keystore.reachable", f"Keystore{which}", partial(reachable, address, seen), IF_LATE
            ),
            Check("keystore.clock", f"Keystore's clock{which}", partial(clock, seen), IF_LATE),
        )
    return tuple(found)


def reachable(address: str, see: Once[Seen]) -> Finding:
    """Whether the keystore lets the identity in, and serves."""
    seen = see()
    if seen.failure is not None:
        cause, remedy = _parted(seen.failure.message)
        return failed(cause, remedy)
    if not seen.serving:
        return failed(
            f"{address} runs, but its database does not answer",
            "look into the keystore's log, and at its database",
        )
    return ok(address)


def clock(see: Once[Seen]) -> Finding:
    """By how much the keystore's clock differs from this computer's."""
    seen = see()
    if seen.failure is not None:
        return NOT_TRIED
    if seen.ahead is None:
        fix = "update the keystore to this program's version"
        return warning("not tried, as the keystore is older and does not tell its time", fix)
    seconds = round(seen.ahead.total_seconds(), 1)
    told = f"the keystore's clock is {abs(seconds):g} s {'ahead of' if seconds > 0 else 'behind'}"
    if abs(seen.ahead) - seen.doubt <= MOST_DIFFERENCE:
        return ok(f"{told} this computer's")
    fix = "set the clock that is wrong, here (timedatectl set-ntp true) or at the keystore"
    return warning(f"{told} this computer's: certificates and requests end at the wrong time", fix)


def _named() -> Mapping[str, Identity]:
    """The keystores' addresses, each with an identity for it."""
    named: dict[str, Identity] = {}
    for role in ROLES:
        try:
            own = identity.load(home.of_role(role))
        except Failure:
            continue  # the check of that identity reports it
        named.setdefault(own.address, own)
    return named


def _see(own: Identity) -> Seen:
    """Go the way to a keystore step by step, then call it."""
    try:
        # Made first, because it tells what is wrong with the identity's files.
        channel = identity.channel(own)
    except Failure as unusable:
        return Seen(unusable)
    with channel:
        failure = why(own.way, STEP_SECONDS)
        if failure.reason != INTERRUPTED:
            return Seen(failure)
        begun = datetime.now(UTC)
        try:
            answer, call = health_pb2_grpc.HealthStub(channel).Check.with_call(
                health_pb2.HealthCheckRequest(), timeout=CALL_SECONDS
            )
        except grpc.RpcError as error:
            return Seen(explain(error))
        doubt = (datetime.now(UTC) - begun) / 2
        told = dict(call.trailing_metadata() or ()).get(TOLD_AS)
    ahead = None if told is None else datetime.fromisoformat(str(told)) - (begun + doubt)
    return Seen(None, answer.status == health_pb2.HealthCheckResponse.SERVING, ahead, doubt)


def _parted(message: str) -> tuple[str, str]:
    """What is wrong, and what to do about it. Messages have both, as sentences or with a colon."""
    for mark in (". ", ": "):
        cause, found, remedy = message.partition(mark)
        if found:
            return cause, remedy
    return message, "try again"
