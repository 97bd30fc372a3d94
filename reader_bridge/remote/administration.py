"""An administrator's requests as calls to the keystore.

No call is repeated: the keystore can have performed it although its answer was lost, and then a
challenge is spent or a key is replaced. The application can repeat its command.
"""

from __future__ import annotations

from collections.abc import Mapping

import grpc

from card_os.administration import (
    AdministrationRequest,
    Administrator,
    AnswerChallenge,
    AttestKey,
    CardKey,
    Changed,
    GenerateKey,
    ImportKey,
    MoveKey,
    RequestChallenge,
    ResetCard,
    SetManagementKey,
    SetTries,
    WriteObject,
)
from card_os.keys import KeyResult, Refusal
from card_os.uses import PinPolicy, TouchPolicy
from cloudcard.administration.v1 import administration_pb2 as pb
from cloudcard.administration.v1 import administration_pb2_grpc
from cloudcard.approval.v1 import approval_pb2
from cloudcard.workstation.v1 import workstation_pb2
from reader_bridge.remote.refusals import refusal
from reader_bridge.remote.stub import Stub

# An RSA key of 4096 bits takes seconds to make, and the keystore makes only a few at a time.
MAKING_SECONDS = 60.0


class RemoteAdministration:
    """The administration of one card at the keystore."""

    def __init__(self, channel: grpc.Channel, card_serial: str) -> None:
        self._service = administration_pb2_grpc.AdministrationServiceStub(channel)
        self._stub = Stub(card_serial)

    def perform(self, request: AdministrationRequest) -> KeyResult:
        """Perform a request at the keystore; errors become refusals."""
        try:
            return self._perform(request)
        except grpc.RpcError as error:
            return refusal(error)
        except ValueError:  # a number that does not fit into the message
            return Refusal.MALFORMED

    def _perform(self, request: AdministrationRequest) -> KeyResult:
        call, service = self._stub.call_once, self._service
        match request:
            case RequestChallenge():
                return call(
                    service.RequestChallenge,
                    pb.RequestChallengeRequest(
                        algorithm=request.algorithm, enciphered=request.enciphered
                    ),
                ).challenge
            case AnswerChallenge():
                answered = call(
                    service.AnswerChallenge,
                    pb.AnswerChallengeRequest(
                        algorithm=request.algorithm,
                        response=request.response,
                        challenge=request.challenge,
                    ),
                )
                return Administrator(answered.proof, answered.cryptogram)
            case AttestKey():
                return call(
                    service.AttestKey, pb.AttestKeyRequest(key_ref=request.key_ref)
                ).certificate
            case GenerateKey() | ImportKey() | MoveKey():
                return _changed(self._change_key(request))
            case _:
                return _changed(self._change(request))

    def _change_key(self, request: GenerateKey | ImportKey | MoveKey) -> pb.Changes:
        call, service = self._stub.call_once, self._service
        match request:
            case GenerateKey():
                return call(
                    service.GenerateKey,
                    pb.GenerateKeyRequest(
                        proof=request.proof,
                        key_ref=request.key_ref,
                        algorithm=approval_pb2.Algorithm.ValueType(request.algorithm),
                        pin_policy=request.pin_policy,
                        touch_policy=request.touch_policy,
                    ),
                    MAKING_SECONDS,
                ).changes
            case ImportKey():
                return call(
                    service.ImportKey,
                    pb.ImportKeyRequest(
                        proof=request.proof,
                        key_ref=request.key_ref,
                        algorithm=approval_pb2.Algorithm.ValueType(request.algorithm),
                        private_key=request.private,
                        pin_policy=request.pin_policy,
                        touch_policy=request.touch_policy,
                    ),
                ).changes
            case MoveKey():
                return call(
                    service.MoveKey,
                    pb.MoveKeyRequest(
                        proof=request.proof,
                        source=request.source,
                        destination=request.destination,
                    ),
                ).changes

    def _change(self, request: WriteObject | SetManagementKey | SetTries | ResetCard) -> pb.Changes:
        call, service = self._stub.call_once, self._service
        match request:
            case WriteObject():
                return call(
                    service.WriteObject,
                    pb.WriteObjectRequest(
                        proof=request.proof, tag=request.tag, contents=request.contents
                    ),
                ).changes
            case SetManagementKey():
                return call(
                    service.SetManagementKey,
                    pb.SetManagementKeyRequest(
                        proof=request.proof, algorithm=request.algorithm, key=request.key
                    ),
                ).changes
            case SetTries():
                return call(
                    service.SetTries,
                    pb.SetTriesRequest(
                        proof=request.proof,
                        passcode_proof=request.passcode_proof,
                        pin_tries=request.pin_tries,
                        puk_tries=request.puk_tries,
                    ),
                ).changes
            case ResetCard():
                return call(service.ResetCard, pb.ResetCardRequest()).changes


def card_key(key: workstation_pb2.CardKey) -> CardKey:
    """What the card knows of a key. Raises ValueError for an unknown policy."""
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
    return Changed(
        objects,
        keys,
        changes.management_algorithm or None,
        changes.factory_management_key,
        frozenset(changes.withheld_objects),
    )
