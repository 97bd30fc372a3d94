"""What the operators' commands share: the caller, and how messages are printed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import TypeAlias

import click
from google.protobuf.timestamp_pb2 import Timestamp

from cloud_keystore.model.finding import Sort
from cloudcard.approval.v1 import approval_pb2
from cloudcard.registry.v1 import cards_pb2, finding_pb2, identities_pb2
from cloudcard.registry.v1.finding_pb2_grpc import FindingServiceStub
from cloudcard_tools.shared import finding, output
from cloudcard_tools.shared.caller import Caller, Command, caller_options
from cloudcard_tools.shared.finding import Answer
from cloudcard_tools.shared.output import SOON, Expiry, Value, iso_time

ROLE = "operator"

ALGORITHM = {
    approval_pb2.ALGORITHM_RSA_1024: "RSA-1024",
    approval_pb2.ALGORITHM_RSA_2048: "RSA-2048",
    approval_pb2.ALGORITHM_RSA_3072: "RSA-3072",
    approval_pb2.ALGORITHM_RSA_4096: "RSA-4096",
    approval_pb2.ALGORITHM_ECC_P256: "P-256",
    approval_pb2.ALGORITHM_ECC_P384: "P-384",
    approval_pb2.ALGORITHM_ED25519: "Ed25519",
    approval_pb2.ALGORITHM_X25519: "X25519",
}

CARD_STATE = {
    cards_pb2.CARD_STATE_ISSUING: "issuing",
    cards_pb2.CARD_STATE_FAILED: "failed",
    cards_pb2.CARD_STATE_CANCELLED: "cancelled",
    cards_pb2.CARD_STATE_PENDING: "pending",
    cards_pb2.CARD_STATE_ACTIVE: "active",
    cards_pb2.CARD_STATE_SUSPENDED: "suspended",
    cards_pb2.CARD_STATE_REVOKED: "revoked",
}

COMPROMISE = "key-compromise"
CODES = {
    COMPROMISE: cards_pb2.REVOCATION_REASON_KEY_COMPROMISE,
    "affiliation-changed": cards_pb2.REVOCATION_REASON_AFFILIATION_CHANGED,
    "superseded": cards_pb2.REVOCATION_REASON_SUPERSEDED,
    "cessation-of-operation": cards_pb2.REVOCATION_REASON_CESSATION_OF_OPERATION,
    "privilege-withdrawn": cards_pb2.REVOCATION_REASON_PRIVILEGE_WITHDRAWN,
}

SOON_FOR_INVITED = timedelta(days=2)
SOON_FOR_ENROLLED = timedelta(days=60)  # they should have renewed themselves long before

Message: TypeAlias = (
    identities_pb2.Workstation
    | identities_pb2.Device
    | identities_pb2.Operator
    | identities_pb2.Auditor
)

operator_options = caller_options(ROLE)
organisation_option = click.option(
    "--organisation",
    default="",
    help="Its name or ID, or the beginning of one; by default the one for which you act.",
)
below_option = click.option(
    "--organisation", default="", help="Only of this organisation, and of those below it."
)


def sort_option(columns: Collection[str]) -> Callable[[Command], Command]:
    """`--sort`, of a list that is sorted by its keystore."""

    def check(_context: click.Context, _parameter: click.Parameter, sort: str) -> str:
        if sort and sort.removeprefix("-") not in columns:
            named = ", ".join(columns)
            raise click.BadParameter(f"{sort!r} is no column: give one of {named}")
        return sort

    option: Callable[[Command], Command] = click.option(
        "--sort",
        default="",
        metavar="COLUMN",
        callback=check,
        help=f"Sort by {', '.join(columns)}; after a minus, the last come first.",
    )
    return option


def list_options(columns: Collection[str]) -> Callable[[Command], Command]:
    """What `operator_options` add, and `--sort` by one of the columns of a list."""

    def options(command: Command) -> Command:
        @operator_options
        @sort_option(columns)
        @wraps(command)
        def with_order(*, sort: str, caller: Caller, **others: object) -> None:
            command(caller=replace(caller, sort=sort), **others)

        return with_order

    return options


def find(caller: Caller, sort: Sort, text: str, *, in_use: bool = False) -> str:
    """What calls take for what a text names; an empty text names nothing, and stays so. If it names
    several, the person at the terminal is asked, unless a program reads the output. Raises Failure.
    """
    if not text:
        return ""

    def ask(sort: Sort, text: str) -> Answer:
        request = finding_pb2.FindRequest(sort=finding_pb2.Sort.ValueType(sort), text=text)
        with caller.service(FindingServiceStub) as stub:
            found = stub.Find(request)
        return Answer(found.matches, found.more)

    return finding.find(ask, sort, text, in_use=in_use, by_hand=caller.by_hand)


def when(stamp: Timestamp) -> str:
    """A time as it is printed."""
    return iso_time(stamp.ToDatetime())


def expiry(stamp: Timestamp, soon: timedelta = SOON) -> Expiry:
    """When something expires, as it is printed."""
    return output.expiry(stamp.ToDatetime(UTC), datetime.now(UTC), soon)


def identity_expiry(message: Message) -> Expiry | None:
    """When the certificate of an identity expires, or its invitation; None for a removed one."""
    if not message.HasField("expire_time"):
        return None
    soon = SOON_FOR_INVITED if message.state == "invited" else SOON_FOR_ENROLLED
    return expiry(message.expire_time, soon)


def token_facts(message: identities_pb2.Token) -> dict[str, Value]:
    """A one-time token as it is printed."""
    return {"token": message.text, "token_expires": when(message.expire_time)}


def card_filters(command: Command) -> Command:
    """Options that say which cards are meant: the command gets them as `chosen`."""

    @click.option(
        "--state",
        "states",
        type=click.Choice(list(CARD_STATE.values())),
        multiple=True,
        help="Only cards of this state. Repeatable.",
    )
    @click.option("--profile", default="", help="Only cards of this profile, built-in or not.")
    @click.option("--serial-prefix", default="", help="Only cards whose serial numbers begin so.")
    @below_option
    @wraps(command)
    def with_filter(
        *,
        states: Sequence[str],
        profile: str,
        serial_prefix: str,
        organisation: str,
        caller: Caller,
        **others: object,
    ) -> None:
        chosen = cards_pb2.CardFilter(
            states=[number for number, state in CARD_STATE.items() if state in states],
            profile=profile,
            serial_prefix=serial_prefix,
            organisation_id=find(caller, Sort.ORGANISATION, organisation),
        )
        command(chosen=chosen, caller=caller, **others)

    return with_filter
