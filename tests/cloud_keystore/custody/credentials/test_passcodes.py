"""Three tries, counted before the comparison, restored by the right passcode, the PUK or the RA."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from sqlalchemy import func, select, update

from card_os.piv.names import KeyRef
from cloud_keystore.custody.credentials.hashing import Hashing
from cloud_keystore.custody.credentials.passcodes import Passcodes
from cloud_keystore.model.cards import CardState
from cloud_keystore.model.errors import (
    CardNotFound,
    CardNotInUse,
    InvalidInput,
    KeyNotFound,
    PasscodeAlreadySet,
    PasscodeNeeded,
    SessionClosed,
)
from cloud_keystore.model.passcodes import Mismatch, PolicyViolation, Verified, violated_rule
from cloud_keystore.model.people import User
from cloud_keystore.storage import passcodes, tables
from support.keystore_world import OPERATOR, PASSCODE, SESSIONS, Enrolled, World

WRONG = b"000000"


def test_three_tries(world: World, serial: str, pc: Enrolled) -> None:
    outcomes = [world.passcodes.verify(serial, KeyRef.PIN, WRONG, pc.identity) for _ in range(4)]
    assert outcomes == [Mismatch(2), Mismatch(1), Mismatch(0), Mismatch(0)]
    assert world.passcodes.verify(serial, KeyRef.PIN, PASSCODE, pc.identity) == Mismatch(0)
    assert world.cards.find(serial).passcode_state == "locked"


def test_the_right_one_restores_the_tries(world: World, serial: str, pc: Enrolled) -> None:
    world.passcodes.verify(serial, KeyRef.PIN, WRONG, pc.identity)
    assert isinstance(world.passcodes.verify(serial, KeyRef.PIN, PASSCODE, pc.identity), Verified)
    assert world.passcodes.status(serial, KeyRef.PIN).tries_left == 3


def test_the_try_is_spent_before_the_comparison(world: World, serial: str, pc: Enrolled) -> None:
    class Crash(Exception):
        pass

    class DyingHasher:
        def verify(self, *_: object) -> bool:
            raise Crash

    dying = replace(world.passcodes, hasher=DyingHasher())  # type: ignore[arg-type]
    with pytest.raises(Crash):
        dying.verify(serial, KeyRef.PIN, PASSCODE, pc.identity)
    with world.database.read() as connection:
        card = world.cards.find(serial).card
        assert passcodes.tries_left(connection, card.id, KeyRef.PIN) == 2


def test_guesses_at_once_get_no_free_try(world: World, serial: str, pc: Enrolled) -> None:
    outcomes: list[object] = []
    guesses = [
        threading.Thread(
            target=lambda: outcomes.append(
                world.passcodes.verify(serial, KeyRef.PIN, WRONG, pc.identity)
            )
        )
        for _ in range(8)
    ]
    for guess in guesses:
        guess.start()
    for guess in guesses:
        guess.join()
    assert sorted(each.tries_left for each in outcomes if isinstance(each, Mismatch)) == [
        0, 0, 0, 0, 0, 0, 1, 2,
    ]  # fmt: skip


def test_the_registration_authority_unlocks(world: World, serial: str, pc: Enrolled) -> None:
    for _ in range(3):
        world.passcodes.verify(serial, KeyRef.PIN, WRONG, pc.identity)
    world.unlock(serial)
    assert isinstance(world.passcodes.verify(serial, KeyRef.PIN, PASSCODE, pc.identity), Verified)


def test_the_puk_sets_a_new_passcode(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    serial = world.issuing.issue(b"\1" * 16, ada[0].id, "p256", actor=OPERATOR).card.serial
    puk = world.passcodes.set_first(serial, PASSCODE, ada[1].identity).encode()
    for _ in range(3):
        world.passcodes.verify(serial, KeyRef.PIN, WRONG, pc.identity)
    wrong_puk = b"00000000" if puk != b"00000000" else b"00000001"
    assert world.passcodes.reset(serial, wrong_puk, b"246802", pc.identity) == Mismatch(2)
    bad = world.passcodes.reset(serial, puk, b"12", pc.identity)
    assert bad == PolicyViolation("6 to 8 digits")
    assert world.passcodes.status(serial, KeyRef.PIN).tries_left == 0
    assert isinstance(world.passcodes.reset(serial, puk, b"246802", pc.identity), Verified)
    assert isinstance(world.passcodes.verify(serial, KeyRef.PIN, b"246802", pc.identity), Verified)
    assert world.passcodes.status(serial, KeyRef.PUK).tries_left == 3


def test_change(world: World, serial: str, pc: Enrolled) -> None:
    verify, change = world.passcodes.verify, world.passcodes.change
    assert change(serial, KeyRef.PIN, WRONG, b"246802", pc.identity) == Mismatch(2)
    assert isinstance(change(serial, KeyRef.PIN, PASSCODE, b"246802", pc.identity), Verified)
    assert verify(serial, KeyRef.PIN, PASSCODE, pc.identity) == Mismatch(2)
    assert isinstance(verify(serial, KeyRef.PIN, b"246802", pc.identity), Verified)


def test_a_bad_new_passcode_costs_no_try(world: World, serial: str, pc: Enrolled) -> None:
    change = world.passcodes.change
    assert change(serial, KeyRef.PIN, PASSCODE, b"12", pc.identity) == PolicyViolation(
        "6 to 8 digits"
    )
    assert world.passcodes.status(serial, KeyRef.PIN).tries_left == 3
    assert isinstance(world.passcodes.verify(serial, KeyRef.PIN, PASSCODE, pc.identity), Verified)


def test_a_wrong_passcode_is_told_before_a_bad_new_one(
    world: World, serial: str, pc: Enrolled
) -> None:
    change, reset = world.passcodes.change, world.passcodes.reset
    assert change(serial, KeyRef.PIN, WRONG, b"12", pc.identity) == Mismatch(2)
    assert reset(serial, b"", b"", pc.identity) == Mismatch(2)


@pytest.mark.parametrize(
    ("passcode", "good"),
    [
        (b"135790", True),
        (b"13579024", True),
        (b"12345", False),
        (b"123456789", False),
        (b"12345a", False),
        (b"", False),
        ("١٢٣٤٥٦".encode(), False),
    ],
)
def test_what_may_be_a_passcode(passcode: bytes, good: bool) -> None:
    assert (violated_rule(KeyRef.PIN, passcode) is None) is good


def test_the_first_passcode_is_the_holders_and_set_once(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    serial = world.issuing.issue(b"\2" * 16, ada[0].id, "p256", actor=OPERATOR).card.serial
    assert world.cards.find(serial).card.state is CardState.PENDING
    with pytest.raises(CardNotInUse):
        world.passcodes.verify(serial, KeyRef.PIN, PASSCODE, pc.identity)
    mallory, _ = world.user("Mallory")
    for nobodys in (serial, "999999"):
        with pytest.raises(CardNotFound):
            world.passcodes.set_first(nobodys, PASSCODE, world.phone_of(mallory))
    with pytest.raises(InvalidInput):
        world.passcodes.set_first(serial, b"12", ada[1].identity)
    world.passcodes.set_first(serial, PASSCODE, ada[1].identity)
    with pytest.raises(PasscodeAlreadySet):
        world.passcodes.set_first(serial, b"246802", ada[1].identity)


def test_no_passcode_in_the_database(world: World, serial: str, tmp_path: Path) -> None:
    assert world.cards.find(serial)
    world.database.close()
    for file in tmp_path.iterdir():
        assert PASSCODE not in file.read_bytes()


def test_the_puk_is_no_passcode_to_verify(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    serial = world.issuing.issue(b"\1" * 16, ada[0].id, "p256", actor=OPERATOR).card.serial
    puk = world.passcodes.set_first(serial, PASSCODE, ada[1].identity).encode()
    with pytest.raises(KeyNotFound, match="PUK"):
        world.passcodes.verify(serial, KeyRef.PUK, puk, pc.identity)
    assert world.passcodes.status(serial, KeyRef.PUK).tries_left == 3


def test_a_change_ends_what_was_proved_before(world: World, serial: str, pc: Enrolled) -> None:
    proof = world.proof(serial, pc)
    world.passcodes.change(serial, KeyRef.PIN, PASSCODE, b"246802", pc.identity)
    with pytest.raises(PasscodeNeeded):
        world.ask(serial, pc, proof=proof)


def test_a_hash_holds_for_its_card_and_reference_alone(
    world: World, ada: tuple[User, Enrolled], serial: str, pc: Enrolled
) -> None:
    """Whoever writes to the database cannot put a known passcode's hash elsewhere."""
    puk_known = world.issuing.issue(b"\3" * 16, ada[0].id, "p256", actor=OPERATOR).card.serial
    puk = world.passcodes.set_first(puk_known, b"246802", ada[1].identity).encode()
    source, target = (world.cards.find(each).card.id for each in (puk_known, serial))
    columns = tables.passcode.c
    moved = {
        (source, KeyRef.PIN): (serial, KeyRef.PIN, b"246802"),
        (source, KeyRef.PUK): (puk_known, KeyRef.PIN, puk),
    }
    for (card_id, key_ref), (at, to, passcode) in moved.items():
        row = (columns.card_id == (target if at == serial else source)) & (columns.key_ref == to)
        copied = (columns.card_id == card_id) & (columns.key_ref == key_ref)
        with world.database.write() as connection:
            known = connection.execute(select(columns.hash).where(copied)).scalar_one()
            connection.execute(update(tables.passcode).where(row).values(hash=known))
        assert world.passcodes.verify(at, to, passcode, pc.identity) == Mismatch(2)


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
    card = world.cards.find(serial).card
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
