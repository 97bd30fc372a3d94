"""The key that the phone approves by: its TLS key, a native key of its own, or a passkey."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique
from hashlib import sha256
from typing import TypeAlias

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from cloudcard.authenticator.v1 import authenticator_pb2, holder_pb2
from cloudcard.enrolment.v1 import enrolment_pb2, enrolment_pb2_grpc
from cloudcard_tools.authenticator import passkey
from cloudcard_tools.enrolment.spending import TIMEOUT_SECONDS, Files
from cloudcard_tools.shared.failures import IdentityUnusable
from cloudcard_tools.shared.identity import READABLE, Identity, read
from private_files import writing

ENROLMENT_DOMAIN = b"cloudcard enrolment v1\0"
NATIVE_FILE = "approval.pem"
PASSKEY_FILE = "passkey.json"

Private: TypeAlias = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
Signed: TypeAlias = authenticator_pb2.DecideRequest | holder_pb2.AnswerPortalQuestionRequest


@unique
class Choice(StrEnum):
    """What `enrol --approval-key` takes."""

    TLS = "tls"
    P256 = "p256"
    ED25519 = "ed25519"
    PASSKEY = "passkey"


@dataclass(frozen=True, slots=True)
class Approver:
    """Signs decisions with the key that the identity's folder holds."""

    identity: Identity

    def decide(self, request: Signed, statement: bytes) -> None:
        """Sign a statement, and put the evidence into the request."""
        answer = self.answer(statement)
        if answer is None:
            request.device_signature = sign(self._native(), statement)
        else:
            request.passkey_assertion.CopyFrom(answer)

    def answer(self, statement: bytes) -> authenticator_pb2.PasskeyAssertion | None:
        """The passkey's answer to a statement; None if the folder has none."""
        kept = self.identity.folder / PASSKEY_FILE
        if not kept.exists():
            return None
        try:
            answer, used = read(kept, passkey.load).get(sha256(statement).digest())
            # Counted before it is sent, because a counter must never go back.
            writing.replace(kept, bytes(used))
        except OSError as error:
            raise IdentityUnusable(
                f"{kept} cannot be written ({error.strerror}), so nothing was signed: {READABLE}"
            ) from None
        return authenticator_pb2.PasskeyAssertion(
            credential_id=answer.credential_id,
            authenticator_data=answer.authenticator_data,
            client_data_json=answer.client_data,
            signature=answer.signature,
        )

    def _native(self) -> Private:
        own = self.identity.folder / NATIVE_FILE
        if not own.exists():
            return self.identity.first_key()
        key = read(own, lambda pem: load_pem_private_key(pem, None))
        if not isinstance(key, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
            raise IdentityUnusable(f"{own} is of a kind that cannot approve: {self.identity.again}")
        return key


def sign(private: Private, message: bytes) -> bytes:
    """The signature of a native key."""
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return private.sign(message)
    return private.sign(message, ec.ECDSA(SHA256()))


def register(
    choice: Choice,
    request: enrolment_pb2.EnrolRequest,
    stub: enrolment_pb2_grpc.EnrolmentServiceStub,
) -> Files:
    """Make an approval key, put it into a request for enrolment, and return the files that
    keep it.
    """
    statement = (
        ENROLMENT_DOMAIN + sha256(request.token_secret).digest() + sha256(request.csr).digest()
    )
    match choice:
        case Choice.TLS:
            return {}
        case Choice.P256:
            return _register_native(ec.generate_private_key(ec.SECP256R1()), request, statement)
        case Choice.ED25519:
            return _register_native(ed25519.Ed25519PrivateKey.generate(), request, statement)
        case Choice.PASSKEY:
            return _register_passkey(request, stub, statement)


def _register_native(
    private: Private, request: enrolment_pb2.EnrolRequest, statement: bytes
) -> Files:
    public = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    request.native_key.public_key = public
    request.native_key.signature = sign(private, statement)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return {NATIVE_FILE: pem}


def _register_passkey(
    request: enrolment_pb2.EnrolRequest,
    stub: enrolment_pb2_grpc.EnrolmentServiceStub,
    statement: bytes,
) -> Files:
    terms = stub.GetPasskeyTerms(
        enrolment_pb2.GetPasskeyTermsRequest(token_secret=request.token_secret),
        timeout=TIMEOUT_SECONDS,
    )
    made = passkey.new(terms.rp_id, terms.origin, terms.user_handle)
    created = made.create(sha256(statement).digest())
    request.passkey.attestation_object = created.attestation_object
    request.passkey.client_data_json = created.client_data
    request.passkey.transports.append("internal")
    return {PASSKEY_FILE: bytes(made)}
