"""What requests and responses about policies hold."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StrictBool, StrictInt

from cloud_keystore.rest.models import Asked, Text

Way = Literal["push", "qr"]
Demanded = Literal["phone", "sms", "passkey"]
Lockable = Literal[
    "passwordless",
    "largest_batch",
    "largest_commitment_batch",
    "session",
    "channels",
    "passkeys",
    "unlock_code_seconds",
    "survey_after",
    "portal_passwords",
    "refuses_puk",
    "shared_device_seconds",
]


class Session(Asked):
    """The longest sessions that are allowed."""

    most_uses: StrictInt
    seconds: StrictInt


class Terms(BaseModel):
    """Every value of a policy."""

    passwordless: bool
    largest_batch: int
    largest_commitment_batch: int
    session: Session | None
    channels: list[Way]
    passkeys: bool
    synced_passkeys: bool
    passkey_models: list[str]
    unlock_code_seconds: int
    survey_after: int
    portal_passwords: bool
    security_answers: int
    portal_changes: bool
    portal_factors: list[Demanded]
    refuses_puk: bool
    shared_device_seconds: int


class SetTerms(Asked):
    """What a policy sets; what is left out is inherited from above. The members about passkeys
    belong together, and those about the portal: with one of them, the others get their defaults.
    """

    passwordless: StrictBool = False
    largest_batch: StrictInt = 1
    largest_commitment_batch: StrictInt = 1
    session: Annotated[Session | None, Field(description="Null: no sessions.")] = None
    channels: Annotated[tuple[Way, ...], Field(min_length=1, max_length=2)] = ("push", "qr")
    passkeys: StrictBool = True
    synced_passkeys: StrictBool = False
    passkey_models: Annotated[tuple[Text, ...], Field(max_length=100)] = ()
    unlock_code_seconds: StrictInt = 3600
    survey_after: StrictInt = 0
    portal_passwords: StrictBool = False
    security_answers: StrictInt = 0
    portal_changes: StrictBool = False
    portal_factors: Annotated[tuple[Demanded, ...], Field(max_length=3)] = ()
    refuses_puk: StrictBool = False
    shared_device_seconds: StrictInt = 0


class NewPolicy(Asked):
    """A policy to be put in force in place of the one that the organisation has."""

    profile: Annotated[Text, Field(description="Of cards; empty: every one without its own.")] = ""
    terms: SetTerms
    locked: Annotated[
        tuple[Lockable, ...],
        Field(max_length=10, description="Given terms that no organisation below sets otherwise."),
    ] = ()


class TermSource(BaseModel):
    """From where a term is."""

    origin: Literal["own", "inherited", "all", "default"]
    organisation_id: Annotated[
        str | None, Field(description="That sets it; null too if the client does not see it.")
    ]
    policy: Annotated[str | None, Field(description="Name of the version that sets it.")]
    locked: Annotated[bool, Field(description="Whether none below sets it otherwise.")]


class EffectivePolicy(BaseModel):
    """The policy that holds, and from where it has each term."""

    organisation_id: str
    profile: str
    policy: Annotated[str, Field(description="Name of the version in force.")]
    set: datetime | None
    terms: Terms
    sources: dict[str, TermSource]
