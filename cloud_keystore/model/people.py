"""Users, and identities: workstations, devices, operators and auditors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum, unique

from cloud_keystore.model.actors import Actor, ActorKind
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.fields.texts import text_field

LONGEST_UPN = 254
IDENTITY_LIFETIME = timedelta(days=730)  # of an identity's certificate

# MS-DTYP 2.4.2.1: revision, authority, and 1 to 15 sub-authorities of 32 bits
SID = re.compile(r"S-1-\d{1,15}((?:-\d{1,10}){1,15})", re.ASCII)
LARGEST_SUB_AUTHORITY = 2**32 - 1


@unique
class Role(IntEnum):
    """The role of an identity; the numbers are those of `cloudcard.enrolment.v1.Role`."""

    WORKSTATION = 1
    DEVICE = 2
    OPERATOR = 3
    AUDITOR = 4


class IdentityState(StrEnum):
    """The state of an identity."""

    INVITED = "invited"  # an enrolment token was issued; no key is known yet
    ACTIVE = "active"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class User:
    """A person who holds cards."""

    id: str
    display_name: str
    email: str
    create_time: datetime
    upn: str = ""  # user principal name of the account in Windows' directory; empty without one
    sid: str = ""  # the account's security identifier, as text


@dataclass(frozen=True, slots=True)
class Identity:
    """A workstation, device, operator or auditor, known by its TLS certificate."""

    id: str
    role: Role
    state: IdentityState
    display_name: str
    site: str
    user_id: str | None  # of devices
    certificate_sha256: bytes | None
    public_key: bytes | None  # SubjectPublicKeyInfo, DER
    create_time: datetime

    @property
    def actor(self) -> Actor:
        """The actor that the journal names for what this identity does."""
        return Actor(ActorKind[self.role.name], self.id)


def principal_name(upn: str) -> str:
    """Return a user principal name without surrounding blanks; raise InvalidInput if it is none."""
    upn = text_field("upn", upn, LONGEST_UPN, required=False)
    account, _, suffix = upn.partition("@")
    if upn and not (account and suffix and "@" not in suffix and not re.search(r"\s", upn)):
        raise InvalidInput(
            "upn is not a user principal name: give the account's name in the directory, such as "
            "ada@corp.example"
        )
    return upn


def security_identifier(sid: str) -> str:
    """Return a security identifier without surrounding blanks; raise InvalidInput if it is none."""
    sid = sid.strip()
    match = SID.fullmatch(sid)
    if sid and (
        match is None or any(int(part) > LARGEST_SUB_AUTHORITY for part in match[1].split("-")[1:])
    ):
        raise InvalidInput(
            "sid is not a security identifier such as S-1-5-21-1004336348-1177238915-682003330-512:"
            " copy the objectSid of the account"
        )
    return sid
