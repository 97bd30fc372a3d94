"""Identities on this computer: enrolled with a one-time token, kept in a folder, used for mutual
TLS.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import os
import ssl
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import TypeAlias

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from cloudcard.enrolment.v1 import enrolment_pb2
from cloudcard.enrolment.v1.enrolment_pb2 import EnrolRequest
from cloudcard.enrolment.v1.enrolment_pb2_grpc import EnrolmentServiceStub
from cloudcard_tools.shared.calling import explained
from cloudcard_tools.shared.failures import Failure

ENROLMENT_HOST = "enrolment.cloudcard.invalid"
TIMEOUT_SECONDS = 10.0
ROLES = {
    enrolment_pb2.ROLE_WORKSTATION: "workstation",
    enrolment_pb2.ROLE_DEVICE: "authenticator",
    enrolment_pb2.ROLE_OPERATOR: "operator",
    enrolment_pb2.ROLE_AUDITOR: "auditor",
}
CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", 1024 * 1024),
    # A keystore that has vanished is noticed during a long wait.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 0),
    # A connection that is taken and then not answered is given up, which gRPC itself does in 20 s.
    ("grpc.min_reconnect_backoff_ms", 5_000),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # Only the callers know which calls may be repeated.
    ("grpc.enable_retries", 0),
)
ANY_OF_THEM = json.dumps({"loadBalancingConfig": [{"pick_first": {"shuffleAddressList": True}}]})


Files: TypeAlias = Mapping[str, bytes]  # of an identity's folder, by name
Complete: TypeAlias = Callable[[EnrolRequest, EnrolmentServiceStub], Files]


@dataclass(frozen=True, slots=True)
class Identity:
    """An enrolled identity. Its private key stays in the folder, readable by its owner alone."""

    folder: Path
    role: str
    id: str
    display_name: str
    address: str
    request_key: bytes

    def private_key(self) -> ec.EllipticCurvePrivateKey:
        """The identity's key. Raises Failure if it cannot be read."""
        try:
            key = load_pem_private_key((self.folder / "key.pem").read_bytes(), None)
        except (OSError, ValueError) as error:
            raise Failure(
                f"{self.folder / 'key.pem'} cannot be read ({error}): enrol again"
            ) from None
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise Failure(f"{self.folder / 'key.pem'} is not an EC key: enrol again")
        return key


def load(folder: Path) -> Identity:
    """Read an identity. Raises Failure, which says what to do, if there is none."""
    try:
        facts = json.loads((folder / "identity.json").read_text())
        return Identity(
            folder=folder,
            role=facts["role"],
            id=facts["id"],
            display_name=facts["display_name"],
            address=facts["address"],
            request_key=bytes.fromhex(facts["request_key"]),
        )
    except FileNotFoundError:
        raise Failure(
            f"no identity in {folder}: ask your registration authority for a token and enrol"
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Failure(f"the identity in {folder} cannot be read ({error}): enrol again") from None


def channel(identity: Identity) -> grpc.Channel:
    """A connection to the keystore under this identity. It is opened at the first call."""
    try:
        credentials = grpc.ssl_channel_credentials(
            root_certificates=(identity.folder / "ca.pem").read_bytes(),
            private_key=(identity.folder / "key.pem").read_bytes(),
            certificate_chain=(identity.folder / "certificate.pem").read_bytes(),
        )
    except OSError as error:
        raise Failure(f"the identity in {identity.folder} is incomplete: {error}") from None
    target, options = target_of(identity.address)
    return grpc.secure_channel(target, credentials, options=(*CHANNEL_OPTIONS, *options))


def target_of(address: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The gRPC target for an address of the keystore, with the channel options that it needs.

    Several numeric addresses, separated by commas, are replicas: gRPC connects to any of them, and
    goes on to the next if one does not answer (gRPC's name syntax, "ipv4:" and "ipv6:").
    """
    first, comma, _ = address.partition(",")
    if not comma:
        return address, ()
    if first.startswith("["):
        scheme, host = "ipv6", first[1:].partition("]")[0]
    else:
        scheme, host = "ipv4", first.partition(":")[0]
    return f"{scheme}:{address}", (
        ("grpc.ssl_target_name_override", host),
        ("grpc.service_config", ANY_OF_THEM),
    )


def nothing_more(_request: EnrolRequest, _stub: EnrolmentServiceStub) -> Files:
    """Add nothing to a request for enrolment, as most identities do."""
    return {}


def enrol(
    token_text: str,
    folder: Path,
    expected_role: str,
    device_name: str = "",
    complete: Complete = nothing_more,
) -> Identity:
    """Spend a one-time token for an identity of `expected_role` in `folder`.

    The private key is made here and never leaves the folder. `complete` can add to the request, and
    returns further files for the folder. Raises Failure if the folder already holds an identity,
    which is kept, or if the keystore refuses.
    """
    if (folder / "identity.json").exists():
        raise Failure(f"{folder} already holds an identity: remove the folder first to replace it")
    fingerprint, secret, address = parse_token(token_text)
    private = ec.generate_private_key(ec.SECP256R1())
    csr = (
        x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(private, SHA256())
    )
    request = EnrolRequest(
        token_secret=secret, csr=csr.public_bytes(Encoding.DER), device_name=device_name
    )
    credentials = grpc.ssl_channel_credentials(pinned_certificate(address, fingerprint))
    options = (("grpc.ssl_target_name_override", ENROLMENT_HOST),)
    with explained(), grpc.secure_channel(address, credentials, options=options) as connection:
        stub = EnrolmentServiceStub(connection)
        more = complete(request, stub)
        response = stub.Enrol(request, timeout=TIMEOUT_SECONDS)
    role = ROLES.get(response.role, "unknown")
    if role != expected_role:
        raise Failure(f"this token is for the role {role}, not {expected_role}; it is now used up")
    identity = Identity(
        folder, role, response.id, response.display_name, response.address, response.request_key
    )
    _store(identity, private, response.certificate, response.ca_certificate, more)
    return identity


def parse_token(text: str) -> tuple[bytes, bytes, str]:
    """Fingerprint of the enrolment certificate, secret, and address."""
    prefix, _, rest = text.strip().partition(".")
    body, _, address = rest.partition("@")
    try:
        raw = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    except (binascii.Error, ValueError):
        raw = b""
    if prefix != "cc1" or len(raw) != 48 or ":" not in address:
        raise Failure("this is not an enrolment token: it looks like cc1.…@host:port")
    return raw[:32], raw[32:], address


def pinned_certificate(address: str, fingerprint: bytes) -> bytes:
    """Fetch the enrolment port's certificate (PEM) and check it against the token's fingerprint."""
    host, _, port = address.rpartition(":")
    try:
        pem = ssl.get_server_certificate((host.strip("[]"), int(port)), timeout=TIMEOUT_SECONDS)
    except (OSError, ValueError) as error:
        raise Failure(f"cannot reach the keystore at {address}: {error}") from None
    if not hmac.compare_digest(sha256(ssl.PEM_cert_to_DER_cert(pem)).digest(), fingerprint):
        raise Failure(
            f"{address} is not the keystore that issued this token: do not go on, ask for help"
        )
    return pem.encode()


def _store(
    identity: Identity,
    private: ec.EllipticCurvePrivateKey,
    certificate: bytes,
    ca: bytes,
    more: Files,
) -> None:
    facts = asdict(identity) | {"request_key": identity.request_key.hex()}
    del facts["folder"]
    identity.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    files = {
        "key.pem": key,
        "certificate.pem": ssl.DER_cert_to_PEM_cert(certificate).encode(),
        "ca.pem": ssl.DER_cert_to_PEM_cert(ca).encode(),
        **more,
        # Written last: without this file the folder holds no identity.
        "identity.json": json.dumps(facts, indent=2).encode() + b"\n",
    }
    for name, content in files.items():
        descriptor = os.open(identity.folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
