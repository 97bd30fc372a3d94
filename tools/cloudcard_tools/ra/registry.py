"""The keystore's registry under the operator's identity, and how its messages are told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from google.protobuf.timestamp_pb2 import Timestamp

from cloudcard.approval.v1 import approval_pb2
from cloudcard.registry.v1 import registry_pb2, registry_pb2_grpc
from cloudcard_tools.shared import enrolling, identity
from cloudcard_tools.shared.failures import failures
from cloudcard_tools.shared.output import Value, iso_time

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
def registry(folder: Path) -> Iterator[registry_pb2_grpc.RegistryServiceStub]:
    """The service under the operator's identity; its failures become Failures."""
    with failures(), identity.channel(identity.load(folder)) as channel:
        yield registry_pb2_grpc.RegistryServiceStub(channel)


def when(stamp: Timestamp) -> str:
    """A time as it is printed."""
    return iso_time(stamp.ToDatetime())


def token_facts(message: registry_pb2.Token) -> dict[str, Value]:
    """A one-time token as it is printed."""
    return {"token": message.text, "token_expires": when(message.expire_time)}
