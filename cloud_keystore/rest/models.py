"""What requests and responses of the REST API hold."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    WithJsonSchema,
)

TIME = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}"
LONGEST_TEXT = 512  # characters of any text in a request; use cases allow fewer, and say how many

Text = Annotated[str, Field(max_length=LONGEST_TEXT)]
Time = Annotated[
    AwareDatetime,
    BeforeValidator(lambda given: _time(given), json_schema_input_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "pattern": TIME}),
]
Reason = Annotated[str, Field(max_length=LONGEST_TEXT, description="Why; kept in the journal.")]


def _time(given: object) -> object:
    """A time as JSON has it: numbers, which pydantic takes too, could be seconds or others."""
    if not isinstance(given, str) or re.match(TIME, given) is None:
        raise ValueError("write a time as 2027-01-31T12:00:00Z")
    return given


class Asked(BaseModel):
    """A request: what is not known is refused, so that nobody relies on what is passed over."""

    model_config = ConfigDict(extra="forbid")


class NewUser(Asked):
    """A person to be added."""

    name: Text
    email: Text = ""
    upn: Annotated[Text, Field(description="Of the account in the directory.")] = ""
    sid: Annotated[Text, Field(description="Of the account, as text.")] = ""
    organisation_id: Text = ""
    namesake: Annotated[
        StrictBool,
        Field(description="Somebody else than the person of this name, neither with an address."),
    ] = False


class UserChange(Asked):
    """What to change of a person; what is left out stays."""

    name: Text | None = None
    email: Text | None = None
    phone: Text | None = None
    organisation_id: Text | None = None
    profile: Annotated[
        Text | None, Field(description="Of the next cards; empty for the default one.")
    ] = None


class Closing(Asked):
    """That a person leaves."""

    reason: Reason
    dry_run: Annotated[StrictBool, Field(description="Only tell what would end.")] = False


class NewCard(Asked):
    """A card to be issued."""

    user_id: Text
    profile: Annotated[Text, Field(description="By default the person's own.")] = ""
    organisation_id: Text = ""


class Revocation(Asked):
    """Why a card is revoked."""

    reason: Reason
    code: Annotated[Text, Field(description="As RFC 5280 names it, such as keyCompromise.")] = (
        "unspecified"
    )
    invalid_since: Annotated[
        Time | None, Field(description="Since when a compromised key was in wrong hands.")
    ] = None


class Renewal(Asked):
    """A renewal. With `expires`, the end that the client knows, a repetition changes nothing."""

    expires: Time | None = None
    dry_run: Annotated[StrictBool, Field(description="Only tell what would change.")] = False


class Replacing(Asked):
    """Why a card is replaced."""

    reason: Annotated[Text, Field(description="lost, damaged or compromised")]
    dry_run: Annotated[StrictBool, Field(description="Only tell what is there.")] = False


class NewOrganisation(Asked):
    """An organisation to be added."""

    name: Text
    parent_id: Annotated[Text, Field(description="The one above it.")] = ""


class Removal(Asked):
    """Why something is removed."""

    reason: Reason


class User(BaseModel):
    """A person."""

    id: str
    uuid12: Annotated[str, Field(description="The twelve digits that people read out.")]
    name: str
    email: str
    email_verified: datetime | None
    next_email: Annotated[str, Field(description="Waits to be verified; empty if none does.")]
    next_email_until: Annotated[
        datetime | None, Field(description="For how long the link that was mailed is good.")
    ]
    phone: str
    upn: str
    sid: str
    organisation_id: str
    profile: str
    state: Annotated[str, Field(description="pending, enrolled or closed")]
    created: datetime


class SentLink(BaseModel):
    """Where a link goes, by which an e-mail address is verified, and until when it is good."""

    email: str
    expires: datetime


class ListedUser(User):
    """A person in a list."""

    devices: Annotated[int, Field(description="How many active ones.")]
    cards: Annotated[list[str], Field(description="Serial numbers.")]


class UserPage(BaseModel):
    """A page of people."""

    users: list[ListedUser]
    next_page_token: str | None


class Invitation(BaseModel):
    """A one-time token, by which a phone or a shared device is enrolled."""

    token: str
    expires: datetime


class AddedUser(BaseModel):
    """A person, and the invitation of the first phone; none if the person was there before."""

    user: User
    invitation: Invitation | None


class Card(BaseModel):
    """A card."""

    serial: str
    guid: str
    user_id: str
    user_name: str
    profile: str
    state: Annotated[
        str,
        Field(
            description="issuing, failed, cancelled, pending, active, suspended or revoked",
        ),
    ]
    cause: Annotated[str | None, Field(description="Why issuing it has failed.")]
    passcode: Annotated[str, Field(description="unset, ok or locked")]
    organisation_id: str
    created: datetime
    expires: datetime


class CardKey(BaseModel):
    """A key of a card."""

    reference: Annotated[str, Field(description="As the standard writes it, such as 9A.")]
    algorithm: str
    certificate: Annotated[str | None, Field(description="PEM")]


class WholeCard(Card):
    """A card with its keys, and those before and after it."""

    keys: list[CardKey]
    replaces: Annotated[str | None, Field(description="A serial number.")]
    replaced_by: Annotated[str | None, Field(description="A serial number.")]


class CardPage(BaseModel):
    """A page of cards."""

    cards: list[Card]
    next_page_token: str | None


class UnlockedCard(BaseModel):
    """A card that is to be unlocked."""

    card: Card
    unlocked: bool
    expires: Annotated[
        datetime | None,
        Field(description="Until when its holder or another operator can agree."),
    ]


class RenewedCard(BaseModel):
    """A card that was renewed."""

    card: Card
    new_expires: datetime
    renewed_keys: list[str]
    retired_key: str | None
    authority: Annotated[
        str | None, Field(description="The external one that certifies the card, if one does.")
    ]
    waiting_keys: Annotated[
        list[str],
        Field(description="Until their certificates have come, the card stays as it is."),
    ]


class ReplacedCard(BaseModel):
    """A card that was replaced, and the one in its place; none if there is none yet."""

    replaced: Card
    card: Card | None


class Device(BaseModel):
    """A device on which a holder decides."""

    id: str
    name: str
    state: Annotated[str, Field(description="invited, active, expired or removed")]
    created: datetime
    expires: Annotated[datetime | None, Field(description="Of the certificate or invitation.")]


class Devices(BaseModel):
    """The devices of a person."""

    devices: list[Device]


class Progress(BaseModel):
    """What a person still waits for."""

    stage: str
    since: datetime
    until: datetime | None


class Event(BaseModel):
    """Something that happened."""

    time: datetime
    kind: str
    text: str


class WholeUser(ListedUser):
    """A person with all that belongs to them."""

    progress: Progress
    cards_held: list[Card]
    devices_held: list[Device]
    events: list[Event]


class Consequences(BaseModel):
    """What the end of a person ends, or would end."""

    user: User
    cards: Annotated[list[str], Field(description="Serial numbers.")]
    phones: list[str]
    invitations: int
    operations: int
    sessions: int
    sign_ins: int


class Organisation(BaseModel):
    """An organisation."""

    id: str
    name: str
    parent_id: str | None
    created: datetime


class Organisations(BaseModel):
    """The organisations that the client sees, by name."""

    organisations: list[Organisation]


class Profile(BaseModel):
    """What new cards can be made of."""

    name: str
    title: str
    default: bool
    validity_days: int
    keys: list[str]


class Profiles(BaseModel):
    """All profiles."""

    profiles: list[Profile]


class Expiring(BaseModel):
    """Something that ends soon, or has ended."""

    sort: str
    name: str
    about: str
    holder: str
    card: str | None
    expires: datetime


class ExpiringPage(BaseModel):
    """A page of what ends, the first to end first."""

    expiring: list[Expiring]
    next_page_token: str | None


class Pending(BaseModel):
    """A person who has not finished enrolling."""

    user: User
    progress: Progress
    profile: str


class PendingPage(BaseModel):
    """A page of people who have not finished enrolling."""

    pending: list[Pending]
    next_page_token: str | None


class Client(BaseModel):
    """The API client that asks."""

    id: str
    name: str
    organisation_id: str
    expires: datetime | None


class WrongField(BaseModel):
    """One thing that is wrong."""

    where: str
    detail: str


class ProblemDetails(BaseModel):
    """An error (RFC 9457)."""

    type: Annotated[str, Field(description="What programs rely on.")]
    title: str
    status: int
    detail: Annotated[str, Field(description="What people can do.")]
    errors: list[WrongField] = []
