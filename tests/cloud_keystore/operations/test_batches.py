"""Batches: so many uses under one approval, and not one that was not listed."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from card_os.uses import KeyUse
from cloud_keystore.custody.use import results
from cloud_keystore.model.errors import (
    ApprovalRejected,
    InvalidInput,
    MalformedKeyInput,
    OperationBusy,
)
from cloud_keystore.model.operations import State
from cloud_keystore.model.people import User
from cloud_keystore.model.policies import MOST_INPUTS, Policy
from cloud_keystore.storage import operations
from support.keystore_world import DIGEST, Enrolled, World, verify

DIGESTS = tuple(bytes([n]) * 32 for n in range(1, 5))
LARGE = Policy(largest_batch=MOST_INPUTS, largest_commitment_batch=MOST_INPUTS)


@pytest.fixture
def world(world: World) -> World:
    """A keystore whose policy allows batches."""
    world.set_policy(LARGE)
    return world


@given(st.lists(st.binary(max_size=600), max_size=20))
def test_results_are_kept_in_order(made: list[bytes]) -> None:
    assert results.decode(results.encode(made)) == made


@given(st.binary(max_size=40))
def test_any_bytes_are_results_or_none(encoded: bytes) -> None:
    try:
        made = results.decode(encoded)
    except ValueError:
        return
    assert results.encode(made) == encoded


def test_one_approval_signs_all_of_them_once(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    serial = world.card(ada[0])
    operation = world.ask(serial, pc, *DIGESTS, key_ref=0x9C)
    world.decide(operation, ada[1])
    made = world.activation.perform(operation.id, DIGESTS, pc.identity).results
    for digest, signature in zip(DIGESTS, made, strict=True):
        verify(world, serial, 0x9C, signature, digest)
    assert world.activation.perform(operation.id, DIGESTS, pc.identity).results == made


@pytest.mark.parametrize(
    "inputs",
    [
        (*DIGESTS[:3], b"\x99" * 32),  # one swapped
        (DIGESTS[1], DIGESTS[0], *DIGESTS[2:]),  # reordered
        DIGESTS[:3],  # one dropped
        (*DIGESTS, DIGESTS[0]),  # one added
        (*DIGESTS, b""),
        (b"".join(DIGESTS),),
        (),
    ],
)
def test_another_batch_than_the_approved_one_is_refused(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, inputs: Sequence[bytes]
) -> None:
    operation = world.ask(world.card(ada[0]), pc, *DIGESTS)
    world.decide(operation, ada[1])
    with pytest.raises(ApprovalRejected, match="input"):
        world.activation.perform(operation.id, inputs, pc.identity)
    assert world.activation.perform(operation.id, DIGESTS, pc.identity).results
    with pytest.raises(ApprovalRejected, match="input"):
        world.activation.perform(operation.id, inputs, pc.identity)


def test_each_input_is_checked(world: World, ada: tuple[User, Enrolled], pc: Enrolled) -> None:
    with pytest.raises(MalformedKeyInput):
        world.ask(world.card(ada[0]), pc, *DIGESTS, b"\x11" * 65)


@pytest.mark.parametrize(
    ("policy", "key_ref", "most"),
    [
        (Policy(), 0x9A, 1),
        (Policy(), 0x9C, 1),
        (Policy(largest_batch=MOST_INPUTS), 0x9A, MOST_INPUTS),
        (Policy(largest_batch=MOST_INPUTS), 0x9C, 1),
        (Policy(largest_commitment_batch=2), 0x9A, 1),
        (Policy(largest_commitment_batch=2), 0x9C, 2),
    ],
)
def test_a_policy_bounds_a_batch(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, policy: Policy, key_ref: int, most: int
) -> None:
    """The attack: malware put 249 signatures of its own under the approval of one, because without
    a policy an approval covered 250.
    """
    world.set_policy(policy)
    serial = world.card(ada[0])
    assert world.ask(serial, pc, *[DIGEST] * most, key_ref=key_ref).state is State.PENDING
    allowed = "1" if most == 1 else f"1 to {most}"
    with pytest.raises(InvalidInput, match=f"allows {allowed}$"):
        world.ask(serial, pc, *[DIGEST] * (most + 1), key_ref=key_ref)


def test_a_batch_that_fails_half_way_gives_nothing_and_is_spent(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    peer = ec.generate_private_key(ec.SECP256R1()).public_key()
    good = peer.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    bad = b"\x04" + b"\x01" * 64
    operation = world.ask(world.card(ada[0]), pc, good, bad, key_ref=0x9D, key_use=KeyUse.AGREE)
    world.decide(operation, ada[1])
    with pytest.raises(MalformedKeyInput):
        world.activation.perform(operation.id, [good, bad], pc.identity)
    assert world.state(operation) is State.FAILED


def test_a_batch_under_way_is_not_begun_again(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    operation = world.ask(world.card(ada[0]), pc, *DIGESTS)
    world.decide(operation, ada[1])
    with world.database.write() as connection:
        assert operations.start_use(connection, operation.id, world.clock())
    with pytest.raises(OperationBusy):
        world.activation.perform(operation.id, DIGESTS, pc.identity)
