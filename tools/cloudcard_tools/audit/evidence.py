"""What one entry proves in itself: what a device has signed, and the number that was shown."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from google.protobuf.message import DecodeError

from cloud_keystore.approval import numbers, statement
from cloud_keystore.model.approval_keys import ApprovalKey, NativeKey, Passkey, RelyingParty
from cloud_keystore.model.errors import KeystoreError
from cloud_keystore.model.journal import Entry, Kind
from cloud_keystore.model.operations import Approval, Assertion, Decision
from cloudcard.approval.v1 import approval_pb2
from cloudcard_tools.audit.enrolments import SOME_ID
from cloudcard_tools.audit.grounds import Ground, Wrong

DECISIONS = {
    Kind.OPERATION_APPROVED: Decision.APPROVE,
    Kind.OPERATION_DENIED: Decision.DENY,
    Kind.OPERATION_REPORTED: Decision.NOT_ME,
}
SIGN_INS = {
    Kind.SIGN_IN_APPROVED: Decision.APPROVE,
    Kind.SIGN_IN_DENIED: Decision.DENY,
    Kind.SIGN_IN_REPORTED: Decision.NOT_ME,
}
NOT_SIGNED = "the device's signature is not over this decision"
NO_NUMBER = (
    "that the right number was typed for some approvals, because requests of before do not "
    "commit to it"
)


def payload(entry: Entry) -> approval_pb2.Payload:
    """The payload in an entry's evidence; raises Wrong unless it is about what the entry is."""
    try:
        shown = approval_pb2.Payload.FromString(entry.evidence.get("payload", b""))
    except DecodeError:
        raise Wrong("the request of this entry cannot be read") from None
    pairs: Iterable[tuple[object, object]] = (
        (shown.operation_id, entry.operation_id),
        (shown.key_id, entry.key_id or ""),
    )
    if any(said != true for said, true in pairs):
        raise Wrong("the device signed this for another operation")
    if shown.user_id != entry.user_id:
        raise Wrong("the request is somebody else's than the entry's")
    if shown.workstation.workstation_id != entry.workstation_id:
        raise Wrong("the request is of another workstation than the entry's")
    return shown


def check_terms(entry: Entry, shown: approval_pb2.Payload) -> None:
    """Raise Wrong unless the terms that an entry tells people are those of the payload, which the
    device signs and which alone count.
    """
    true: dict[str, object] = {"policy": shown.policy}
    if shown.HasField("session"):
        true |= {"most_uses": shown.session.most_uses, "seconds": shown.session.seconds}
    else:
        true["inputs"] = len(shown.input_sha256)
    for name, value in entry.details.items():
        if name in {"policy", "most_uses", "seconds", "inputs"} and true.get(name) != value:
            raise Wrong(f"the entry tells of other terms than the device was shown: {name}")


def check_decision(entry: Entry, key: ApprovalKey | None) -> Decision:
    """Raise Wrong unless a decision was signed by its device's key; None: by the key that the
    entry tells of.
    """
    said = {each.name.lower(): each for each in Decision}.get(str(entry.details.get("decision")))
    if said is None:
        raise Wrong("the entry does not say what was decided")
    decided = {**DECISIONS, **SIGN_INS}[entry.kind]
    if decided is not Decision.DENY and said is not decided:
        raise Wrong("the device signed another decision")
    own = entry.evidence.get("approval_key")
    if key is not None and key.public_key != own:
        raise Wrong("the key that signed it is not the one its device was enrolled with")
    number = str(entry.details.get("number", ""))
    signature = entry.evidence.get("device_signature", b"")
    approval = Approval(entry.device_id or "", said, number, signature, _assertion(entry))
    try:
        statement.verify(entry.evidence.get("payload", b""), approval, key or _told_key(entry))
    except (KeystoreError, ValueError):
        raise Wrong(NOT_SIGNED) from None
    return said


def check_number(entry: Entry, shown: approval_pb2.Payload, ground: Ground) -> None:
    """Raise Wrong unless the number that the holder typed is the one to which the keystore was
    committed when it asked.
    """
    if not shown.number_commitment:
        ground.cannot_show(NO_NUMBER)
        return
    salt = entry.evidence.get("number_salt", b"")
    try:
        said = numbers.commitment(salt, str(entry.details.get("number", "")))
    except UnicodeEncodeError:
        said = b""
    if said != shown.number_commitment:
        raise Wrong("the number is not the one that the workstation showed")


def instants(shown: approval_pb2.Payload) -> tuple[datetime, datetime]:
    """When a request was made, and until when an approval is accepted."""
    times = (shown.create_time, shown.expire_time)
    try:
        made, end = (each.ToDatetime(tzinfo=UTC) for each in times)
    except (ValueError, OverflowError):
        raise Wrong("the times of the request cannot be read") from None
    return made, end


def _told_key(entry: Entry) -> ApprovalKey:
    public_key = entry.evidence.get("approval_key", b"")
    if entry.details.get("approval_key") == "passkey":
        relying_party = RelyingParty(
            str(entry.details.get("rp_id")), str(entry.details.get("origin"))
        )
        return Passkey(public_key, SOME_ID, relying_party)
    return NativeKey(public_key)


def _assertion(entry: Entry) -> Assertion | None:
    data = entry.evidence.get("authenticator_data")
    if data is None:
        return None
    return Assertion(data, entry.evidence.get("client_data", b""), SOME_ID)
