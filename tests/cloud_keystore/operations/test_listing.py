"""A request lists its documents on phones that can show them, and on no others."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from cloud_keystore.approval import payload
from cloud_keystore.model.errors import ApprovalRejected, InvalidInput, RequestIdReused
from cloud_keystore.model.operations import Operation, State
from cloud_keystore.model.people import User
from cloud_keystore.model.policies import MOST_INPUTS, Policy, SessionTerms
from cloud_keystore.operations.ringing import Ringing
from cloudcard.approval.v1 import approval_pb2
from support.keystore_world import OPERATOR, SESSIONS, Enrolled, World, verify

DIGESTS = tuple(bytes([n]) * 32 for n in range(1, 4))
TEXTS = ("2 items, A1", "1 item, B2", "3 items, C3")
OLD, NEW = "cloudcard/1.9 (android 15; sign-in)", "cloudcard/1.10 (android 15; sign-in, documents)"


@pytest.fixture
def world(world: World) -> World:
    """A keystore whose policy allows batches."""
    world.set_policy(Policy(largest_commitment_batch=MOST_INPUTS))
    return world


def said(operation: Operation) -> approval_pb2.Payload:
    return payload.decode(operation.payload)


def waiting(world: World, device: Enrolled, *, documents: bool) -> list[str]:
    ringing = Ringing(world.deciding, world.admitting, world.clock)
    found = ringing.waiting(device.identity, sign_ins=True, documents=documents)
    return [each.id for each in found]


def test_what_is_listed_is_what_is_signed(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    serial = world.card(ada[0])
    operation = world.ask(serial, pc, *DIGESTS, key_ref=0x9C, documents=TEXTS)
    assert (said(operation).version, tuple(said(operation).documents)) == (4, TEXTS)
    assert waiting(world, ada[1], documents=True) == [operation.id]
    world.decide(operation, ada[1])
    made = world.activation.perform(operation.id, DIGESTS, pc.identity).results
    for digest, signature in zip(DIGESTS, made, strict=True):
        verify(world, serial, 0x9C, signature, digest)


def test_a_phone_that_shows_no_list_is_sent_none(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    """The attack: a phone shows a request without the documents, and its holder approves them
    unseen.
    """
    serial = world.card(ada[0])
    listed = world.ask(serial, pc, *DIGESTS, key_ref=0x9C, documents=TEXTS)
    assert waiting(world, ada[1], documents=False) == []
    world.asking.cancel(listed.id, pc.identity)
    counted = world.ask(serial, pc, *DIGESTS, key_ref=0x9C)
    assert waiting(world, ada[1], documents=False) == [counted.id]


def test_who_has_earlier_phones_alone_sees_how_many_there_are(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    serial, first = world.card(ada[0]), ada[1]
    world.callers.heard(OLD, first.identity)
    operation = world.ask(serial, pc, *DIGESTS, key_ref=0x9C, documents=TEXTS)
    assert (said(operation).version, list(said(operation).documents)) == (2, [])
    assert waiting(world, first, documents=False) == [operation.id]
    world.decide(operation, first)
    assert world.activation.perform(operation.id, DIGESTS, pc.identity).results
    world.clock.forward(minutes=2)
    world.callers.heard(NEW, first.identity)
    assert said(world.ask(serial, pc, *DIGESTS, key_ref=0x9C, documents=TEXTS)).version == 4


@pytest.mark.parametrize("second", [NEW, "another/1.0"])
def test_one_phone_that_may_show_it_is_enough(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, second: str
) -> None:
    serial = world.card(ada[0])
    world.callers.heard(OLD, ada[1].identity)
    other = world.enrol(world.people.invite_device(ada[0].id, actor=OPERATOR).text)
    if second == NEW:
        world.callers.heard(second, other.identity)
    operation = world.ask(serial, pc, *DIGESTS, key_ref=0x9C, documents=TEXTS)
    assert said(operation).version == 4
    assert waiting(world, ada[1], documents=False) == []
    assert waiting(world, other, documents=True) == [operation.id]


def test_texts_are_not_changed_under_an_approval(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    """The attack: two texts are swapped on the way to the phone. What it signs then is no approval
    of the request.
    """
    serial = world.card(ada[0])
    operation = world.ask(serial, pc, *DIGESTS, key_ref=0x9C, documents=TEXTS)
    shown = said(operation)
    shown.documents[:] = [TEXTS[1], TEXTS[0], TEXTS[2]]
    swapped = replace(operation, payload=shown.SerializeToString(deterministic=True))
    with pytest.raises(ApprovalRejected, match="not over this request"):
        world.decide(swapped, ada[1])
    assert world.state(operation) is State.PENDING


def test_the_digest_binds_each_text_to_its_document(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    """The attack: the documents change their places after the approval, under the same texts."""
    serial = world.card(ada[0])
    operation = world.ask(serial, pc, *DIGESTS, key_ref=0x9C, documents=TEXTS)
    world.decide(operation, ada[1])
    with pytest.raises(ApprovalRejected, match="input"):
        world.activation.perform(operation.id, DIGESTS[::-1], pc.identity)


@pytest.mark.parametrize("texts", [TEXTS[:2], (*TEXTS, "one more"), ("a", "b", "\u202ec")])
def test_a_list_that_does_not_fit_asks_nobody(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, texts: tuple[str, ...]
) -> None:
    serial = world.card(ada[0])
    with pytest.raises(InvalidInput, match="document"):
        world.ask(serial, pc, *DIGESTS, key_ref=0x9C, documents=texts)
    assert waiting(world, ada[1], documents=True) == []


def test_a_session_lists_nothing(world: World, ada: tuple[User, Enrolled], pc: Enrolled) -> None:
    world.set_policy(SESSIONS)
    assert SESSIONS.session is not None
    terms = SessionTerms(1, SESSIONS.session.time)
    with pytest.raises(InvalidInput, match="1 documents for 0 inputs"):
        world.ask(world.card(ada[0]), pc, session=terms, documents=["one"])


def test_a_repeated_request_lists_the_same(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    serial, again = world.card(ada[0]), os.urandom(16)
    asked = {"key_ref": 0x9C, "request_id": again}
    made = world.ask(serial, pc, *DIGESTS, documents=TEXTS, **asked)  # type: ignore[arg-type]
    same = world.ask(serial, pc, *DIGESTS, documents=TEXTS, **asked)  # type: ignore[arg-type]
    assert same.id == made.id
    with pytest.raises(RequestIdReused):
        world.ask(serial, pc, *DIGESTS, documents=TEXTS[::-1], **asked)  # type: ignore[arg-type]
