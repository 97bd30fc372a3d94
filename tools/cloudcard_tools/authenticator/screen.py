"""How the phone shows a request, for people and for programs."""

from __future__ import annotations

from collections.abc import Mapping

import click

from card_os.piv.names import KeyRef
from cloudcard.approval.v1 import approval_pb2
from cloudcard_tools.authenticator.phone import Ringing
from cloudcard_tools.shared.output import Row, folded, iso_time, print_facts
from reader_bridge.remote import check_code

REPORTED = "The card is suspended, and your registration authority knows."
SIGN_IN_REPORTED = (
    "Your registration authority knows. The card stays in use: no passcode was given."
)
KEY_USE = {
    approval_pb2.KEY_USE_SIGN: "Sign",
    approval_pb2.KEY_USE_DECRYPT: "Decrypt",
    approval_pb2.KEY_USE_AGREE: "Agree on a secret",
}
KEY_NAME: Mapping[int, str] = {
    KeyRef.AUTHENTICATION: "authentication key (9A)",
    KeyRef.SIGNATURE: "signature key (9C)",
    KeyRef.KEY_MANAGEMENT: "key management key (9D)",
    KeyRef.CARD_AUTHENTICATION: "card authentication key (9E)",
}
LABELS = {
    "key_use": "Operation",
    "key": "Key",
    "card": "Card",
    "holder": "Holder",
    "workstation": "Workstation",
    "site": "Place",
    "application": "Application",
    "created": "Asked at",
    "expires": "Decide until",
    "fingerprint": "Data",
    "check_code": "Check code",
    "operation": "Request",
}


def reported(ringing: Ringing) -> str:
    """What the report that somebody else asked has led to."""
    return SIGN_IN_REPORTED if ringing.is_sign_in else REPORTED


def show(ringing: Ringing) -> None:
    """Print a request for its holder. A sign-in has no key, program or data; documents that are
    listed have their data beside them.
    """
    row = facts(ringing)
    left_out = {"fingerprint"} if ringing.payload.documents else set()
    labels = {name: label for name, label in LABELS.items() if name in row.keys() - left_out}
    print_facts(row, labels, as_json=False)


def show_documents(ringing: Ringing, begin: int, most: int) -> int:
    """Print some of the documents that a request lists, from one on, each with its number and
    data. Returns how many are left.
    """
    listed = documents(ringing.payload)
    width = len(str(len(listed)))
    for number, each in list(enumerate(listed, 1))[begin : begin + most]:
        lines = folded(f"{each['text']}  {each['data']}", width + 2)
        click.echo(f"{number:>{width}}. " + ("\n" + " " * (width + 2)).join(lines))
    return max(len(listed) - begin - most, 0)


def facts(ringing: Ringing) -> Row:
    """Everything that the holder should see before deciding."""
    payload = ringing.payload
    if ringing.is_sign_in:
        return _sign_in_facts(ringing)
    return {
        "operation": ringing.operation_id,
        "key_use": key_use(payload),
        "key": KEY_NAME.get(payload.key_ref, f"key {payload.key_ref:02X}"),
        "card": payload.card_serial,
        "holder": payload.user_display_name,
        "workstation": payload.workstation.display_name,
        "site": payload.workstation.site,
        "application": payload.application or "not known",
        "created": iso_time(payload.create_time.ToDatetime()),
        "expires": iso_time(payload.expire_time.ToDatetime()),
        "fingerprint": fingerprint(payload),
        "documents": documents(payload),
        "check_code": check_code.of_payload(payload),
        "policy": payload.policy,
    }


def _sign_in_facts(ringing: Ringing) -> Row:
    payload = ringing.payload
    hours = -(-payload.sign_in.seconds // 3600)
    return {
        "operation": ringing.operation_id,
        "key_use": f"SIGN IN: put the card into the reader, for {hours} hours at most",
        "card": payload.card_serial,
        "holder": payload.user_display_name,
        "workstation": payload.workstation.display_name,
        "site": payload.workstation.site,
        "created": iso_time(payload.create_time.ToDatetime()),
        "expires": iso_time(payload.expire_time.ToDatetime()),
        "policy": payload.policy,
    }


def key_use(payload: approval_pb2.Payload) -> str:
    """What is approved: one use, a batch, or a session."""
    use = KEY_USE.get(payload.key_use, "unknown")
    if payload.HasField("session"):
        minutes = -(-payload.session.seconds // 60)
        return (
            f"SESSION: {use}, up to {payload.session.most_uses} times within {minutes} minutes, "
            "without asking you again"
        )
    count = len(payload.input_sha256)
    return use if count == 1 else f"{use}, {count} times"


def fingerprint(payload: approval_pb2.Payload) -> str:
    """The first digits of each input's SHA-256, equally many of each. A session has none."""
    return ", ".join(map(_data, payload.input_sha256))


def documents(payload: approval_pb2.Payload) -> list[dict[str, str]]:
    """What a request lists: each document, with the data that is signed of it."""
    listed = zip(payload.documents, payload.input_sha256, strict=False)
    return [{"text": text, "data": _data(digest)} for text, digest in listed]


def _data(digest: bytes) -> str:
    return digest.hex()[:16] + "…"
