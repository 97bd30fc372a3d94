"""Whether a device's decision is accepted: the device, its key, and what the policy asks of it."""

from __future__ import annotations

from datetime import datetime
from hmac import compare_digest

from sqlalchemy import Connection

from cloud_keystore.approval import passkeys, statement
from cloud_keystore.model.approval_keys import ApprovalKey, Passkey
from cloud_keystore.model.errors import ApprovalRejected, IdentityRejected, InvalidInput
from cloud_keystore.model.journal import Detail
from cloud_keystore.model.operations import Approval, Assertion
from cloud_keystore.model.people import Identity
from cloud_keystore.model.policies import Policy
from cloud_keystore.storage import approval_keys, people


def check_number_form(number: str) -> None:
    """Raise InvalidInput unless a number is two digits, or empty."""
    if not (number == "" or (len(number) == 2 and number.isascii() and number.isdigit())):
        raise InvalidInput("the number has two digits")


def check_active(connection: Connection, device: Identity, now: datetime) -> None:
    """Raise IdentityRejected if the device was removed after its call was admitted."""
    found = people.find_identity(connection, device.id)
    if found is None or not found.is_active(now):
        raise IdentityRejected("this device was removed: enrol again")


def key_of(connection: Connection, device: Identity) -> ApprovalKey:
    """The key by which a device approves; raises ApprovalRejected."""
    key = approval_keys.find(connection, device)
    if key is None:
        raise ApprovalRejected("this device has no key: enrol it again")
    return key


def check_credential(key: ApprovalKey, assertion: Assertion | None) -> None:
    """Raise ApprovalRejected if a passkey's assertion is another passkey's."""
    if (
        isinstance(key, Passkey)
        and assertion is not None
        and not compare_digest(key.credential_id, assertion.credential_id)
    ):
        raise ApprovalRejected("this is not the passkey that this device was enrolled with")


def check_answer(
    connection: Connection,
    device: Identity,
    key: ApprovalKey,
    signed: bytes,
    signature: bytes,
    assertion: Assertion | None,
) -> None:
    """Raise ApprovalRejected unless the key by which a device approves has signed some bytes;
    counts a passkey's use.
    """
    if not signature:
        raise ApprovalRejected("this phone has not signed its yes: load the page again")
    check_credential(key, assertion)
    statement.verify_signed(signed, key, signature, assertion)
    if assertion is not None:
        count_use(connection, device, assertion)


def check_policy(policy: Policy, key: ApprovalKey) -> None:
    """Raise ApprovalRejected unless the policy accepts approvals by such a key. Refusals are
    accepted by any key.
    """
    model = key.attested_model if isinstance(key, Passkey) else ""
    if policy.passkey_models and model not in policy.passkey_models:
        raise ApprovalRejected(
            "this card is used only by passkeys of certain models, which their makers attest: "
            "approve on another device"
        )
    if not isinstance(key, Passkey):
        return
    if not policy.passkeys:
        raise ApprovalRejected("this card is not used by passkeys: approve on another device")
    if key.backup_eligible and not policy.synced_passkeys:
        raise ApprovalRejected(
            "this card is not used by passkeys that several devices keep: approve on another device"
        )


def count_use(connection: Connection, device: Identity, assertion: Assertion) -> None:
    """Count a use of a passkey; raises ApprovalRejected if its counter went back."""
    used = passkeys.usage(assertion)
    if not approval_keys.count_use(
        connection, device.id, used.sign_count, backed_up=used.backed_up
    ):
        raise ApprovalRejected(
            "the passkey's counter went back: there may be a copy of it, so tell your "
            "registration authority"
        )


def same_decision(approval: Approval, made: Approval | None) -> bool:
    """Whether a device makes the decision again that it has made. Its signature can be a new one:
    those of ECDSA and of passkeys differ each time.
    """
    return made is not None and (made.device_id, made.decision, made.number) == (
        approval.device_id,
        approval.decision,
        approval.number,
    )


def told(approval: Approval, key: ApprovalKey) -> dict[str, Detail]:
    """What an entry of the journal tells of a decision, to check it without the keystore."""
    details: dict[str, Detail] = {
        "decision": approval.decision.name.lower(),
        "number": approval.number,
        "approval_key": "native",
    }
    if isinstance(key, Passkey):
        details |= {
            "approval_key": "passkey",
            "rp_id": key.relying_party.id,
            "origin": key.relying_party.origin,
        }
    return details
