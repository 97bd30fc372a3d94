"""The keys by which holders' devices approve: native ones, and passkeys."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, unique
from typing import TypeAlias


@unique
class ApprovalKeyKind(IntEnum):
    """What a device approves by; the numbers are those of `cloudcard.registry.v1.DeviceKind`."""

    NATIVE = 1
    PASSKEY = 2


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """For whom passkeys are made, and from which page (WebAuthn level 3, 5.4.2 and 5.8.1)."""

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
    backup_eligible: bool = False  # whether other devices may come to keep it ("synced")
    backed_up: bool = False
    transports: tuple[str, ...] = field(default=())


ApprovalKey: TypeAlias = NativeKey | Passkey
