"""What entries prove: devices' signatures prove decisions, and decisions prove uses."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from google.protobuf.message import DecodeError

from cloud_keystore.approval import statement
from cloud_keystore.model.approval_keys import ApprovalKey, NativeKey, Passkey, RelyingParty
from cloud_keystore.model.errors import KeystoreError
from cloud_keystore.model.journal import Entry, Kind
from cloud_keystore.model.operations import Approval, Assertion, Decision
from cloudcard.approval.v1 import approval_pb2

DECISIONS = {
    Kind.OPERATION_APPROVED: Decision.APPROVE,
    Kind.OPERATION_DENIED: Decision.DENY,
    Kind.OPERATION_REPORTED: Decision.NOT_ME,
}
# The credential's id does not matter here, because the key is in the entry.
SOME_ID = b"passkey"
ENDS = {Kind.OPERATION_EXPIRED, Kind.OPERATION_CANCELLED, Kind.OPERATION_FAILED}


def check_decision(entry: Entry) -> str | None:
    """What is wrong with a decision in itself; None if its device signed it."""
    said = {each.name.lower(): each for each in Decision}.get(str(entry.details.get("decision")))
    decision = DECISIONS[entry.kind]
    if said is None:
        return "the entry does not say what was decided"
    if entry.kind is not Kind.OPERATION_DENIED and said is not decision:
        return "the device signed another decision"
    number = str(entry.details.get("number", ""))
    signature = entry.evidence.get("device_signature", b"")
    approval = Approval(entry.device_id or "", said, number, signature, _assertion(entry))
    payload = entry.evidence.get("payload", b"")
    try:
        statement.verify(payload, approval, _key(entry))
        shown = approval_pb2.Payload.FromString(payload)
    except (KeystoreError, DecodeError, ValueError, UnicodeEncodeError):
        return "the device's signature is not over this decision"
    if shown.operation_id != entry.operation_id or shown.key_id != (entry.key_id or ""):
        return "the device signed this for another operation"
    return None


class History:
    """What has been decided and not used yet, collected while a whole journal is read in order."""

    def __init__(self) -> None:
        self._keys: dict[str, bytes] = {}  # of devices
        self._approved: dict[str, bytes] = {}  # payloads of operations
        self._sessions: dict[str, int] = {}  # uses left

    def check(self, entry: Entry) -> str | None:
        """What is wrong with an entry, given all entries before it; None if it is right."""
        operation = entry.operation_id or ""
        match entry.kind:
            case Kind.IDENTITY_ENROLLED if entry.device_id:
                self._keys[entry.device_id] = enrolled_key(entry)
            case kind if kind in DECISIONS:
                if (wrong := check_decision(entry)) is not None:
                    return wrong
                known = self._keys.get(entry.device_id or "")
                if known is None or known != entry.evidence.get("approval_key"):
                    return "the key that signed it is not the one its device was enrolled with"
                if kind is Kind.OPERATION_APPROVED:
                    self._approved[operation] = entry.evidence["payload"]
            case Kind.OPERATION_USED | Kind.SESSION_OPENED:
                payload = self._approved.pop(operation, None)
                if payload is None:
                    return "a key was used without an approval, or twice for one"
                if entry.evidence.get("payload") != payload:
                    return "the key was used for another request than the approved one"
                if entry.kind is Kind.SESSION_OPENED:
                    self._sessions[operation] = _number(entry, "most_uses")
            case Kind.SESSION_USED:
                return self._use(str(entry.details.get("session")), _number(entry, "inputs"))
            case Kind.SESSION_ENDED:
                self._sessions.pop(operation, None)
            case kind if kind in ENDS:
                self._approved.pop(operation, None)
            case _:
                pass
        return None

    def _use(self, session: str, inputs: int) -> str | None:
        left = self._sessions.get(session)
        if left is None:
            return "a session that is not open was used"
        if inputs < 1 or inputs > left:
            return "a session was used more often than approved"
        self._sessions[session] = left - inputs
        return None


def enrolled_key(entry: Entry) -> bytes:
    """The key by which an enrolled device approves: its own approval key, else the key of its
    certificate.
    """
    own = entry.evidence.get("approval_key")
    if own is not None:
        return own
    try:
        certificate = x509.load_der_x509_certificate(entry.evidence.get("certificate", b""))
    except ValueError:
        return b""
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _key(entry: Entry) -> ApprovalKey:
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


def _number(entry: Entry, name: str) -> int:
    value = entry.details.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
