"""What a device has signed, in the messages that carry it."""

from __future__ import annotations

from typing import TypeAlias

from cloud_keystore.model.operations import Assertion
from cloudcard.authenticator.v1.authenticator_pb2 import DecideRequest, PasskeyAssertion
from cloudcard.authenticator.v1.holder_pb2 import AnswerPortalQuestionRequest

Signed: TypeAlias = DecideRequest | AnswerPortalQuestionRequest


def assertion(request: Signed) -> Assertion | None:
    """What a passkey has signed besides; None of a native key."""
    if request.WhichOneof("evidence") != "passkey_assertion":
        return None
    return answer(request.passkey_assertion)


def answer(said: PasskeyAssertion) -> Assertion:
    """What a passkey has signed, and with which key."""
    return Assertion(said.authenticator_data, said.client_data_json, said.credential_id)


def signature(request: Signed) -> bytes:
    """The signature; empty if there is none."""
    if request.WhichOneof("evidence") == "passkey_assertion":
        return request.passkey_assertion.signature
    return request.device_signature
