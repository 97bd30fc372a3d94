"""The check code: equal on both screens if and only if both speak of the same data."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from hashlib import sha256

import pytest

from cloudcard.approval.v1 import approval_pb2
from cloudcard.workstation.v1 import workstation_pb2 as pb
from reader_bridge.remote.check_code import of_payload, of_request

REQUEST_ID, INPUT = bytes(range(16)), b"\x11" * 32


def asked(
    inputs: Sequence[bytes] = (INPUT,), *, session: bool = False
) -> pb.CreateOperationRequest:
    """What a workstation asks for."""
    terms = approval_pb2.SessionTerms(most_uses=5, seconds=60) if session else None
    return pb.CreateOperationRequest(
        request_id=REQUEST_ID,
        card_serial="1500000000000017",
        key_ref=0x9C,
        algorithm=approval_pb2.ALGORITHM_ECC_P256,
        key_use=approval_pb2.KEY_USE_SIGN,
        inputs=[] if session else inputs,
        passcode_proof=os.urandom(32),
        session=terms,
    )


def payload(said: pb.CreateOperationRequest) -> approval_pb2.Payload:
    """What the keystore makes of it, for the phone."""
    return approval_pb2.Payload(
        version=2,
        request_id=said.request_id,
        card_serial=said.card_serial,
        key_ref=said.key_ref,
        algorithm=said.algorithm,
        key_use=said.key_use,
        input_sha256=[sha256(each).digest() for each in said.inputs],
        nonce=os.urandom(32),
        session=said.session if said.HasField("session") else None,
    )


@pytest.mark.parametrize("said", [asked(), asked([INPUT] * 250), asked(session=True)])
def test_both_screens_show_the_same(said: pb.CreateOperationRequest) -> None:
    code = of_request(said)
    assert of_payload(payload(said)) == code
    assert [len(group) for group in code.split(" ")] == [4, 4]


def other_inputs(changed: approval_pb2.Payload) -> None:
    changed.input_sha256[0] = sha256(b"a contract that nobody saw").digest()


def more_inputs(changed: approval_pb2.Payload) -> None:
    changed.input_sha256.append(sha256(b"one more").digest())


def session(changed: approval_pb2.Payload) -> None:
    changed.ClearField("input_sha256")
    changed.session.most_uses, changed.session.seconds = 500, 3600


def card(changed: approval_pb2.Payload) -> None:
    changed.card_serial = "1500000000000018"


def key(changed: approval_pb2.Payload) -> None:
    changed.key_ref = 0x9A


def purpose(changed: approval_pb2.Payload) -> None:
    changed.key_use = approval_pb2.KEY_USE_DECRYPT


def algorithm(changed: approval_pb2.Payload) -> None:
    changed.algorithm = approval_pb2.ALGORITHM_RSA_2048


def request(changed: approval_pb2.Payload) -> None:
    changed.request_id = bytes(16)


@pytest.mark.parametrize(
    "exchange",
    [other_inputs, more_inputs, session, card, key, purpose, algorithm, request],
    ids=lambda each: each.__name__,
)
def test_a_request_exchanged_on_its_way_to_the_phone_has_another_code(
    exchange: Callable[[approval_pb2.Payload], None],
) -> None:
    said = asked()
    changed = payload(said)
    exchange(changed)
    assert of_payload(changed) != of_request(said)


def test_what_is_not_covered_changes_nothing() -> None:
    """The phone shows names, which the workstation does not know as the keystore writes them."""
    said = asked()
    changed = payload(said)
    changed.user_display_name, changed.application, changed.policy = "Bo", "another", "default/v2/9"
    assert of_payload(changed) == of_request(said)


def test_fields_do_not_run_into_each_other() -> None:
    one, other = asked(), asked()
    one.request_id, one.card_serial = b"1" * 15, "15"
    other.request_id, other.card_serial = b"1" * 16, "5"
    assert of_request(one) != of_request(other)


def test_a_request_of_before_has_no_code() -> None:
    old = payload(asked())
    old.ClearField("request_id")
    assert of_payload(old) == ""


def test_any_payload_has_a_code() -> None:
    """A newer keystore can send numbers that this version does not know."""
    strange = payload(asked())
    strange.key_use = approval_pb2.KeyUse.ValueType(-1)
    strange.key_ref = 2**32 - 1
    assert of_payload(strange)
