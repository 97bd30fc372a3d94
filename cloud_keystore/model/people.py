"""Users, and identities: workstations, devices, operators, auditors and API clients."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum, unique
from hashlib import sha256

from cloud_keystore.model.actors import Actor, ActorKind
from cloud_keystore.model.clock import Random
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.fields.texts import text_field
from cloud_keystore.model.organisations import ROOT

LONGEST_UPN = 254
IDENTITY_LIFETIME = timedelta(days=730)  # of an identity's certificate
# For which a renewed identity is still known by its former certificate, so that its other programs
# can find the new one.
OVERLAP = timedelta(days=1)
WARNING_TIME = timedelta(days=60)  # before an identity ends, for people to notice

# MS-DTYP 2.4.2.1: revision, authority, and 1 to 15 sub-authorities of 32 bits
SID = re.compile(r"S-1-\d{1,15}((?:-\d{1,10}){1,15})", re.ASCII)
LARGEST_SUB_AUTHORITY = 2**32 - 1
UUID12_DIGITS = 12


@unique
class Role(IntEnum):
    """The role of an identity; the numbers are those of `cloudcard.enrolment.v1.Role`."""

    WORKSTATION = 1
    DEVICE = 2
    OPERATOR = 3
    AUDITOR = 4
    CLIENT = 5  # a program that calls the REST API; it is never enrolled
    HOLDER = 6  # a person who has logged in to the portal; known by the visit, and never enrolled
    SHARED_DEVICE = 7  # nobody's own: it approves nothing by itself
    SEAT = 8  # what a holder is at a shared device: a key of its own, until the sign-out


class IdentityState(StrEnum):
    """The state of an identity."""

    INVITED = "invited"  # an enrolment token was issued; no key is known yet
    ACTIVE = "active"
    REMOVED = "removed"


@unique
class UserState(StrEnum):
    """The state of a user."""

    ACTIVE = "active"
    CLOSED = "closed"  # has left; what happened is kept. Final.


EXPIRED = "expired"  # the state, in lists, of an active identity whose certificate has ended


@dataclass(frozen=True, slots=True)
class User:
    """A person who holds cards."""

    id: str
    display_name: str
    email: str
    create_time: datetime
    upn: str = ""  # user principal name of the account in Windows' directory; empty without one
    sid: str = ""  # the account's security identifier, as text
    uuid12: str | None = None
    """The 12-digit UUID that people read out: no check digit, and no 0 in front. None in a database
    of before there were any, until the keystore opens it."""
    state: UserState = UserState.ACTIVE
    reason: str = ""  # why it was closed
    phone: str = ""  # E.164; several people can have the same one
    organisation_id: str = ROOT  # for which cards are issued, unless one says more
    profile: str = ""  # of which cards are issued then; empty for the default one
    email_by: str = ""  # the actor who gave the address; empty if that was before this was kept
    phone_verify_time: datetime | None = None  # when somebody had the phone of this number
    email_verify_time: datetime | None = None  # when the holder read what this address got
    next_email: str = ""  # put in force when somebody follows the link that was mailed to it
    next_email_by: str = ""  # the actor who gave it
    next_email_until: datetime | None = None  # for how long that link is good


@unique
class Stage(StrEnum):
    """What a user waits for, or that nothing is missing."""

    NO_PHONE = "no phone"
    INVITATION_EXPIRED = "invitation expired"
    INVITED = "invited"
    NO_CARD = "no card"
    CARD_INCOMPLETE = "card incomplete"  # it has not all its keys and certificates
    CARD_FAILED = "card failed"  # issuing it has failed: it is resumed or cancelled
    NO_PASSCODE = "no passcode"
    ENROLLED = "enrolled"
    CLOSED = "closed"  # the user has left


@dataclass(frozen=True, slots=True)
class Progress:
    """A user's stage, since when, and until when an invitation can still be followed. `card` is the
    serial number of the card that is pending or in use; empty if there is none.
    """

    stage: Stage
    since: datetime
    until: datetime | None = None
    card: str = ""


@dataclass(frozen=True, slots=True)
class Identity:
    """A workstation, device, operator or auditor, known by its TLS certificate; or an API client,
    which has a token instead, whose hash stands in the place of the certificate's.

    A renewed identity has a next certificate until that is used for the first time; then it is the
    certificate, and the one before is the former.
    """

    id: str
    role: Role
    state: IdentityState
    display_name: str
    site: str
    user_id: str | None  # of devices and seats
    certificate_sha256: bytes | None
    public_key: bytes | None  # SubjectPublicKeyInfo, DER
    create_time: datetime
    expire_time: datetime | None = None  # of the certificate
    next_certificate_sha256: bytes | None = None
    next_public_key: bytes | None = None
    next_expire_time: datetime | None = None
    former_certificate_sha256: bytes | None = None
    former_end_time: datetime | None = None  # until when the former certificate is still known
    warn_time: datetime | None = None  # when people were warned that the identity ends
    organisation_id: str = ROOT  # devices belong to that of their holder
    # Whether it has the roles that it was granted; one of before there were roles has all rights.
    assigned: bool = False
    invited_by: str = ""  # an actor; empty if it was invited before this was kept
    # Actors, a line for each, who gave an address to which its invitation could be mailed.
    addressed_by: str = ""

    def is_active(self, now: datetime) -> bool:
        """Whether it is enrolled, not removed, and its certificate has not ended."""
        return (
            self.state is IdentityState.ACTIVE
            and self.expire_time is not None
            and now < self.expire_time
        )

    def state_at(self, now: datetime) -> str:
        """Its state as lists show it: that of an active one whose certificate has ended is
        "expired".
        """
        ended = self.state is IdentityState.ACTIVE and not self.is_active(now)
        return EXPIRED if ended else self.state.value

    @property
    def actor(self) -> Actor:
        """The actor that the journal names for what this identity does."""
        return Actor(ActorKind[self.role.name], self.id)


def version(user: User) -> str:
    """What changes whenever anything of a user does, and tells nothing of the user."""
    said = "\0".join(f"{name} {getattr(user, name)}" for name in User.__dataclass_fields__)
    return sha256(said.encode()).hexdigest()[:32]


def new_uuid12(random: Random) -> str:
    """Draw a 12-digit UUID. It tells nothing about its user, and nobody guesses another one."""
    least = 10 ** (UUID12_DIGITS - 1)
    return str(least + int.from_bytes(random(16)) % (9 * least))


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
