"""Policies that name models of passkeys: what is attested under a configured root approves, and
nothing else.
"""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from cloud_keystore.approval import passkeys, statement
from cloud_keystore.approval.passkeys import Registration
from cloud_keystore.model.errors import ApprovalRejected, InvalidInput
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.operations import Decision, Operation, State
from cloud_keystore.model.people import User
from cloud_keystore.model.policies import Policy
from support.attesting import MODEL, OTHER_MODEL, Maker, new_maker
from support.keystore_world import (
    OPERATOR,
    RELYING_PARTY,
    Enrolled,
    World,
    csr,
    new_passkey,
    secret_of,
)

CHALLENGE = b"\x22" * 32
MAKER = new_maker()
POLICY = Policy(passkey_models=frozenset({MODEL}))


def model_of(registration: Registration, *makers: Maker) -> str:
    roots = [root for maker in makers for root in maker.roots]
    made = passkeys.register(registration, CHALLENGE, RELYING_PARTY, roots)
    return made.attested_model


def test_the_model_that_a_known_maker_attests() -> None:
    registration = MAKER.attest(new_passkey(), CHALLENGE)
    assert model_of(registration, MAKER) == MODEL
    assert model_of(registration, new_maker(), MAKER) == MODEL


@pytest.mark.parametrize(
    ("maker", "model"),
    [
        (new_maker(), MODEL),  # a root that nobody has configured
        (MAKER, OTHER_MODEL),  # another model than its certificate is for
        (replace(MAKER, certified=None), MODEL),
        (replace(MAKER, unit="Something else"), MODEL),
        (replace(MAKER, ca=True), MODEL),
    ],
    ids=["another root", "another model", "no extension", "another unit", "an authority"],
)
def test_what_attests_no_model(maker: Maker, model: str) -> None:
    registration = maker.attest(new_passkey(), CHALLENGE, model)
    assert model_of(registration, MAKER) == ""


def test_without_an_attestation_or_without_roots_there_is_no_model() -> None:
    made = new_passkey().create(CHALLENGE)
    plain = Registration(made.attestation_object, made.client_data)
    assert model_of(plain, MAKER) == ""
    assert model_of(MAKER.attest(new_passkey(), CHALLENGE)) == ""


def test_an_attestation_of_another_passkey_is_refused() -> None:
    one, other = (MAKER.attest(new_passkey(), CHALLENGE) for _ in range(2))
    with pytest.raises(InvalidInput):
        model_of(Registration(one.attestation_object, other.client_data + b" "), MAKER)


def phone(world: World, user: User, maker: Maker | None, model: str = MODEL) -> Enrolled:
    """A phone with a passkey, attested if there is a maker, at a keystore that knows one maker."""
    enrolment = replace(world.enrolment, attestation_roots=MAKER.roots)
    private, made = ec.generate_private_key(ec.SECP256R1()), new_passkey()
    secret = secret_of(world.people.invite_device(user.id, actor=OPERATOR).text)
    request = csr(private)
    challenge = statement.challenge(statement.enrolment(secret, request))
    created = made.create(challenge)
    registration = (
        Registration(created.attestation_object, created.client_data)
        if maker is None
        else maker.attest(made, challenge, model)
    )
    identity, _ = enrolment.enrol(secret, request, "phone", registration)
    return Enrolled(identity, private, passkey=made)


@pytest.fixture
def operation(world: World, ada: tuple[User, Enrolled], pc: Enrolled) -> Operation:
    return world.ask(world.card(ada[0]), pc)


def test_a_policy_that_names_models_takes_no_other_key(
    world: World, ada: tuple[User, Enrolled], operation: Operation, pc: Enrolled
) -> None:
    """The attack: a passkey or a key in a program, which anybody can copy, is enrolled where the
    registration authority counts on hardware.
    """
    world.set_policy(POLICY)
    refused = (
        ada[1],  # a native key
        phone(world, ada[0], None),
        phone(world, ada[0], new_maker()),
        phone(world, ada[0], replace(MAKER, certified=OTHER_MODEL), OTHER_MODEL),
    )
    for device in refused:
        with pytest.raises(ApprovalRejected, match="certain models"):
            world.decide(operation, device)
        assert world.state(operation) is State.PENDING
    attested = phone(world, ada[0], MAKER)
    assert world.decide(operation, attested) is State.APPROVED
    assert world.activation.perform(operation.id, [b"\x11" * 32], pc.identity)


def test_any_device_refuses_whatever_the_policy(
    world: World, ada: tuple[User, Enrolled], operation: Operation
) -> None:
    world.set_policy(POLICY)
    assert world.decide(operation, ada[1], Decision.DENY) is State.DENIED


def test_the_journal_holds_the_attestation(world: World, ada: tuple[User, Enrolled]) -> None:
    attested = phone(world, ada[0], MAKER)
    entry = world.journal(Kind.IDENTITY_ENROLLED)[-1]
    assert entry.device_id == attested.identity.id
    assert entry.details["model"] == MODEL
    assert b"packed" in entry.evidence["attestation_object"]
    phone(world, ada[0], None)
    assert "model" not in world.journal(Kind.IDENTITY_ENROLLED)[-1].details


@pytest.mark.parametrize("model", ["", "yubikey", MODEL.upper(), "0" * 36, f"{MODEL}\n"])
def test_what_is_no_model(model: str) -> None:
    with pytest.raises(InvalidInput, match="model"):
        Policy(passkey_models=frozenset({model}))


def test_a_policy_names_no_models_of_what_it_does_not_accept_and_not_too_many() -> None:
    with pytest.raises(InvalidInput, match="without passkeys"):
        Policy(passkeys=False, passkey_models=frozenset({MODEL}))
    many = frozenset(f"{number:08x}-8113-47ea-b116-{os.urandom(6).hex()}" for number in range(101))
    with pytest.raises(InvalidInput, match="at most 100"):
        Policy(passkey_models=many)
