"""`AdministrationService`: what readers call for administrators of cards."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from card_os.uses import PinPolicy, TouchPolicy
from cloud_keystore.cards.administration import Administration, Administrator
from cloud_keystore.cards.renewal import Changes
from cloud_keystore.custody.credentials.management_keys import ManagementKeys
from cloud_keystore.model.cards import KeyPolicies
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.people import Identity
from cloud_keystore.rpc import card_image
from cloud_keystore.rpc.door import Door
from cloud_keystore.rpc.refusals import Context
from cloudcard.administration.v1 import administration_pb2 as pb
from cloudcard.administration.v1 import administration_pb2_grpc

KEYS_AT_ONCE = 1  # made at a time: large keys take seconds, and other calls need threads too


class Proven(Protocol):
    """A request with the proof that the caller has answered the challenge."""

    @property
    def card_serial(self) -> str: ...

    @property
    def proof(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class AdministrationServicer(administration_pb2_grpc.AdministrationServiceServicer):
    """Translates between messages and use cases."""

    door: Door
    management_keys: ManagementKeys
    administration: Administration
    making: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(KEYS_AT_ONCE))

    async def RequestChallenge(
        self, request: pb.RequestChallengeRequest, context: Context
    ) -> pb.RequestChallengeResponse:
        challenge = await self.door.call(
            context,
            lambda workstation: self.management_keys.request_challenge(
                request.card_serial,
                request.algorithm,
                workstation,
                enciphered=request.enciphered,
            ),
        )
        return pb.RequestChallengeResponse(challenge=challenge)

    async def AnswerChallenge(
        self, request: pb.AnswerChallengeRequest, context: Context
    ) -> pb.AnswerChallengeResponse:
        granted = await self.door.call(
            context,
            lambda workstation: self.management_keys.answer_challenge(
                request.card_serial,
                request.algorithm,
                workstation,
                request.response,
                request.challenge,
            ),
        )
        return pb.AnswerChallengeResponse(proof=granted.proof, cryptogram=granted.cryptogram)

    async def WriteObject(
        self, request: pb.WriteObjectRequest, context: Context
    ) -> pb.WriteObjectResponse:
        return pb.WriteObjectResponse(
            changes=await self._change(
                context,
                request,
                lambda who: self.administration.write_object(who, request.tag, request.contents),
            )
        )

    async def GenerateKey(
        self, request: pb.GenerateKeyRequest, context: Context
    ) -> pb.GenerateKeyResponse:
        async with self.making:
            changes = await self._change(
                context,
                request,
                lambda who: self.administration.generate_key(
                    who, request.key_ref, request.algorithm, _policies(request)
                ),
            )
        return pb.GenerateKeyResponse(changes=changes)

    async def ImportKey(
        self, request: pb.ImportKeyRequest, context: Context
    ) -> pb.ImportKeyResponse:
        return pb.ImportKeyResponse(
            changes=await self._change(
                context,
                request,
                lambda who: self.administration.import_key(
                    who,
                    request.key_ref,
                    request.algorithm,
                    request.private_key,
                    _policies(request),
                ),
            )
        )

    async def MoveKey(self, request: pb.MoveKeyRequest, context: Context) -> pb.MoveKeyResponse:
        destination = request.destination if request.HasField("destination") else None
        return pb.MoveKeyResponse(
            changes=await self._change(
                context,
                request,
                lambda who: self.administration.move_key(who, request.source, destination),
            )
        )

    async def SetManagementKey(
        self, request: pb.SetManagementKeyRequest, context: Context
    ) -> pb.SetManagementKeyResponse:
        return pb.SetManagementKeyResponse(
            changes=await self._change(
                context,
                request,
                lambda who: self.administration.set_management_key(
                    who, request.algorithm, request.key
                ),
            )
        )

    async def SetTries(self, request: pb.SetTriesRequest, context: Context) -> pb.SetTriesResponse:
        return pb.SetTriesResponse(
            changes=await self._change(
                context,
                request,
                lambda who: self.administration.set_tries(
                    who, request.passcode_proof, request.pin_tries, request.puk_tries
                ),
            )
        )

    async def ResetCard(
        self, request: pb.ResetCardRequest, context: Context
    ) -> pb.ResetCardResponse:
        changes = await self.door.call(
            context,
            lambda workstation: self.administration.reset_card(request.card_serial, workstation),
        )
        return pb.ResetCardResponse(changes=card_image.changes(changes))

    async def AttestKey(
        self, request: pb.AttestKeyRequest, context: Context
    ) -> pb.AttestKeyResponse:
        certificate = await self.door.call(
            context,
            lambda workstation: self.administration.attest_key(
                request.card_serial, request.key_ref, workstation
            ),
        )
        return pb.AttestKeyResponse(certificate=certificate)

    async def _change(
        self, context: Context, request: Proven, change: Callable[[Administrator], Changes]
    ) -> pb.Changes:
        def use_case(workstation: Identity) -> Changes:
            return change(Administrator(request.card_serial, request.proof, workstation))

        return card_image.changes(await self.door.call(context, use_case))


def _policies(request: pb.GenerateKeyRequest | pb.ImportKeyRequest) -> KeyPolicies:
    try:
        return KeyPolicies(PinPolicy(request.pin_policy), TouchPolicy(request.touch_policy))
    except ValueError:
        raise InvalidInput("pin_policy or touch_policy is none that this keystore knows") from None
