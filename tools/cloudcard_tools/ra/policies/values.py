"""Policies as they are printed."""

from __future__ import annotations

from collections.abc import Mapping

from cloudcard.approval.v1 import approval_pb2
from cloudcard.registry.v1 import organisations_pb2 as pb
from cloudcard.registry.v1.organisations_pb2_grpc import OrganisationServiceStub
from cloudcard_tools.ra.registry import when
from cloudcard_tools.shared.calling import listed
from cloudcard_tools.shared.output import Row

CHANNELS = {"push": approval_pb2.CHANNEL_PUSH, "qr": approval_pb2.CHANNEL_QR}
CHANNEL_NAMES = {number: name for name, number in CHANNELS.items()}
POLICY_LABELS = {
    "organisation_name": "Organisation",
    "profile": "Profile",
    "version": "Version",
    "passwordless": "Without passcode",
    "largest_batch": "Largest batch",
    "largest_commitment_batch": "Commitment batch",
    "session_uses": "Uses in a session",
    "session_seconds": "Seconds of a session",
    "channels": "Ways to the holder",
    "passkeys": "Passkeys",
    "synced_passkeys": "Synced passkeys",
    "passkey_models": "Models of passkeys",
    "code_seconds": "Seconds of a code",
    "survey_after": "Survey after",
    "portal_passwords": "Portal passwords",
    "security_answers": "Security answers",
    "portal_changes": "Portal changes",
    "portal_factors": "Portal factors",
    "refuses_puk": "Refuses the PUK",
    "shared_device_seconds": "Seconds at shared devices",
    "own": "Set here",
    "locked": "Locked below",
    "set": "Set",
}
# Options of `policy set`, by the term to which they belong.
TERMS: Mapping[str, tuple[str, ...]] = {
    "passwordless": ("passwordless",),
    "largest_batch": ("largest_batch",),
    "largest_commitment_batch": ("largest_commitment_batch",),
    "session": ("session_uses", "session_minutes", "no_sessions"),
    "channels": ("channels",),
    "passkeys": ("passkeys", "synced_passkeys", "passkey_models"),
    "unlock_code_seconds": ("code_minutes",),
    "survey_after": ("survey_after",),
    "portal_passwords": (
        "portal_passwords",
        "security_answers",
        "portal_changes",
        "portal_factors",
    ),
    "refuses_puk": ("refuses_puk",),
    "shared_device_seconds": ("shared_device_minutes",),
}


def names(stub: OrganisationServiceStub) -> Mapping[str, str]:
    """The names of all organisations, by identifier; policies for all have an asterisk."""
    pages = listed(stub.ListOrganisations, pb.ListOrganisationsRequest())
    found = [each for page in pages for each in page.organisations]
    return {"": "*"} | {each.id: each.name for each in found}


def policy_row(message: pb.PolicyVersion, names: Mapping[str, str]) -> Row:
    """A policy as it is printed."""
    policy = message.policy
    has_session = policy.HasField("session")
    return {
        "organisation": message.organisation_id or "*",
        "organisation_name": names[message.organisation_id],
        "profile": message.profile or "*",
        "version": message.version,
        "passwordless": policy.passwordless,
        "largest_batch": policy.largest_batch,
        "largest_commitment_batch": policy.largest_commitment_batch,
        "session_uses": policy.session.most_uses if has_session else None,
        "session_seconds": policy.session.seconds if has_session else None,
        "channels": " ".join(CHANNEL_NAMES.get(each, "unknown") for each in policy.channels),
        "passkeys": policy.passkeys,
        "synced_passkeys": policy.synced_passkeys,
        "passkey_models": " ".join(policy.passkey_models),
        "code_seconds": policy.unlock_code_seconds,
        "survey_after": policy.survey_after or None,
        "portal_passwords": policy.portal_passwords,
        "security_answers": policy.security_answers or None,
        "portal_changes": policy.portal_changes,
        "portal_factors": " ".join(policy.portal_factors) or None,
        "refuses_puk": policy.refuses_puk,
        "shared_device_seconds": policy.shared_device_seconds or None,
        "own": "all" if len(message.own) == len(TERMS) else " ".join(message.own),
        "locked": " ".join(message.locked) or None,
        "here_alone": message.here_alone,
        "set": when(message.create_time) if message.HasField("create_time") else None,
    }
