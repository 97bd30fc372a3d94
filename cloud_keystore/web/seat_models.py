"""What pages of shared devices, and of phones about these, send and are told, as JSON."""

from __future__ import annotations

from pydantic import BaseModel

from cloud_keystore.web.models import Assertion, Said, Sent, Text, Told


class Scanning(Said):
    """The code of a shared device, as a phone has scanned it."""

    qr_text: Text


class Shown(BaseModel):
    """What the holder is to decide: bytes, and the keystore's signature over them."""

    operation_id: str
    payload: Told
    keystore_signature: Told
    is_claimed: bool = True


class Agreeing(Said):
    """A decision of the phone that has scanned the code."""

    decision: int
    signature: Sent
    assertion: Assertion | None = None


class Beginning(Said):
    """The key for whoever signs in next (PKCS#10, DER)."""

    csr: Sent


class Seen(BaseModel):
    """A seat: how far it is; the code while it waits, as text and as the rows of its picture; who
    is signed in.
    """

    id: str
    state: str
    code: str
    picture: list[str]
    holder: str
    certificate: Told
    until: str
    idle_seconds: int


class Place(BaseModel):
    """The shared device, as people call it."""

    name: str
    site: str


class SharedTerms(BaseModel):
    """The shared device's key (SubjectPublicKeyInfo), and whether its certificate is to be renewed
    now.
    """

    public_key: Told
    renewal_is_due: bool


class Seat(BaseModel):
    """Where a holder is signed in."""

    id: str
    device: str
    site: str
    since: str
    until: str


class Seats(BaseModel):
    """All of them."""

    seats: list[Seat]


class Stayed(BaseModel):
    """Until when somebody is signed in who does nothing more."""

    until: str


class Left(BaseModel):
    """Somebody is signed out."""

    is_ended: bool
