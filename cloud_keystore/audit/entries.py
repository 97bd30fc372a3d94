"""Makes entries of the journal from the objects that they are about, so that none is left out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Protocol

from cloud_keystore.model.actors import KEYSTORE, Actor, ActorKind
from cloud_keystore.model.alerts import Alert
from cloud_keystore.model.cards import Card, Key
from cloud_keystore.model.journal import Detail, Entry, Kind
from cloud_keystore.model.operations import Approval
from cloud_keystore.model.people import Identity, Role, User
from cloud_keystore.model.sharing.seats import Seat

NO_DETAILS: Mapping[str, Detail] = MappingProxyType({})
NO_EVIDENCE: Mapping[str, bytes] = MappingProxyType({})
OF_DEVICES = frozenset({Role.DEVICE, Role.SHARED_DEVICE, Role.SEAT})


class Asked(Protocol):
    """What a workstation has asked for, or the fields that name it: an operation, a session, or a
    sign-in, whose card and holder are not known before it is claimed, and which uses no key.
    """

    @property
    def id(self) -> str: ...

    @property
    def card_id(self) -> str | None: ...

    @property
    def user_id(self) -> str | None: ...

    @property
    def workstation_id(self) -> str: ...

    @property
    def key_id(self) -> str | None: ...


class AskedSession(Asked, Protocol):
    """A session, or the fields that name it, and how many uses are left."""

    @property
    def uses_left(self) -> int: ...


def about_keystore(
    kind: Kind,
    now: datetime,
    actor: Actor,
    details: Mapping[str, Detail] = NO_DETAILS,
    evidence: Mapping[str, bytes] = NO_EVIDENCE,
) -> Entry:
    """An entry about the keystore as a whole: its policies, sealing keys, authorities, journal."""
    return Entry(kind, now, actor, details=details, evidence=evidence)


def about_card(
    kind: Kind,
    card: Card,
    now: datetime,
    actor: Actor,
    details: Mapping[str, Detail] = NO_DETAILS,
    *,
    key: Key | None = None,
) -> Entry:
    """An entry about a card, or about a use of one of its keys that needs no decision."""
    return Entry(
        kind,
        now,
        actor,
        card_id=card.id,
        user_id=card.user_id,
        workstation_id=actor.id if actor.kind is ActorKind.WORKSTATION else None,
        key_id=None if key is None else key.id,
        details=details,
    )


def about_key(
    kind: Kind,
    key: Key,
    now: datetime,
    actor: Actor,
    details: Mapping[str, Detail] = NO_DETAILS,
    evidence: Mapping[str, bytes] = NO_EVIDENCE,
) -> Entry:
    """An entry about a key, made without its card; it names the card, but not the holder."""
    return Entry(
        kind, now, actor, card_id=key.card_id, key_id=key.id, details=details, evidence=evidence
    )


def about_orphan(
    kind: Kind, key_id: str, now: datetime, actor: Actor, details: Mapping[str, Detail]
) -> Entry:
    """An entry about a key that no card has."""
    return Entry(kind, now, actor, key_id=key_id, details=details)


def about_asked(
    kind: Kind,
    asked: Asked,
    now: datetime,
    actor: Actor,
    details: Mapping[str, Detail] = NO_DETAILS,
    evidence: Mapping[str, bytes] = NO_EVIDENCE,
    *,
    device_id: str | None = None,
) -> Entry:
    """An entry about an operation, a session or a sign-in; `device_id` names the device that
    decided.
    """
    return Entry(
        kind,
        now,
        actor,
        card_id=asked.card_id,
        user_id=asked.user_id,
        workstation_id=asked.workstation_id,
        device_id=device_id,
        operation_id=asked.id,
        key_id=asked.key_id,
        details=details,
        evidence=evidence,
    )


def session_ended(session: AskedSession, now: datetime, actor: Actor, why: str) -> Entry:
    """The entry about the end of a session."""
    details: dict[str, Detail] = {"why": why, "uses_left": session.uses_left}
    return about_asked(Kind.SESSION_ENDED, session, now, actor, details)


def sign_in_ended(asked: Asked, now: datetime, actor: Actor, why: str) -> Entry:
    """The entry about the end of a sign-in."""
    return about_asked(Kind.SIGN_IN_ENDED, asked, now, actor, {"why": str(why)})


def about_seat(
    kind: Kind,
    seat: Seat,
    now: datetime,
    actor: Actor,
    details: Mapping[str, Detail] = NO_DETAILS,
    evidence: Mapping[str, bytes] = NO_EVIDENCE,
) -> Entry:
    """An entry about a seat: the shared device, and whoever signs in there."""
    return Entry(
        kind,
        now,
        actor,
        user_id=seat.user_id,
        device_id=seat.device_id,
        operation_id=seat.id,
        details=details,
        evidence=evidence,
    )


def about_use(
    kind: Kind,
    use_id: str,
    session: Asked,
    now: datetime,
    actor: Actor,
    details: Mapping[str, Detail] = NO_DETAILS,
    evidence: Mapping[str, bytes] = NO_EVIDENCE,
    *,
    trace_id: str = "",
) -> Entry:
    """An entry about a use of a session, which the journal treats as an operation of its own."""
    return Entry(
        kind,
        now,
        actor,
        card_id=session.card_id,
        user_id=session.user_id,
        workstation_id=session.workstation_id,
        operation_id=use_id,
        key_id=session.key_id,
        trace_id=trace_id,
        details={"session": session.id, **details},
        evidence=evidence,
    )


def use_failed(use_id: str, session: Asked, now: datetime, actor: Actor) -> Entry:
    """The entry about a use of a session whose key gave no result."""
    return about_use(Kind.OPERATION_FAILED, use_id, session, now, actor)


def use_unsettled(use_id: str, session: Asked, now: datetime) -> Entry:
    """The entry about a use of a session whose process ended before it wrote down the outcome.
    The workstation can have the results, so that whoever counts uses counts this one too.
    """
    return about_use(Kind.OPERATION_UNSETTLED, use_id, session, now, KEYSTORE)


def about_user(
    kind: Kind,
    user: User,
    now: datetime,
    actor: Actor,
    details: Mapping[str, Detail] = NO_DETAILS,
) -> Entry:
    """An entry about a user."""
    return Entry(kind, now, actor, user_id=user.id, details=details)


def about_moved(
    kind: Kind,
    now: datetime,
    actor: Actor,
    details: Mapping[str, Detail],
    *,
    user_id: str | None,
    card_id: str | None,
    workstation_id: str | None,
) -> Entry:
    """An entry about something that belongs to another organisation from now on, made without it
    being read as what it is.
    """
    return Entry(
        kind,
        now,
        actor,
        card_id=card_id,
        user_id=user_id,
        workstation_id=workstation_id,
        details=details,
    )


def about_identity(
    kind: Kind,
    identity: Identity,
    now: datetime,
    actor: Actor,
    details: Mapping[str, Detail] = NO_DETAILS,
    evidence: Mapping[str, bytes] = NO_EVIDENCE,
) -> Entry:
    """An entry about a workstation, device, operator or auditor."""
    return Entry(
        kind,
        now,
        actor,
        user_id=identity.user_id,
        workstation_id=identity.id if identity.role is Role.WORKSTATION else None,
        device_id=identity.id if identity.role in OF_DEVICES else None,
        details=details,
        evidence=evidence,
    )


def about_alert(
    kind: Kind,
    alert: Alert,
    now: datetime,
    actor: Actor,
    details: Mapping[str, Detail] = NO_DETAILS,
) -> Entry:
    """An entry about an alert, and therefore about its card and holder, or its workstation."""
    return Entry(
        kind,
        now,
        actor,
        card_id=alert.card_id,
        user_id=alert.user_id,
        workstation_id=alert.workstation_id,
        details={"alert_id": alert.id, "alert": alert.kind.value, **details},
    )


def approval_evidence(payload: bytes, approval: Approval) -> Mapping[str, bytes]:
    """The evidence by which a decision can be checked again with the approval key: the payload,
    the signature and, for a passkey, what it signed.
    """
    evidence = {"payload": payload, "device_signature": approval.device_signature}
    if approval.assertion is not None:
        evidence["authenticator_data"] = approval.assertion.authenticator_data
        evidence["client_data"] = approval.assertion.client_data
    return evidence
