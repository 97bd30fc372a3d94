"""What the operators' commands share: the caller, and how messages are printed."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp

from cloudcard.approval.v1 import approval_pb2
from cloudcard.registry.v1 import identities_pb2
from cloudcard_tools.shared.caller import caller_options
from cloudcard_tools.shared.output import Value, iso_time

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

operator_options = caller_options(ROLE)


def when(stamp: Timestamp) -> str:
    """A time as it is printed."""
    return iso_time(stamp.ToDatetime())


def token_facts(message: identities_pb2.Token) -> dict[str, Value]:
    """A one-time token as it is printed."""
    return {"token": message.text, "token_expires": when(message.expire_time)}
