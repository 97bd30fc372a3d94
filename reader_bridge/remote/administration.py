"""What an administrator of the card asks for, as calls to the keystore.

None is repeated: it may have been made although its answer was lost, and then a challenge is spent,
or a key is another. The application repeats its command.
"""

from __future__ import annotations

from collections.abc import Mapping

import grpc

from card_os.keys import KeyResult, Refusal
from card_os.management import (
    Administrator,
    AnswerChallenge,
    AttestKey,
    CardKey,
    Changed,
    GenerateKey,
    ImportKey,
    ManagementRequest,
    MoveKey,
    RequestChallenge,
    ResetCard,
    SetManagementKey,
    SetTries,
    WriteObject,
)
from card_os.uses import PinPolicy, TouchPolicy
from cloudcard.administration.v1 import administration_pb2 as pb
from cloudcard.administration.v1 import administration_pb2_grpc
from cloudcard.approval.v1 import approval_pb2
from cloudcard.workstation.v1 import workstation_pb2
from reader_bridge.remote.operation import CALL_SECONDS
from reader_bridge.remote.refusals import refusal

# RSA keys of 4096 bits take seconds to make, and the keystore makes few at once.
MAKING_SECONDS = 60.0


class RemoteManagement:
    """Changes of one card."""

    def __init__(self, channel: grpc.Channel, card_serial: str) -> None:
        self._stub = administration_pb2_grpc.AdministrationServiceStub(channel)
        self._serial = card_serial

    def perform(self, request: ManagementRequest) -> KeyResult:
        """Bring a request to the keystore."""
        try:
            return self._call(request)
        except grpc.RpcError as error:
            return refusal(error)
        except ValueError:  # a number that no message can hold
            return Refusal.MALFORMED

    def _call(self, request: ManagementRequest) -> KeyResult:
        """Sent once. Hence `wait_for_ready`: while the connection is being made again, the call
        waits unsent.
        """
        match request:
            case RequestChallenge():
                return self._stub.RequestChallenge(
                    pb.RequestChallengeRequest(
                        card_serial=self._serial,
                        algorithm=request.algorithm,
                        enciphered=request.enciphered,
                    ),
                    timeout=CALL_SECONDS,
                    wait_for_ready=True,
                ).challenge
            case AnswerChallenge():
                answered = self._stub.AnswerChallenge(
                    pb.AnswerChallengeRequest(
                        card_serial=self._serial,
                        algorithm=request.algorithm,
                        response=request.response,
                        challenge=request.challenge,
                    ),
                    timeout=CALL_SECONDS,
                    wait_for_ready=True,
                )
                return Administrator(answered.proof, answered.cryptogram)
            case AttestKey():
                return self._stub.AttestKey(
                    pb.AttestKeyRequest(card_serial=self._serial, key_ref=request.key_ref),
                    timeout=CALL_SECONDS,
                    wait_for_ready=True,
                ).certificate
            case GenerateKey() | ImportKey() | MoveKey():
                return _changed(self._change_key(request))
            case _:
                return _changed(self._change(request))

    def _change_key(self, request: GenerateKey | ImportKey | MoveKey) -> pb.Changes:
        match request:
            case GenerateKey():
                return self._stub.GenerateKey(
                    pb.GenerateKeyRequest(
                        card_serial=self._serial,
                        proof=request.proof,
                        key_ref=request.key_ref,
                        algorithm=approval_pb2.Algorithm.ValueType(request.algorithm),
                        pin_policy=request.pin_policy,
                        touch_policy=request.touch_policy,
                    ),
                    timeout=MAKING_SECONDS,
                    wait_for_ready=True,
                ).changes
            case ImportKey():
                return self._stub.ImportKey(
                    pb.ImportKeyRequest(
                        card_serial=self._serial,
                        proof=request.proof,
                        key_ref=request.key_ref,
                        algorithm=approval_pb2.Algorithm.ValueType(request.algorithm),
                        private_key=request.private,
                        pin_policy=request.pin_policy,
                        touch_policy=request.touch_policy,
                    ),
                    timeout=CALL_SECONDS,
                    wait_for_ready=True,
                ).changes
            case MoveKey():
                return self._stub.MoveKey(
                    pb.MoveKeyRequest(
                        card_serial=self._serial,
                        proof=request.proof,
                        source=request.source,
                        destination=request.destination,
                    ),
                    timeout=CALL_SECONDS,
                    wait_for_ready=True,
                ).changes

    def _change(self, request: WriteObject | SetManagementKey | SetTries | ResetCard) -> pb.Changes:
        match request:
            case WriteObject():
                return self._stub.WriteObject(
                    pb.WriteObjectRequest(
                        card_serial=self._serial,
                        proof=request.proof,
                        tag=request.tag,
                        contents=request.contents,
                    ),
                    timeout=CALL_SECONDS,
                    wait_for_ready=True,
                ).changes
            case SetManagementKey():
                return self._stub.SetManagementKey(
                    pb.SetManagementKeyRequest(
                        card_serial=self._serial,
                        proof=request.proof,
                        algorithm=request.algorithm,
                        key=request.key,
                    ),
                    timeout=CALL_SECONDS,
                    wait_for_ready=True,
                ).changes
            case SetTries():
                return self._stub.SetTries(
                    pb.SetTriesRequest(
                        card_serial=self._serial,
                        proof=request.proof,
                        passcode_proof=request.passcode_proof,
                        pin_tries=request.pin_tries,
                        puk_tries=request.puk_tries,
                    ),
                    timeout=CALL_SECONDS,
                    wait_for_ready=True,
                ).changes
            case ResetCard():
                return self._stub.ResetCard(
                    pb.ResetCardRequest(card_serial=self._serial),
                    timeout=CALL_SECONDS,
                    wait_for_ready=True,
                ).changes


def card_key(key: workstation_pb2.CardKey) -> CardKey:
    """A key as the card knows it; raises ValueError for policies that no key has."""
    return CardKey(
        algorithm=int(key.algorithm),
        public=key.public_key,
        pin_policy=PinPolicy(key.pin_policy),
        touch_policy=TouchPolicy(key.touch_policy),
        imported=key.imported,
    )


def _changed(changes: pb.Changes) -> Changed:
    objects: Mapping[int, bytes | None] = {
        **{each.tag: each.value for each in changes.objects},
        **dict.fromkeys(changes.removed_objects),
    }
    keys: Mapping[int, CardKey | None] = {
        **{each.key_ref: card_key(each) for each in changes.keys},
        **dict.fromkeys(changes.removed_keys),
    }
    return Changed(objects, keys, changes.management_algorithm or None)
