"""A proof that a passcode was given ends with the passcode, and is earned by nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from argon2 import PasswordHasher
from sqlalchemy import func, select

from card_os.piv.names import KeyRef
from cloud_keystore.custody.credentials.hashing import Hashing
from cloud_keystore.custody.credentials.passcodes import Passcodes
from cloud_keystore.model.errors import CardNotInUse, PasscodeNeeded, SessionClosed
from cloud_keystore.model.passcodes import Mismatch, Verified
from cloud_keystore.model.people import User
from cloud_keystore.storage import passcodes, tables
from support.keystore_world import OPERATOR, PASSCODE, SESSIONS, Enrolled, World

WRONG = b"000000"


class Interrupted:
    """A hasher that lets something else happen between the comparison and what follows it."""

    def __init__(self, hasher: PasswordHasher, meanwhile: Callable[[], object]) -> None:
        self._hasher, self._meanwhile = hasher, [meanwhile]

    def verify(self, hashed: str, passcode: bytes) -> bool:
        try:
            return self._hasher.verify(hashed, passcode)
        finally:
            while self._meanwhile:
                self._meanwhile.pop()()

    def hash(self, passcode: bytes) -> str:
        return self._hasher.hash(passcode)


def interrupted(world: World, meanwhile: Callable[[], object]) -> Passcodes:
    hasher = Interrupted(world.passcodes.hasher, meanwhile)
    return replace(world.passcodes, hasher=hasher, hashing=Hashing())  # type: ignore[arg-type]


def proofs(world: World) -> int:
    with world.database.read() as connection:
        return connection.execute(
            select(func.count()).select_from(tables.passcode_proof)
        ).scalar_one()


def test_a_passcode_changed_during_its_check_is_wrong(
    world: World, serial: str, pc: Enrolled
) -> None:
    """The attack: who knows an old passcode verifies it while its holder changes it. The change
    dropped all proofs, and then the check of the old passcode added one, good for 12 hours: 44 of
    44 times.
    """

    def change() -> None:
        world.passcodes.change(serial, KeyRef.PIN, PASSCODE, b"246802", pc.identity)

    elsewhere = world.workstation("WARD8-PC1")
    racing = interrupted(world, change)
    assert racing.verify(serial, KeyRef.PIN, PASSCODE, elsewhere.identity) == Mismatch(2)
    assert world.passcodes.status(serial, KeyRef.PIN).tries_left == 2
    assert proofs(world) == 1  # of the workstation where it was changed


def test_two_changes_at_once_are_one_after_the_other(
    world: World, serial: str, pc: Enrolled
) -> None:
    def change() -> None:
        world.passcodes.change(serial, KeyRef.PIN, PASSCODE, b"246802", pc.identity)

    racing = interrupted(world, change)
    assert racing.change(serial, KeyRef.PIN, PASSCODE, b"135792", pc.identity) == Mismatch(2)
    assert isinstance(world.passcodes.verify(serial, KeyRef.PIN, b"246802", pc.identity), Verified)


def test_a_card_suspended_during_a_check_gets_no_proof(
    world: World, serial: str, pc: Enrolled
) -> None:
    """The attack: a check that began before a suspension added a proof after it, which was good
    again when the card was resumed.
    """
    racing = interrupted(world, lambda: world.cards.suspend(serial, actor=OPERATOR))
    with pytest.raises(CardNotInUse):
        racing.verify(serial, KeyRef.PIN, PASSCODE, pc.identity)
    assert not proofs(world)


def test_the_puk_earns_no_proof(world: World, ada: tuple[User, Enrolled], pc: Enrolled) -> None:
    """The attack: who knows the PUK changes it to itself, which leaves no trace on the card, and
    got a proof of the PIN.
    """
    serial = world.issuing.issue(b"\4" * 16, ada[0].id, "p256", actor=OPERATOR).card.serial
    puk = world.passcodes.set_first(serial, PASSCODE, ada[1].identity).encode()
    assert world.passcodes.change(serial, KeyRef.PUK, puk, puk, pc.identity) == Verified(b"")
    assert world.passcodes.reset(serial, puk, b"246802", pc.identity) == Verified(b"")
    assert not proofs(world)
    with pytest.raises(PasscodeNeeded):
        world.ask(serial, pc, proof=b"")


def test_a_new_puk_leaves_what_the_pin_has_opened(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    serial = world.issuing.issue(b"\4" * 16, ada[0].id, "p256", actor=OPERATOR).card.serial
    puk = world.passcodes.set_first(serial, PASSCODE, ada[1].identity).encode()
    proof = world.proof(serial, pc)
    world.passcodes.change(serial, KeyRef.PUK, puk, b"27182819", pc.identity)
    assert world.ask(serial, pc, proof=proof)
    world.passcodes.reset(serial, b"27182819", b"246802", pc.identity)
    with pytest.raises(PasscodeNeeded):
        world.ask(serial, pc, proof=proof)


def test_a_blocked_passcode_ends_its_proofs_and_sessions(
    world: World, ada: tuple[User, Enrolled], serial: str, pc: Enrolled
) -> None:
    """The attack: a proof taken from a workstation was good for 12 hours, although the passcode
    was blocked meanwhile; and again after it was unblocked.
    """
    world.set_policy(SESSIONS)
    session = world.session(serial, pc, ada[1])
    proof = world.proof(serial, pc)
    for _ in range(3):
        world.passcodes.verify(serial, KeyRef.PIN, WRONG, pc.identity)
    with pytest.raises(PasscodeNeeded):
        world.ask(serial, pc, proof=proof)
    with pytest.raises(SessionClosed):
        world.use(session, pc)
    assert not proofs(world)


def test_no_proof_holds_while_a_crash_hides_that_its_passcode_is_blocked(
    world: World, serial: str, pc: Enrolled
) -> None:
    """The last try is spent, and the process dies before the comparison has ended."""
    proof = world.proof(serial, pc)
    card = world.find(serial).card
    with world.database.write() as connection:
        while passcodes.spend_try(connection, card.id, KeyRef.PIN, world.clock()):
            pass
    with pytest.raises(PasscodeNeeded):
        world.ask(serial, pc, proof=proof)


def test_a_blocked_pin_leaves_the_global_pin(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    serial = world.card(ada[0], "global-pin")
    proof = world.passcodes.verify(serial, KeyRef.GLOBAL_PIN, PASSCODE, pc.identity)
    assert isinstance(proof, Verified)
    for _ in range(3):
        world.passcodes.verify(serial, KeyRef.PIN, WRONG, pc.identity)
    assert world.ask(serial, pc, proof=proof.proof)
