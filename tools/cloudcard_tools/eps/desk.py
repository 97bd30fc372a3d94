"""Where somebody signs with a card: one approval at the keystore for a whole batch."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from card_os import tlv
from card_os.keys import Refusal
from card_os.piv.names import CertificateTag, KeyRef, ObjectTag
from cloudcard.approval.v1 import approval_pb2
from cloudcard.workstation.v1 import workstation_pb2 as pb
from cloudcard.workstation.v1.workstation_pb2_grpc import WorkstationServiceStub
from cloudcard_tools.eps.batches import Batch
from cloudcard_tools.shared.calling import explain
from cloudcard_tools.shared.failures import Failure, Refused
from reader_bridge.prompter import Prompter
from reader_bridge.remote.keys import Channel, new_traceparent
from reader_bridge.remote.operation import RemoteOperation
from reader_bridge.remote.watches import Watches
from reader_bridge.tasks import Cancellation

SIGNS_NOTHING = (
    "cards of v1 only log in and decrypt: sign with the holder's card of v2, whose key 9C is for "
    "signatures that bind (content commitment)"
)
ALGORITHMS = {
    2048: approval_pb2.ALGORITHM_RSA_2048,
    3072: approval_pb2.ALGORITHM_RSA_3072,
    4096: approval_pb2.ALGORITHM_RSA_4096,
}
ENDED = {
    Refusal.DENIED: "the holder did not approve",
    Refusal.EXPIRED: "nobody has approved in time",
    Refusal.CANCELLED: "it was cancelled",
}


@dataclass(frozen=True, slots=True)
class Desk:
    """A workstation with a card of the keystore."""

    channel: grpc.Channel
    workstation: str
    """Its name."""
    card_serial: str
    prompter: Prompter
    channels: Sequence[Channel]

    def certificate(self) -> x509.Certificate:
        """The certificate of the card's signature key. Raises Failure for a card that does not sign
        prescriptions, and grpc.RpcError.
        """
        asked = pb.GetCardRequest(card_serial=self.card_serial)
        card = self._stub.GetCard(asked).card
        if all(each.key_ref != KeyRef.SIGNATURE for each in card.keys):
            raise Failure(f"card {self.card_serial} has no key 9C: {SIGNS_NOTHING}")
        values = {each.tag: each.value for each in card.objects}
        try:
            parts = dict(tlv.decode(values.get(ObjectTag.SIGNATURE_CERTIFICATE, b"")))
            certificate = x509.load_der_x509_certificate(parts.get(CertificateTag.CERTIFICATE, b""))
            usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        except (ValueError, x509.ExtensionNotFound):
            raise Failure(f"card {self.card_serial} has no certificate for its key 9C") from None
        if not usage.content_commitment or usage.digital_signature:
            raise Failure(
                f"key 9C of card {self.card_serial} is for something else: {SIGNS_NOTHING}"
            )
        _bits(certificate)
        return certificate

    def proof(self, passcode: str) -> bytes:
        """The proof of the right passcode, which is good for one approval. Raises Failure, and
        grpc.RpcError.
        """
        asked = pb.VerifyPasscodeRequest(
            card_serial=self.card_serial, key_ref=KeyRef.PIN, passcode=passcode.encode()
        )
        result = self._stub.VerifyPasscode(asked).result
        if result.WhichOneof("outcome") == "passcode_proof":
            return result.passcode_proof
        if result.tries_left:
            raise Failure(f"the passcode is wrong; tries left: {result.tries_left}")
        raise Failure("the passcode is locked: unlock it on the phone, or ask your RA")

    def sign(
        self, batch: Batch, certificate: x509.Certificate, proof: bytes, program: str
    ) -> Sequence[bytes]:
        """Sign a batch under one approval, and check nothing. Raises Failure."""
        bits = _bits(certificate)
        inputs = [each.algorithm.block(each.signed_info, bits) for each in batch.prepared]
        asked = pb.CreateOperationRequest(
            request_id=os.urandom(16),
            card_serial=self.card_serial,
            key_ref=KeyRef.SIGNATURE,
            algorithm=ALGORITHMS[bits],
            key_use=approval_pb2.KEY_USE_SIGN,
            inputs=inputs,
            passcode_proof=proof,
            application=batch.summary(program),
            channels=self.channels,
            documents=batch.documents,
        )
        operation = RemoteOperation(
            self._stub,
            Watches(self.channel),
            self.prompter,
            Cancellation(),
            time.monotonic,
            new_traceparent(os.urandom(24)),
            self.workstation,
        )
        results = operation.run_batch(asked)
        if not isinstance(results, Refusal):
            return results
        if operation.refused is not None:
            raise explain(operation.refused)
        said = ENDED.get(results, "the keystore is out of reach, or the key has failed")
        raise Refused(f"{said}: nothing was signed", results.name)

    @property
    def _stub(self) -> WorkstationServiceStub:
        return WorkstationServiceStub(self.channel)


def _bits(certificate: x509.Certificate) -> int:
    """The length of the key. Raises Failure for one that no prescription is signed with."""
    key = certificate.public_key()
    if not isinstance(key, RSAPublicKey) or key.key_size not in ALGORITHMS:
        raise Failure("prescriptions are signed with an RSA key: sign with a card of v2")
    return key.key_size
