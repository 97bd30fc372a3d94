"""What a device's page sends and is told, as JSON; bytes are base64url without padding."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator, SecretStr

from cloud_keystore.approval.passkeys import MOST_TRANSPORTS
from cloud_keystore.model.outbox.bells import LONGEST_ENDPOINT
from cloud_keystore.model.surveys.answers import LONGEST_TEXT as LONGEST_COMMENT
from cloud_keystore.web.proofs import encoded

LONGEST_TEXT = 4096
LONGEST_ATTESTATION = 22_000  # of 16 KiB, in base64url
LONGEST_PASSCODE = 64
SHORT = 128


def _bytes(value: object, longest: int = LONGEST_TEXT) -> bytes:
    if isinstance(value, str) and value.isascii() and len(value) <= longest:
        try:
            return base64.b64decode(value + "=" * (-len(value) % 4), b"-_", validate=True)
        except binascii.Error:
            pass
    raise ValueError("this is not base64url")


def _large_bytes(value: object) -> bytes:
    return _bytes(value, LONGEST_ATTESTATION)


Sent = Annotated[bytes, PlainValidator(_bytes)]
SentLarge = Annotated[bytes, PlainValidator(_large_bytes)]
Told = Annotated[bytes, PlainSerializer(encoded, return_type=str)]
Text = Annotated[str, Field(max_length=SHORT)]
Passcode = Annotated[SecretStr, Field(max_length=LONGEST_PASSCODE)]


def secret(said: SecretStr) -> bytes:
    """What is in it."""
    return said.get_secret_value().encode()


class Said(BaseModel):
    """What is sent has these fields and no others."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Passkey(Said):
    """What a browser has made as a passkey (WebAuthn level 3, 5.2.1)."""

    attestation_object: SentLarge
    client_data: SentLarge
    transports: Annotated[list[Text], Field(max_length=MOST_TRANSPORTS)] = []


class Enrolling(Said):
    """A token, and the key for which the device wants a certificate (PKCS#10, DER); with the
    passkey by which its holder approves, if that is not this key.
    """

    token_secret: Sent
    csr: Sent
    device_name: Text = ""
    passkey: Passkey | None = None


class Wanting(Said):
    """The token for which a passkey is to be made."""

    token_secret: Sent


class PasskeyTerms(BaseModel):
    """For whom a passkey is made, and where it is good."""

    rp_id: str
    origin: str
    user_handle: Told
    user_name: str


class Enrolled(BaseModel):
    """The new device: its certificate (DER), and the keystore's key that signs requests."""

    id: str
    display_name: str
    certificate: Told
    request_key: Told
    is_shared: bool = False  # it is nobody's own


class Exchanging(Said):
    """A short code, as somebody has typed it."""

    code: Annotated[SecretStr, Field(max_length=SHORT)]


class Exchanged(BaseModel):
    """The token that a short code stands for; empty if it is no good code."""

    token: str


class Following(Said):
    """What the link of an e-mail has behind its #."""

    link: Annotated[SecretStr, Field(max_length=SHORT)]


class Followed(BaseModel):
    """Whether the address is verified, and which one it is; nothing is told of any other link."""

    is_verified: bool
    email: str


class Claiming(Said):
    """A code that was scanned or typed; of a sign-in, with one of the holder's cards."""

    qr_text: Text
    card_serial: Text = ""


class Request(BaseModel):
    """What the holder is to decide: bytes, and the keystore's signature over them."""

    operation_id: str
    payload: Told
    keystore_signature: Told
    is_claimed: bool  # by this device, which then needs no number


class Closed(BaseModel):
    """A request that no longer waits."""

    operation_id: str
    state: str


class Unlocks(BaseModel):
    """The cards for whose unlock an operator has asked."""

    cards: list[str]


class Alert(BaseModel):
    """What the holder is warned of."""

    id: str
    card_serial: str
    text: str


class Assertion(Said):
    """What a passkey has signed (WebAuthn level 3, 5.2.2), and which one it was."""

    authenticator_data: Sent
    client_data: SentLarge
    credential_id: Sent


class Deciding(Said):
    """The holder's decision, by its number in the protocol, with the device's signature; if the
    device has a passkey, with what that has signed.
    """

    decision: int
    number: Text
    signature: Sent
    is_sign_in: bool
    assertion: Assertion | None = None


class Decided(BaseModel):
    """What the decision has led to."""

    state: str


class Card(BaseModel):
    """A card of the holder."""

    serial: str
    state: str
    passcode_state: str
    expires: str
    days_left: int | None = None  # told from 90 days before its end
    unlock_id: str = ""  # of the unlock to which the holder is to agree


class Cards(BaseModel):
    """The holder's cards, and which passcodes they can have."""

    cards: list[Card]
    passcode_rule: str


class Session(BaseModel):
    """An open session: uses of a key without asking again."""

    id: str
    card_serial: str
    workstation: str
    site: str
    since: str
    until: str
    uses_left: int


class Sessions(BaseModel):
    """The holder's open sessions."""

    sessions: list[Session]


class SignIn(BaseModel):
    """A card of the holder in a workstation's reader."""

    id: str
    card_serial: str
    workstation: str
    site: str
    until: str


class SignIns(BaseModel):
    """The readers in which the holder's cards are."""

    sign_ins: list[SignIn]


class Terms(BaseModel):
    """What the keystore offers to a page, and what it knows of this one: whether it is too old,
    its key (SubjectPublicKeyInfo), and whether its certificate is to be renewed now.
    """

    offers: list[str]
    is_outdated: bool
    public_key: Told
    renewal_is_due: bool


class Renewing(Said):
    """A request for the next certificate, of the same key (PKCS#10, DER)."""

    csr: Sent


class Renewed(BaseModel):
    """The next certificate, DER."""

    certificate: Told


class Survey(BaseModel):
    """Whether the holder is asked, and because of which card."""

    is_due: bool
    card_serial: str


class Answering(Said):
    """An answer; without a score, the holder does not want to be asked now."""

    score: int | None = None
    comment: Annotated[str, Field(max_length=LONGEST_COMMENT)] = ""


class Answered(BaseModel):
    """That the answer was taken."""

    is_answered: bool


class Ended(BaseModel):
    """Whether it is over."""

    is_ended: bool


class PinAsked(BaseModel):
    """Whether this phone asks for a PIN, and how many tries it has."""

    is_set: bool
    tries_left: int


class Checking(Said):
    """A PIN, and the request that is to be approved."""

    pin: Passcode
    operation_id: Text


class Choosing(Said):
    """The first passcode of a card, or PIN of a phone."""

    passcode: Passcode


class Changing(Said):
    """A passcode in place of another one."""

    old_passcode: Passcode
    new_passcode: Passcode


class Resetting(Said):
    """A passcode in place of one that is locked or forgotten, by PUK or unlock code."""

    secret: Passcode
    new_passcode: Passcode


class AgreeingToUnlock(Said):
    """What the passkey of a phone has signed that agrees to an unlock."""

    signature: Sent
    assertion: Assertion


class Chosen(BaseModel):
    """The PUK of a card whose first passcode was chosen; it is shown once."""

    puk: str


class PushKey(BaseModel):
    """The key from which a browser is to take rings, an uncompressed point of P-256."""

    key: Told


class Hanging(Said):
    """Where a browser takes rings, and its keys, by the names that browsers have for them."""

    endpoint: Annotated[str, Field(max_length=LONGEST_ENDPOINT)]
    p256dh: Sent
    auth: Sent


class Rung(BaseModel):
    """Whether this device is rung while its page is closed."""

    is_rung: bool


class Changed(BaseModel):
    """Whether a passcode was replaced, or why not; after an unlock code, with the card's new PUK,
    which is shown once.
    """

    is_set: bool = False
    puk: str = ""
    tries_left: int | None = None
    rule: str = ""
