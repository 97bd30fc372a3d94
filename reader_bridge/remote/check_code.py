"""The check code of a request: eight characters that workstation and phone show, each computed from
what it knows itself, so that the holder sees that both speak of the same data (docs/protocol.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import pbkdf2_hmac, sha256

from cloudcard.approval.v1 import approval_pb2
from cloudcard.workstation.v1 import workstation_pb2

DOMAIN = b"cloudcard check code v1\0"
# Whoever wants other data with the same code has two minutes for 2**40 tries: each takes long.
ITERATIONS = 10_000
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's, without I, L, O and U
GROUPS, GROUP, BITS = 2, 4, 5
NUMBER_BYTES = 8


def of_request(asked: workstation_pb2.CreateOperationRequest) -> str:
    """Return the check code of what a workstation asks for."""
    return _code(asked, [sha256(each).digest() for each in asked.inputs])


def of_payload(payload: approval_pb2.Payload) -> str:
    """Return the check code of what a device signs; empty for a payload of before there were check
    codes.
    """
    return _code(payload, payload.input_sha256) if payload.request_id else ""


def _code(
    said: workstation_pb2.CreateOperationRequest | approval_pb2.Payload, inputs: Sequence[bytes]
) -> str:
    serial = said.card_serial.encode()
    numbers = (
        *(len(said.request_id), len(serial), said.key_ref, said.algorithm, said.key_use),
        *(said.session.most_uses, said.session.seconds, len(inputs)),
    )
    fixed = b"".join(number.to_bytes(NUMBER_BYTES, signed=True) for number in numbers)
    subject = b"".join((fixed, said.request_id, serial, *inputs))
    size = GROUPS * GROUP * BITS // 8
    value = int.from_bytes(pbkdf2_hmac("sha256", subject, DOMAIN, ITERATIONS, size))
    places = range((GROUPS * GROUP - 1) * BITS, -1, -BITS)
    text = "".join(ALPHABET[value >> place & (1 << BITS) - 1] for place in places)
    return " ".join(text[begin : begin + GROUP] for begin in range(0, len(text), GROUP))
