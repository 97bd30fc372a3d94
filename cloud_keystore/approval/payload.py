"""The payload: the bytes that a device shows and signs, encoded once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from google.protobuf.message import DecodeError

from card_os.uses import KeyUse
from cloud_keystore.model.cards import Card, Key
from cloud_keystore.model.errors import ApprovalRejected
from cloud_keystore.model.people import Identity, User
from cloud_keystore.model.policies import SHORTEST_SESSION, SessionTerms
from cloudcard.approval.v1 import approval_pb2

VERSION = 2  # for uses and sessions of a key
SIGN_IN_VERSION = 3
DOCUMENTS_VERSION = 4  # for uses of a key for documents that are listed
SEAT_VERSION = 5


@dataclass(frozen=True, slots=True)
class Asked:
    """The content of a payload, as the keystore knows it."""

    operation_id: str
    key_use: KeyUse
    key: Key
    card: Card
    user: User
    workstation: Identity
    application: str
    inputs: tuple[bytes, ...]
    session: SessionTerms | None
    organisation: str  # its name
    policy: str
    factors: tuple[str, ...]
    create_time: datetime
    expire_time: datetime
    nonce: bytes
    number_commitment: bytes
    request_id: bytes
    documents: tuple[str, ...] = ()  # what each input is, if the device lists them


@dataclass(frozen=True, slots=True)
class AskedSignIn:
    """The content of a sign-in's payload, as the keystore knows it."""

    sign_in_id: str
    card: Card
    user: User
    workstation: Identity
    organisation: str  # its name
    policy: str
    create_time: datetime
    expire_time: datetime
    nonce: bytes
    number_commitment: bytes
    request_id: bytes
    time: timedelta  # how long it lasts at most


@dataclass(frozen=True, slots=True)
class AskedSeat:
    """The content of a seat's payload, as the keystore knows it."""

    seat_id: str
    user: User
    device: Identity  # the shared one
    organisation: str  # its name
    policy: str
    create_time: datetime
    expire_time: datetime
    nonce: bytes
    time: timedelta  # how long it lasts at most
    idle_time: timedelta
    key_sha256: bytes  # of the key that approves there


def encode(asked: Asked) -> bytes:
    """Encode a payload. This is done once for an operation; its bytes are kept."""
    payload = approval_pb2.Payload(
        version=DOCUMENTS_VERSION if asked.documents else VERSION,
        operation_id=asked.operation_id,
        key_use=approval_pb2.KeyUse.ValueType(asked.key_use),
        key_id=asked.key.id,
        key_ref=asked.key.key_ref,
        algorithm=approval_pb2.Algorithm.ValueType(asked.key.algorithm),
        certificate_sha256=asked.key.sha256,
        card_serial=asked.card.serial,
        user_id=asked.user.id,
        user_display_name=asked.user.display_name,
        input_sha256=[sha256(each).digest() for each in asked.inputs],
        workstation=_claim(asked.workstation),
        application=asked.application,
        nonce=asked.nonce,
        policy=asked.policy,
        factors=asked.factors,
        session=None if asked.session is None else terms(asked.session),
        organisation=asked.organisation,
        number_commitment=asked.number_commitment,
        request_id=asked.request_id,
        documents=asked.documents,
    )
    payload.create_time.FromDatetime(asked.create_time)
    payload.expire_time.FromDatetime(asked.expire_time)
    return payload.SerializeToString(deterministic=True)


def encode_sign_in(asked: AskedSignIn) -> bytes:
    """Encode the payload of a sign-in, once. It names no key, so that no approval of it fits a use
    of one.
    """
    payload = approval_pb2.Payload(
        version=SIGN_IN_VERSION,
        operation_id=asked.sign_in_id,
        card_serial=asked.card.serial,
        user_id=asked.user.id,
        user_display_name=asked.user.display_name,
        workstation=_claim(asked.workstation),
        nonce=asked.nonce,
        policy=asked.policy,
        organisation=asked.organisation,
        number_commitment=asked.number_commitment,
        request_id=asked.request_id,
        sign_in=approval_pb2.SignInTerms(seconds=int(asked.time.total_seconds())),
    )
    payload.create_time.FromDatetime(asked.create_time)
    payload.expire_time.FromDatetime(asked.expire_time)
    return payload.SerializeToString(deterministic=True)


def encode_seat(asked: AskedSeat) -> bytes:
    """Encode the payload of a seat, once. It names neither card nor key, so that no approval of it
    fits anything else.
    """
    payload = approval_pb2.Payload(
        version=SEAT_VERSION,
        operation_id=asked.seat_id,
        user_id=asked.user.id,
        user_display_name=asked.user.display_name,
        workstation=_claim(asked.device),
        nonce=asked.nonce,
        policy=asked.policy,
        organisation=asked.organisation,
        seat=approval_pb2.SeatTerms(
            seconds=int(asked.time.total_seconds()),
            idle_seconds=int(asked.idle_time.total_seconds()),
            key_sha256=asked.key_sha256,
        ),
    )
    payload.create_time.FromDatetime(asked.create_time)
    payload.expire_time.FromDatetime(asked.expire_time)
    return payload.SerializeToString(deterministic=True)


def decode_seat(raw: bytes) -> approval_pb2.Payload:
    """Decode the payload of a seat; raises ApprovalRejected if it is none."""
    try:
        payload = approval_pb2.Payload.FromString(raw)
    except DecodeError:
        raise ApprovalRejected("the payload cannot be read") from None
    if payload.version != SEAT_VERSION or not payload.HasField("seat"):
        raise ApprovalRejected("the payload is not that of a seat")
    return payload


def _claim(workstation: Identity) -> approval_pb2.WorkstationClaim:
    return approval_pb2.WorkstationClaim(
        workstation_id=workstation.id,
        display_name=workstation.display_name,
        site=workstation.site,
        certificate_sha256=workstation.certificate_sha256 or b"",
    )


def terms(session: SessionTerms) -> approval_pb2.SessionTerms:
    """Convert the terms of a session to a message."""
    return approval_pb2.SessionTerms(
        most_uses=session.most_uses, seconds=session.time // SHORTEST_SESSION
    )


def session_terms(message: approval_pb2.SessionTerms) -> SessionTerms:
    """Convert a message to the terms of a session."""
    return SessionTerms(message.most_uses, message.seconds * SHORTEST_SESSION)


def decode(raw: bytes) -> approval_pb2.Payload:
    """Decode the payload of a use or session; raises ApprovalRejected if it is none of a version
    that this keystore makes.
    """
    try:
        payload = approval_pb2.Payload.FromString(raw)
    except DecodeError:
        raise ApprovalRejected("the payload cannot be read") from None
    if payload.version not in (VERSION, DOCUMENTS_VERSION):
        raise ApprovalRejected(
            f"the payload has version {payload.version}, not {VERSION} or {DOCUMENTS_VERSION}"
        )
    expected = len(payload.input_sha256) if payload.version == DOCUMENTS_VERSION else 0
    if len(payload.documents) != expected:
        raise ApprovalRejected(f"the payload lists {len(payload.documents)} for {expected} inputs")
    return payload


def lists_documents(raw: bytes) -> bool:
    """Whether a payload is one that only some devices can show. Raises ApprovalRejected."""
    return decode(raw).version == DOCUMENTS_VERSION
