"""Policies: which one holds, what it changes, and that no version of one ever changes."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from cloud_keystore.approval import payload
from cloud_keystore.model import policies as model
from cloud_keystore.model.errors import (
    InvalidInput,
    OrganisationExists,
    OrganisationNotFound,
    PasscodeNeeded,
)
from cloud_keystore.model.journal import Kind, decode
from cloud_keystore.model.operations import Channel
from cloud_keystore.model.people import User
from cloud_keystore.model.policies import Policy, PolicyVersion, SessionTerms
from cloud_keystore.storage import policies, tables
from support.keystore_world import OPERATOR, Enrolled, World

TERMS = st.builds(
    SessionTerms,
    st.integers(1, model.MOST_SESSION_USES),
    st.integers(1, 12 * 3600).map(lambda seconds: timedelta(seconds=seconds)),
)
PASSKEYS = st.just((False, frozenset[str]())) | st.tuples(
    st.just(True), st.frozensets(st.uuids().map(str), max_size=3)
)
POLICIES = st.builds(
    lambda passkeys, **more: Policy(passkeys=passkeys[0], passkey_models=passkeys[1], **more),
    passkeys=PASSKEYS,
    passwordless=st.booleans(),
    largest_batch=st.integers(1, model.MOST_INPUTS),
    largest_commitment_batch=st.integers(1, model.MOST_INPUTS),
    session=st.none() | TERMS,
    channels=st.sets(st.sampled_from(Channel), min_size=1).map(frozenset),
    synced_passkeys=st.booleans(),
    survey_after=st.integers(0, 1000),
    unlock_code_time=st.integers(300, 43_200).map(lambda each: timedelta(seconds=each)),
)
DOCUMENT = model.encode(Policy(session=SessionTerms(5, timedelta(minutes=1))))


@given(POLICIES)
def test_a_policy_reads_back(policy: Policy) -> None:
    assert model.decode(model.encode(policy)) == policy


@given(st.text() | st.recursive(st.none() | st.integers(), st.lists).map(json.dumps))
def test_any_text_is_a_policy_or_none(document: str) -> None:
    with pytest.raises(InvalidInput):
        model.decode(document)


@pytest.mark.parametrize(
    "document",
    [
        DOCUMENT + " ",
        DOCUMENT.replace(":false", ":0"),
        DOCUMENT.replace('"largest_batch":1', '"largest_batch":251'),
        DOCUMENT.replace('"largest_batch":1', '"largest_batch":1.0'),
        DOCUMENT.replace('"largest_commitment_batch":1', '"largest_commitment_batch":0'),
        DOCUMENT.replace('"most_uses":5', '"most_uses":0'),
        DOCUMENT.replace('"seconds":60', '"seconds":43201'),
        DOCUMENT.replace('"PUSH"', '"SMS"'),
        DOCUMENT.replace("{", '{"more":1,', 1),
        DOCUMENT.replace('"passkeys":true,', ""),
        DOCUMENT.replace('"passkey_models":[]', '"passkey_models":[1]'),
        DOCUMENT.replace('"passkey_models":[]', '"passkey_models":["yubikey"]'),
        DOCUMENT.replace('"unlock_code_seconds":3600', '"unlock_code_seconds":299'),
        DOCUMENT.replace('"unlock_code_seconds":3600', '"unlock_code_seconds":43201'),
        DOCUMENT.replace('"survey_after":0', '"survey_after":1001'),
        DOCUMENT.replace('"survey_after":0', '"survey_after":false'),
    ],
)
def test_what_a_policy_says_is_never_guessed(document: str) -> None:
    assert document != DOCUMENT
    with pytest.raises(InvalidInput):
        model.decode(document)


def test_a_policy_of_before_has_one_largest_batch_for_all_keys() -> None:
    before = DOCUMENT.replace('"largest_batch":1', '"largest_batch":250')
    before = before.replace('"largest_commitment_batch":1,', "")
    policy = model.decode(before)
    assert (policy.largest_batch, policy.largest_commitment_batch) == (250, 250)
    with pytest.raises(InvalidInput):
        model.decode(before.replace(",", ", ", 1))


def test_a_policy_of_before_names_no_models_of_passkeys() -> None:
    before = DOCUMENT.replace('"passkey_models":[],', "")
    assert before != DOCUMENT
    assert model.decode(before) == model.decode(DOCUMENT)


def test_a_policy_of_before_has_codes_for_an_hour_and_asks_nobody() -> None:
    before = DOCUMENT.replace(',"unlock_code_seconds":3600', "")
    before = before.replace('"survey_after":0,', "")
    assert len(before) < len(DOCUMENT) - 40
    policy = model.decode(before)
    assert (policy.unlock_code_time, policy.survey_after) == (timedelta(hours=1), 0)


def test_the_most_specific_one_holds(world: World) -> None:
    operator = world.enrol(world.people.add_operator("Operator", actor=OPERATOR).text).identity
    own = world.organisations.add("St Elsewhere", operator).id
    places = [("", ""), ("", "v2"), (own, ""), (own, "v2")]
    for number, (organisation_id, profile) in enumerate(places, 1):
        policy = Policy(largest_batch=number)
        made = world.organisations.set_policy(organisation_id, profile, policy, operator)
        assert _in_force(world, own, "v2") == made
    assert _in_force(world, own, "p256").policy.largest_batch == 3
    assert _in_force(world, "default", "v2").policy.largest_batch == 2
    assert _in_force(world, "default", "p256").policy.largest_batch == 1
    again = world.organisations.set_policy("", "v2", Policy(), operator)
    assert (again.version, again.name) == (2, "*/v2/2")
    assert _in_force(world, "default", "v2") == again
    assert len(world.organisations.list_policies(earlier=False, actor=world.actor)) == 4
    assert len(world.organisations.list_policies(earlier=True, actor=world.actor)) == 5
    with world.database.read() as connection:
        entries = connection.execute(select(tables.journal.c.entry)).scalars()
        told = [entry for entry in map(decode, entries) if entry.kind is Kind.POLICY_SET]
    assert [entry.details["policy"] for entry in told][-1] == "*/v2/2"
    assert str(told[-1].actor) == f"operator {operator.id}"


def _in_force(world: World, organisation_id: str, profile: str) -> PolicyVersion:
    with world.database.read() as connection:
        return policies.in_force(connection, organisation_id, profile)


def test_wrong_places_and_names(world: World) -> None:
    operator = world.enrol(world.people.add_operator("Operator", actor=OPERATOR).text).identity
    with pytest.raises(OrganisationNotFound):
        world.organisations.set_policy("nobody", "", Policy(), operator)
    with pytest.raises(InvalidInput):
        world.organisations.set_policy("", "v99", Policy(), operator)
    with pytest.raises(InvalidInput):
        world.organisations.add(" ", operator)
    with pytest.raises(OrganisationExists):
        world.organisations.add("Default", operator)


def test_the_one_in_force_stands_in_payload_and_operation(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    serial = world.card(ada[0])
    before = world.ask(serial, pc)
    name = world.set_policy(Policy(), profile="p256")
    after = world.ask(serial, pc)
    for operation, said in ((before, "*/*/0"), (after, name)):
        assert payload.decode(operation.payload).policy == operation.policy == said
    assert payload.decode(after.payload).organisation == "Default"


def test_without_a_passcode(world: World, ada: tuple[User, Enrolled], pc: Enrolled) -> None:
    world.set_policy(Policy(passwordless=True))
    serial = world.card(ada[0])
    operation = world.ask(serial, pc, proof=b"")
    assert list(payload.decode(operation.payload).factors) == []
    world.decide(operation, ada[1])
    assert world.perform(operation, pc)
    with pytest.raises(PasscodeNeeded):
        world.ask(serial, pc, key_ref=0x9C, proof=b"")


def test_with_a_passcode_again_from_now_on(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    world.set_policy(Policy(passwordless=True))
    serial = world.card(ada[0])
    world.set_policy(Policy())
    with pytest.raises(PasscodeNeeded):
        world.ask(serial, pc, proof=b"")


def test_a_policy_bounds_the_ways_to_the_holder(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    world.set_policy(Policy(channels=frozenset({Channel.QR})))
    serial = world.card(ada[0])
    with pytest.raises(InvalidInput, match="QR"):
        world.ask(serial, pc)
    assert world.ask(serial, pc, channels=Channel).channels == {Channel.QR}
