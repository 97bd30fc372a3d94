"""Identities on this computer: enrolled with a one-time token, kept in a folder, used for mutual
TLS.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import os
import shlex
import ssl
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TypeAlias, TypeVar

import grpc
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
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
from cloudcard_tools.shared.failures import Failure, IdentityUnusable, OutOfReach
from cloudcard_tools.shared.reaching import Way, by_proxy, connected, split, unreachable

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


KEY, CERTIFICATE, CA = "key.pem", "certificate.pem", "ca.pem"
READABLE = "make its files readable for this user, or be the user who enrolled"

Parsed = TypeVar("Parsed")
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

    @property
    def way(self) -> Way:
        """Where its keystore is, and the files that let it in."""
        ca, chain, key = (self.folder / name for name in (CA, CERTIFICATE, KEY))
        return Way(self.address, ca, chain, key)

    def private_key(self) -> ec.EllipticCurvePrivateKey:
        """The identity's key. Raises IdentityUnusable if it cannot be read."""
        path = self.folder / KEY
        key = read(path, lambda pem: load_pem_private_key(pem, None))
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise IdentityUnusable(f"{path} is not an EC key: {self.again}")
        return key

    def certificate(self) -> x509.Certificate:
        """The identity's certificate. Raises IdentityUnusable if it cannot be read."""
        return read(self.folder / CERTIFICATE, x509.load_pem_x509_certificate)

    @property
    def again(self) -> str:
        """What to do about an identity that is of no use any more."""
        return enrol_again(self.folder)


def load(folder: Path) -> Identity:
    """Read an identity. Raises IdentityUnusable, which says what to do, if there is none."""
    try:
        facts = json.loads((folder / "identity.json").read_text("utf-8"))
        request_key = bytes.fromhex(facts["request_key"])
        words = {name: _word(facts[name]) for name in ("role", "id", "display_name", "address")}
        for address in words["address"].split(","):
            split(address)
        return Identity(folder=folder, **words, request_key=request_key)
    except FileNotFoundError:
        raise IdentityUnusable(
            f"no identity in {folder}: ask your registration authority for a token and enrol"
        ) from None
    except OSError as error:
        raise IdentityUnusable(f"{_told(error, folder)}: {READABLE}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise IdentityUnusable(
            f"the identity in {folder} is damaged ({_said(error)}): {enrol_again(folder)}"
        ) from None


def _word(value: object) -> str:
    """The value, which has to be text. Raises TypeError."""
    if not isinstance(value, str):
        raise TypeError("a value is not text")
    return value


def channel(identity: Identity) -> grpc.Channel:
    """A connection to the keystore under this identity. It is opened at the first call.

    Raises IdentityUnusable if a file of the identity is missing or damaged, or if its certificate
    is not valid now.
    """
    ca, chain, key = _checked(identity, datetime.now(UTC))
    credentials = grpc.ssl_channel_credentials(ca, key, chain)
    target, options = target_of(identity.address)
    return grpc.secure_channel(
        target,
        credentials,
        options=(*CHANNEL_OPTIONS, *options, *by_proxy(identity.address.partition(",")[0])),
    )


def _checked(identity: Identity, now: datetime) -> tuple[bytes, bytes, bytes]:
    """The authority's certificate, the identity's own, and its key, for gRPC, which ends the
    process if a key is none.
    """
    key, certificate = identity.private_key(), identity.certificate()
    authority = read(identity.folder / CA, x509.load_pem_x509_certificate)
    if certificate.public_key() != key.public_key():
        raise IdentityUnusable(
            f"{identity.folder / KEY} is not the key of {CERTIFICATE}: {identity.again}"
        )
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    clock = f"this computer's clock says {now:%Y-%m-%d %H:%M} UTC"
    if now < begin:
        raise IdentityUnusable(
            f"the certificate in {identity.folder} begins at {begin:%Y-%m-%d %H:%M} UTC, and "
            f"{clock}: set the clock"
        )
    if now > end:
        raise IdentityUnusable(
            f"the certificate in {identity.folder} ended at {end:%Y-%m-%d %H:%M} UTC, and {clock}: "
            f"if the clock is right, {identity.again}"
        )
    return (
        authority.public_bytes(Encoding.PEM),
        certificate.public_bytes(Encoding.PEM),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )


def enrol_again(folder: Path) -> str:
    """How to replace an identity."""
    remove = shlex.join(["rm", "-r", str(folder)])
    return f"ask your registration authority for a token, remove the identity ({remove}) and enrol"


def read(path: Path, parse: Callable[[bytes], Parsed]) -> Parsed:
    """A file of an identity, by a parser that raises ValueError. Raises IdentityUnusable if the
    file is missing or damaged.
    """
    try:
        return parse(path.read_bytes())
    except FileNotFoundError:
        problem, remedy = f"{path} is missing", enrol_again(path.parent)
    except OSError as error:
        problem, remedy = _told(error, path), READABLE
    except (ValueError, KeyError, TypeError, UnsupportedAlgorithm):
        problem, remedy = f"{path} is damaged", enrol_again(path.parent)
    raise IdentityUnusable(f"{problem}: {remedy}")


def _told(error: OSError, path: Path) -> str:
    return f"{error.filename or path} cannot be read ({error.strerror})"


def _said(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


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
        remove = shlex.join(["rm", "-r", str(folder)])
        raise Failure(f"{folder} already holds an identity: to replace it, remove it ({remove})")
    fingerprint, secret, address = parse_token(token_text)
    private = ec.generate_private_key(ec.SECP256R1())
    csr = (
        x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(private, SHA256())
    )
    request = EnrolRequest(
        token_secret=secret, csr=csr.public_bytes(Encoding.DER), device_name=device_name
    )
    credentials = grpc.ssl_channel_credentials(pinned_certificate(address, fingerprint))
    options = (("grpc.ssl_target_name_override", ENROLMENT_HOST), *by_proxy(address))
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
    if prefix != "cc1" or len(raw) != 48 or not _is_address(address):
        raise Failure("this is not an enrolment token: it looks like cc1.…@host:port")
    return raw[:32], raw[32:], address


def _is_address(text: str) -> bool:
    try:
        host, port = split(text)
    except ValueError:
        return False
    return bool(host) and 0 < port <= 0xFFFF


def pinned_certificate(address: str, fingerprint: bytes) -> bytes:
    """Fetch the enrolment port's certificate (PEM) and check it against the token's fingerprint."""
    host, port = split(address)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # The fingerprint is checked instead.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with connected(host, port) as opened, context.wrap_socket(opened) as session:
            der = session.getpeercert(binary_form=True) or b""
    except ssl.SSLError as error:
        said = (error.reason or "it hangs up").lower().replace("_", " ")
        raise OutOfReach(
            f"what listens at {address} does not speak TLS ({said}): is this the token of a "
            "keystore, and is its address still right?",
            "NOT_A_KEYSTORE",
        ) from None
    except OSError as error:
        raise unreachable(address, error) from None
    if not hmac.compare_digest(sha256(der).digest(), fingerprint):
        raise Failure(
            f"{address} is not the keystore that issued this token: do not go on, ask for help"
        )
    return ssl.DER_cert_to_PEM_cert(der).encode()


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
        KEY: key,
        CERTIFICATE: ssl.DER_cert_to_PEM_cert(certificate).encode(),
        CA: ssl.DER_cert_to_PEM_cert(ca).encode(),
        **more,
        # Written last: without this file the folder holds no identity.
        "identity.json": json.dumps(facts, indent=2).encode() + b"\n",
    }
    for name, content in files.items():
        descriptor = os.open(identity.folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
