"""The payload says everything that the holder decides about."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from card_os.piv.names import Algorithm
from card_os.uses import KeyUse
from cloud_keystore.approval import payload
from cloud_keystore.approval.payload import Asked
from cloud_keystore.model.cards import Card, CardState, Key
from cloud_keystore.model.errors import ApprovalRejected
from cloud_keystore.model.people import Identity, IdentityState, Role, User
from cloud_keystore.model.policies import SessionTerms
from cloudcard.approval.v1 import approval_pb2

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
TERMS = SessionTerms(20, timedelta(minutes=5))
ASKED = Asked(
    operation_id="op",
    key_use=KeyUse.DECRYPT,
    key=Key("key", "card", 0x9D, Algorithm.RSA_2048, b"certificate", NOW),
    card=Card("card", "1000", bytes(16), "ada", "p256", CardState.ACTIVE, NOW, NOW),
    user=User("ada", "Ada Byron", "ada@example.org", NOW),
    workstation=Identity(
        *("pc", Role.WORKSTATION, IdentityState.ACTIVE, "WARD7-PC3", "Ward 7"),
        *(None, b"\xcc" * 32, None, NOW),
    ),
    application="mail",
    inputs=(b"one", b"two"),
    session=TERMS,
    organisation="Hospital",
    policy="default/3",
    factors=("passcode",),
    create_time=NOW,
    expire_time=NOW + timedelta(minutes=2),
    nonce=b"nonce",
    number_commitment=b"commitment",
    request_id=b"request",
)


def test_each_field_says_what_the_keystore_knows() -> None:
    said = payload.decode(payload.encode(ASKED))
    assert said.version == payload.VERSION == 2
    assert (said.operation_id, said.key_use) == ("op", approval_pb2.KEY_USE_DECRYPT)
    assert (said.key_id, said.key_ref) == ("key", 0x9D)
    assert said.algorithm == approval_pb2.ALGORITHM_RSA_2048
    assert said.certificate_sha256 == sha256(b"certificate").digest()
    assert (said.card_serial, said.user_id) == ("1000", "ada")
    assert said.user_display_name == "Ada Byron"
    assert list(said.input_sha256) == [sha256(each).digest() for each in (b"one", b"two")]
    assert said.workstation == approval_pb2.WorkstationClaim(
        workstation_id="pc",
        display_name="WARD7-PC3",
        site="Ward 7",
        certificate_sha256=b"\xcc" * 32,
    )
    assert (said.application, said.organisation) == ("mail", "Hospital")
    assert (said.policy, list(said.factors)) == ("default/3", ["passcode"])
    assert said.create_time.ToDatetime(UTC) == NOW
    assert said.expire_time.ToDatetime(UTC) == NOW + timedelta(minutes=2)
    assert (said.nonce, said.number_commitment) == (b"nonce", b"commitment")
    assert said.request_id == b"request"
    assert payload.session_terms(said.session) == TERMS


def test_without_a_session_or_a_certificate_of_the_workstation() -> None:
    bare = replace(ASKED.workstation, certificate_sha256=None)
    said = payload.decode(payload.encode(replace(ASKED, session=None, workstation=bare)))
    assert not said.HasField("session")
    assert said.workstation.certificate_sha256 == b""


def test_the_same_content_has_the_same_bytes() -> None:
    assert payload.encode(ASKED) == payload.encode(replace(ASKED))
    assert payload.encode(ASKED) != payload.encode(replace(ASKED, nonce=b"other"))


@pytest.mark.parametrize("raw", [b"\xff", b"\x0a\x05cut"])
def test_what_is_no_message_is_refused(raw: bytes) -> None:
    with pytest.raises(ApprovalRejected, match="cannot be read"):
        payload.decode(raw)


LISTED = replace(ASKED, session=None, documents=("first", "second"))


def test_documents_are_listed_in_a_version_of_their_own() -> None:
    raw = payload.encode(LISTED)
    said = payload.decode(raw)
    assert said.version == payload.DOCUMENTS_VERSION == 4
    assert list(said.documents) == ["first", "second"]
    assert list(said.input_sha256) == [sha256(each).digest() for each in (b"one", b"two")]
    assert payload.lists_documents(raw)
    assert not payload.lists_documents(payload.encode(ASKED))


@pytest.mark.parametrize(
    ("version", "documents"), [(4, []), (4, ["one"]), (4, ["one"] * 3), (2, ["one", "two"])]
)
def test_a_list_of_another_length_is_refused(version: int, documents: list[str]) -> None:
    said = approval_pb2.Payload.FromString(payload.encode(LISTED))
    said.version = version
    said.documents[:] = documents
    with pytest.raises(ApprovalRejected, match=f"lists {len(documents)} for"):
        payload.decode(said.SerializeToString())


@pytest.mark.parametrize("version", [0, 1, 3, 5])
def test_another_version_is_refused(version: int) -> None:
    raw = approval_pb2.Payload(version=version).SerializeToString()
    with pytest.raises(ApprovalRejected, match=f"has version {version}, not 2"):
        payload.decode(raw)
