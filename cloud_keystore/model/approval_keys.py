"""Approval keys, with which holders' devices sign decisions: native keys and passkeys."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, unique
from typing import TypeAlias


@unique
class ApprovalKeyKind(IntEnum):
    """The kinds of approval keys; the numbers are those of `cloudcard.registry.v1.DeviceKind`."""

    NATIVE = 1
    PASSKEY = 2


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """The party that passkeys are made for, and its page (WebAuthn level 3, 5.4.2 and 5.8.1)."""

    id: str  # a domain
    origin: str  # such as "https://keystore.example.org"


@dataclass(frozen=True, slots=True)
class NativeKey:
    """A P-256 or Ed25519 key that the device's own software uses."""

    public_key: bytes  # SubjectPublicKeyInfo, DER


@dataclass(frozen=True, slots=True)
class Passkey:
    """A WebAuthn credential, with the relying party that it was made for."""

    public_key: bytes  # COSE key (RFC 9052, 7)
    credential_id: bytes
    relying_party: RelyingParty
    sign_count: int = 0
    backup_eligible: bool = False  # whether it can be copied to other devices ("synced")
    backed_up: bool = False
    transports: tuple[str, ...] = field(default=())
    attested_model: str = ""  # AAGUID; empty unless its maker attests it, under a configured root


ApprovalKey: TypeAlias = NativeKey | Passkey
