"""Holders log in with their phones: the provider is a workstation of their keystore."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from card_os import tlv
from card_os.piv.names import CertificateTag, KeyRef, ObjectTag
from card_os.uses import REQUEST_ID_BYTES
from cloudcard.approval.v1 import approval_pb2
from cloudcard.workstation.v1 import workstation_pb2 as pb
from cloudcard.workstation.v1.workstation_pb2_grpc import WorkstationServiceStub
from cloudcard_tools.eps.signatures import ALGORITHMS
from cloudcard_tools.shared.calling import explain
from reader_bridge.remote.operation import USABLE

SECONDS = 5.0  # for each call: meanwhile the simulators answer nobody else
LONGEST = timedelta(minutes=10)  # that a card stays here if its holder does not come back
PROGRAM = "Simulated CIS2"


class NotRung(Exception):
    """Nobody logs in with a phone; the text says why."""


@dataclass(slots=True)
class Ring:
    """A phone that rings here, and the card that its holder has put in."""

    sign_in_id: str
    number: str
    """Two digits, which the holder types on the phone."""
    begun: datetime
    serial: str = ""
    certificate: bytes = field(default=b"", repr=False)
    """DER of the certificate of the card's key 9A."""
    algorithm: approval_pb2.Algorithm.ValueType = approval_pb2.ALGORITHM_UNSPECIFIED
    operation_id: str = ""
    """The use of that key that waits for the phone."""
    signed: bytes = field(default=b"", repr=False)
    """What it is used on."""


@dataclass(slots=True)
class Phones:
    """Rings the phones of holders."""

    stub: WorkstationServiceStub
    _rings: dict[str, Ring] = field(default_factory=dict, repr=False)

    def ring(self, user: str, now: datetime) -> Ring:
        """Ring somebody by e-mail address or account name. Raises NotRung."""
        self._leave_old(now)
        asked = pb.BeginSignInRequest(request_id=os.urandom(REQUEST_ID_BYTES), user=user)
        with _told():
            begun = self.stub.BeginSignIn(asked, timeout=SECONDS).sign_in
        ring = Ring(begun.id, begun.number, now)
        self._rings[ring.sign_in_id] = ring
        return ring

    def has_answered(self, ring: Ring) -> bool:
        """Whether the holder has approved on the phone; the ring has the card's certificate then.
        Raises NotRung if that is not to come.
        """
        if ring.serial:
            return True
        with _told():
            asked = pb.WatchSignInRequest(sign_in_id=ring.sign_in_id)
            stream = self.stub.WatchSignIn(asked, timeout=SECONDS)
            found = next(stream).sign_in  # how it is now
            stream.cancel()
            if found.state == pb.SIGN_IN_STATE_PENDING:
                return False
            if found.state != pb.SIGN_IN_STATE_OPEN:
                raise NotRung("the holder has not approved on the phone: begin again")
            card = self.stub.GetCard(
                pb.GetCardRequest(card_serial=found.card_serial), timeout=SECONDS
            ).card
        ring.certificate, ring.algorithm = _certificate(card), _algorithm(card)
        ring.serial = found.card_serial
        return True

    def ask(self, ring: Ring, passcode: str, signed: bytes) -> None:
        """Ask the holder to have the card's key 9A sign something. Raises NotRung."""
        checked = pb.VerifyPasscodeRequest(
            card_serial=ring.serial, key_ref=KeyRef.PIN, passcode=passcode.encode()
        )
        block = _block(ring.certificate, signed)
        with _told():
            result = self.stub.VerifyPasscode(checked, timeout=SECONDS).result
            if result.WhichOneof("outcome") != "passcode_proof":
                raise NotRung(
                    f"the passcode is wrong; tries left: {result.tries_left}"
                    if result.tries_left
                    else "the passcode is locked: unlock it on the phone"
                )
            asked = pb.CreateOperationRequest(
                request_id=os.urandom(REQUEST_ID_BYTES),
                card_serial=ring.serial,
                key_ref=KeyRef.AUTHENTICATION,
                algorithm=ring.algorithm,
                key_use=approval_pb2.KEY_USE_SIGN,
                inputs=[block],
                passcode_proof=result.passcode_proof,
                application=PROGRAM,
            )
            operation = self.stub.CreateOperation(asked, timeout=SECONDS).operation
        ring.operation_id, ring.number, ring.signed = operation.id, operation.number, signed

    def signature(self, ring: Ring) -> bytes | None:
        """The signature; None as long as the phone waits for its holder. Raises NotRung if none is
        to come.
        """
        block = _block(ring.certificate, ring.signed)
        with _told():
            watched = pb.WatchOperationRequest(operation_id=ring.operation_id)
            stream = self.stub.WatchOperation(watched, timeout=SECONDS)
            found = next(stream).operation  # how it is now
            stream.cancel()
            if found.state == approval_pb2.OPERATION_STATE_PENDING:
                return None
            if found.state not in USABLE:
                ring.operation_id = ""
                raise NotRung("the holder has not approved that the card signs: begin again")
            asked = pb.PerformOperationRequest(operation_id=ring.operation_id, inputs=[block])
            return bytes(self.stub.PerformOperation(asked, timeout=SECONDS).results[0])

    def leave(self, ring: Ring) -> None:
        """Give the card back. What the keystore does not hear of ends there by itself."""
        self._rings.pop(ring.sign_in_id, None)
        try:
            self.stub.EndSignIn(pb.EndSignInRequest(sign_in_id=ring.sign_in_id), timeout=SECONDS)
        except grpc.RpcError:
            return

    def leave_all(self) -> None:
        """Give all cards back, as nobody comes back any more."""
        for each in list(self._rings.values()):
            self.leave(each)

    def _leave_old(self, now: datetime) -> None:
        for each in [each for each in self._rings.values() if each.begun + LONGEST <= now]:
            self.leave(each)


@contextmanager
def _told() -> Iterator[None]:
    """Say what a call was refused for. Raises NotRung."""
    try:
        yield
    except grpc.RpcError as error:
        raise NotRung(str(explain(error))) from None


def _algorithm(card: pb.Card) -> approval_pb2.Algorithm.ValueType:
    """The algorithm of key 9A. Raises NotRung for a card without one."""
    for each in card.keys:
        if each.key_ref == KeyRef.AUTHENTICATION:
            return each.algorithm
    raise NotRung("the card has no key 9A: choose another one on the phone")


def _certificate(card: pb.Card) -> bytes:
    """DER of the certificate of key 9A. Raises NotRung for a card without one."""
    values = {each.tag: each.value for each in card.objects}
    try:
        parts = dict(tlv.decode(values.get(ObjectTag.AUTHENTICATION_CERTIFICATE, b"")))
        return parts[CertificateTag.CERTIFICATE]
    except (ValueError, KeyError):
        raise NotRung("the card has no certificate of its key 9A: ask your RA") from None


def _block(certificate: bytes, signed: bytes) -> bytes:
    """What the card's key is given, so that it signs by SHA-256 and PKCS #1 v1.5, or ECDSA."""
    key = x509.load_der_x509_certificate(certificate).public_key()
    if isinstance(key, RSAPublicKey):
        return ALGORITHMS["RS256"].block(signed, key.key_size)
    return sha256(signed).digest()
