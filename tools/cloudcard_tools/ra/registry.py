"""The keystore's registry under the operator's identity, and how its messages are told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from cloudcard.approval.v1 import approval_pb2
from cloudcard.registry.v1 import identities_pb2
from cloudcard_tools.shared import enrolling, identity
from cloudcard_tools.shared.failures import failures
from cloudcard_tools.shared.output import Value, iso_time

Stub = TypeVar("Stub")

ROLE = "operator"
TIMEOUT_SECONDS = 15.0

ALGORITHM = {
    approval_pb2.ALGORITHM_RSA_2048: "RSA-2048",
    approval_pb2.ALGORITHM_RSA_3072: "RSA-3072",
    approval_pb2.ALGORITHM_RSA_4096: "RSA-4096",
    approval_pb2.ALGORITHM_ECC_P256: "P-256",
    approval_pb2.ALGORITHM_ECC_P384: "P-384",
    approval_pb2.ALGORITHM_ED25519: "Ed25519",
    approval_pb2.ALGORITHM_X25519: "X25519",
}

identity_option = enrolling.identity_option(ROLE)


@contextmanager
def registry(folder: Path, stub: Callable[[grpc.Channel], Stub]) -> Iterator[Stub]:
    """A service under the operator's identity; its failures become Failures."""
    with failures(), identity.channel(identity.load(folder)) as channel:
        yield stub(channel)


def when(stamp: Timestamp) -> str:
    """A time as it is printed."""
    return iso_time(stamp.ToDatetime())


def token_facts(message: identities_pb2.Token) -> dict[str, Value]:
    """A one-time token as it is printed."""
    return {"token": message.text, "token_expires": when(message.expire_time)}
