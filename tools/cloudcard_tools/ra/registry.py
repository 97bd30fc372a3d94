"""What the operators' commands share: the caller, and how messages are printed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import click
from google.protobuf.timestamp_pb2 import Timestamp

from cloud_keystore.model.finding import Sort
from cloudcard.approval.v1 import approval_pb2
from cloudcard.registry.v1 import finding_pb2, identities_pb2
from cloudcard.registry.v1.finding_pb2_grpc import FindingServiceStub
from cloudcard_tools.shared import finding, output
from cloudcard_tools.shared.caller import Caller, caller_options
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
