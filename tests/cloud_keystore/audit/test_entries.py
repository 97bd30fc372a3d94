"""Entries byte for byte, each from what it is about."""

from __future__ import annotations

import ast
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from architecture.imports import modules
from card_os.piv.names import Algorithm
from card_os.uses import KeyUse
from cloud_keystore.audit import entries
from cloud_keystore.model.actors import DATA_FOLDER, KEYSTORE, Actor, ActorKind
from cloud_keystore.model.alerts import Alert, AlertKind
from cloud_keystore.model.cards import Card, CardState, Key
from cloud_keystore.model.journal import Entry, Kind, decode, encode
from cloud_keystore.model.operations import (
    Approval,
    Assertion,
    Channel,
    Decision,
    Operation,
    State,
)
from cloud_keystore.model.people import Identity, IdentityState, Role, User
from cloud_keystore.model.sessions import Session

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
TIME = b'"time":1795424400000000'
LATER = NOW + timedelta(hours=1)
OLGA = Actor(ActorKind.OPERATOR, "o1")
AT_PC = Actor(ActorKind.WORKSTATION, "w1")
PHONE = Actor(ActorKind.DEVICE, "d1")

USER = User("u1", "Ada", "", NOW)
CARD = Card("c1", "0123", bytes(16), "u1", "p256", CardState.ACTIVE, NOW, LATER)
KEY = Key("k1", "c1", 0x9A, Algorithm.ECC_P256, b"", NOW)
OPERATION = Operation(
    id="op1",
    request_id=bytes(16),
    workstation_id="w1",
    card_id="c1",
    key_id="k1",
    user_id="u1",
    key_use=KeyUse.SIGN,
    state=State.PENDING,
    payload=b"payload",
    number="42",
    channels=frozenset({Channel.PUSH}),
    create_time=NOW,
    expire_time=LATER,
    qr_expire_time=LATER,
)
SESSION = Session("s1", "c1", "k1", "u1", "w1", KeyUse.SIGN, "default 0", 7, NOW, LATER)
IDENTITY = Identity("d1", Role.DEVICE, IdentityState.ACTIVE, "phone", "", "u1", None, None, NOW)
ALERT = Alert("a1", AlertKind.NOT_ME, "c1", "u1", "text", NOW)
ABOUT = b'"card_id":"c1"'
OF_OPERATION = (
    b'"key_id":"k1","kind":"%s","operation_id":"%s",%s,"user_id":"u1","workstation_id":"w1"}'
)


def of(identity_role: Role) -> Identity:
    return replace(IDENTITY, id="i1", role=identity_role, user_id=None)


MADE: dict[bytes, Entry] = {
    b'{"actor":"keystore","kind":"keystore.started",' + TIME + b"}": entries.about_keystore(
        Kind.KEYSTORE_STARTED, NOW, KEYSTORE
    ),
    b'{"actor":"operator of this computer","details":{"from":"x"},"kind":"keystore.restored",'
    + TIME
    + b"}": entries.about_keystore(Kind.KEYSTORE_RESTORED, NOW, DATA_FOLDER, {"from": "x"}),
    b'{"actor":"operator o1",' + ABOUT + b',"details":{"reason":"lost"},"kind":"card.revoked",'
    + TIME
    + b',"user_id":"u1"}': entries.about_card(
        Kind.CARD_REVOKED, CARD, NOW, OLGA, {"reason": "lost"}
    ),
    b'{"actor":"workstation w1",' + ABOUT + b',"kind":"passcode.right",' + TIME
    + b',"user_id":"u1","workstation_id":"w1"}': entries.about_card(
        Kind.PASSCODE_RIGHT, CARD, NOW, AT_PC
    ),
    b'{"actor":"workstation w1",' + ABOUT + b',"key_id":"k1","kind":"secure-messaging.agreed",'
    + TIME
    + b',"user_id":"u1","workstation_id":"w1"}': entries.about_card(
        Kind.SECURE_MESSAGING_AGREED, CARD, NOW, AT_PC, key=KEY
    ),
    b'{"actor":"keystore",' + ABOUT
    + b',"details":{"backend":"software"},"evidence":{"public_key_sha256":"AA=="},'
    + b'"key_id":"k1","kind":"key.destroyed",' + TIME + b"}": entries.about_key(
        Kind.KEY_DESTROYED,
        KEY,
        NOW,
        KEYSTORE,
        {"backend": "software"},
        {"public_key_sha256": b"\0"},
    ),
    b'{"actor":"keystore","details":{"orphan":true},"key_id":"k9","kind":"key.destroyed",'
    + TIME
    + b"}": entries.about_orphan(Kind.KEY_DESTROYED, "k9", NOW, KEYSTORE, {"orphan": True}),
    b'{"actor":"workstation w1",' + ABOUT + b',"details":{"why":"withdrawn"},'
    + OF_OPERATION % (b"operation.cancelled", b"op1", TIME): entries.about_asked(
        Kind.OPERATION_CANCELLED, OPERATION, NOW, AT_PC, {"why": "withdrawn"}
    ),
    b'{"actor":"device d1",' + ABOUT + b',"device_id":"d1","evidence":{"payload":"cGF5bG9hZA=="},'
    + OF_OPERATION % (b"operation.denied", b"op1", TIME): entries.about_asked(
        Kind.OPERATION_DENIED,
        OPERATION,
        NOW,
        PHONE,
        evidence={"payload": b"payload"},
        device_id="d1",
    ),
    b'{"actor":"device d1",' + ABOUT + b',"details":{"uses_left":7,"why":"holder"},'
    + OF_OPERATION % (b"session.ended", b"s1", TIME): entries.session_ended(
        SESSION, NOW, PHONE, "holder"
    ),
    b'{"actor":"workstation w1",' + ABOUT + b',"details":{"inputs":2,"session":"s1"},'
    + b'"evidence":{"input_sha256":"AA=="},"key_id":"k1","kind":"session.used",'
    + b'"operation_id":"use1",' + TIME
    + b',"trace_id":"t1","user_id":"u1","workstation_id":"w1"}': entries.about_use(
        Kind.SESSION_USED,
        "use1",
        SESSION,
        NOW,
        AT_PC,
        {"inputs": 2},
        {"input_sha256": b"\0"},
        trace_id="t1",
    ),
    b'{"actor":"keystore",' + ABOUT + b',"details":{"session":"s1"},'
    + OF_OPERATION % (b"operation.failed", b"use1", TIME): entries.use_failed(
        "use1", SESSION, NOW, KEYSTORE
    ),
    b'{"actor":"keystore",' + ABOUT + b',"details":{"session":"s1"},'
    + OF_OPERATION % (b"operation.unsettled", b"use1", TIME): entries.use_unsettled(
        "use1", SESSION, NOW
    ),
    b'{"actor":"operator o1","kind":"user.added",' + TIME + b',"user_id":"u1"}': entries.about_user(
        Kind.USER_ADDED, USER, NOW, OLGA
    ),
    b'{"actor":"device d1","details":{"role":"device"},"device_id":"d1",'
    + b'"evidence":{"csr":"AA=="},"kind":"identity.enrolled",' + TIME
    + b',"user_id":"u1"}': entries.about_identity(
        Kind.IDENTITY_ENROLLED, IDENTITY, NOW, PHONE, {"role": "device"}, {"csr": b"\0"}
    ),
    b'{"actor":"operator o1","kind":"identity.invited",' + TIME
    + b',"workstation_id":"i1"}': entries.about_identity(
        Kind.IDENTITY_INVITED, of(Role.WORKSTATION), NOW, OLGA
    ),
    b'{"actor":"operator o1","kind":"identity.removed",' + TIME + b"}": entries.about_identity(
        Kind.IDENTITY_REMOVED, of(Role.AUDITOR), NOW, OLGA
    ),
    b'{"actor":"keystore",' + ABOUT
    + b',"details":{"alert":"not-me","alert_id":"a1","text":"look"},"kind":"alert.raised",'
    + TIME
    + b',"user_id":"u1"}': entries.about_alert(
        Kind.ALERT_RAISED, ALERT, NOW, KEYSTORE, {"text": "look"}
    ),
}  # fmt: skip


@pytest.mark.parametrize("line", MADE)
def test_an_entry_byte_for_byte(line: bytes) -> None:
    assert encode(MADE[line]) == line


@pytest.mark.parametrize("line", MADE)
def test_a_line_of_before_is_read_and_would_be_written_again(line: bytes) -> None:
    read = decode(line)
    assert read == MADE[line]
    assert encode(read) == line


def test_what_a_decision_can_be_checked_by() -> None:
    native = Approval("d1", Decision.APPROVE, "", b"signature")
    passkey = replace(native, assertion=Assertion(b"data", b"json"))
    signed = {"payload": b"payload", "device_signature": b"signature"}
    assert entries.approval_evidence(b"payload", native) == signed
    assert entries.approval_evidence(b"payload", passkey) == {
        **signed,
        "authenticator_data": b"data",
        "client_data": b"json",
    }


def test_nobody_else_makes_entries() -> None:
    """Where one is made by hand a subject is forgotten sooner or later."""
    makers = {
        name
        for name, path in modules()
        if name.startswith("cloud_keystore.")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "Entry"
    }
    assert makers == {"cloud_keystore.audit.entries", "cloud_keystore.model.journal"}
