"""Three tries, counted before the comparison, restored by the right passcode, the PUK or the RA."""

from __future__ import annotations

import threading
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from argon2.low_level import Type
from sqlalchemy import select

from card_os.piv.names import KeyRef
from cloud_keystore.custody.credentials.passcodes import new_hasher
from cloud_keystore.model.actors import KEYSTORE
from cloud_keystore.model.cards import CardState
from cloud_keystore.model.errors import (
    CardNotFound,
    CardNotInUse,
    InvalidInput,
    KeyNotFound,
    PasscodeAlreadySet,
    PasscodeNeeded,
    PukRefused,
    RecordDamaged,
)
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.passcodes import (
    Mismatch,
    PolicyViolation,
    Status,
    Verified,
    violated_rule,
)
from cloud_keystore.model.people import User
from cloud_keystore.model.policies import Policy
from cloud_keystore.storage import passcodes, tables
from cloud_keystore.storage.authentic import rows
from support.keystore_world import OPERATOR, PASSCODE, SESSIONS, Enrolled, World

WRONG = b"000000"
BEGUN = (Kind.PASSCODE_SET, Kind.CARD_ACTIVATED)
RIGHT = (Kind.PASSCODE_RIGHT, Kind.PASSCODE_SET, Kind.PASSCODE_UNBLOCKED)


def test_three_tries(world: World, serial: str, pc: Enrolled) -> None:
    outcomes = [world.passcodes.verify(serial, KeyRef.PIN, WRONG, pc.identity) for _ in range(4)]
    assert outcomes == [Mismatch(2), Mismatch(1), Mismatch(0), Mismatch(0)]
    assert world.passcodes.verify(serial, KeyRef.PIN, PASSCODE, pc.identity) == Mismatch(0)
    assert world.find(serial).passcode_state == "locked"


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
        card = world.find(serial).card
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
    assert world.find(serial).card.state is CardState.PENDING
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


def test_no_passcode_in_the_database(
    world: World, serial: str, pc: Enrolled, tmp_path: Path
) -> None:
    """One of eight digits, which are in no time or identifier by chance."""
    before = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    passcode = next(each for each in (b"13579024", b"27182819", b"86420913") if each not in before)
    changed = world.passcodes.change(serial, KeyRef.PIN, PASSCODE, passcode, pc.identity)
    assert isinstance(changed, Verified)
    world.database.close()
    for file in tmp_path.iterdir():
        assert passcode not in file.read_bytes()


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
    # It holds for the passcode's hash alone; that it is also gone is a second guard.
    with world.database.read() as connection:
        kept = connection.execute(select(tables.passcode_proof.c.sha256)).scalars().all()
    assert sha256(proof).digest() not in kept


def test_a_hash_holds_for_its_card_and_reference_alone(
    world: World, ada: tuple[User, Enrolled], serial: str, pc: Enrolled
) -> None:
    """Whoever writes to the database cannot put a known passcode's hash elsewhere."""
    puk_known = world.issuing.issue(b"\3" * 16, ada[0].id, "p256", actor=OPERATOR).card.serial
    puk = world.passcodes.set_first(puk_known, b"246802", ada[1].identity).encode()
    source, target = (world.find(each).card.id for each in (puk_known, serial))
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
            rows.change(connection, tables.passcode, [row], {"hash": known})
        assert world.passcodes.verify(at, to, passcode, pc.identity) == Mismatch(2)


def test_a_damaged_hash_is_no_wrong_passcode(world: World, serial: str, pc: Enrolled) -> None:
    with world.database.write() as connection:
        rows.change(connection, tables.passcode, [], {"hash": "junk"})
    with pytest.raises(RecordDamaged, match=r"passcode 80 .*\(InvalidHashError\)") as refusal:
        world.passcodes.verify(serial, KeyRef.PIN, PASSCODE, pc.identity)
    assert refusal.value.__cause__ is None
    assert world.journal(Kind.PASSCODE_WRONG, Kind.PASSCODE_RIGHT) == []


def test_a_passcode_is_the_known_one_when_it_is_set_to_it(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    serial = world.card(ada[0], "developer")
    for old, new, known in (
        (b"123456", PASSCODE, False),
        (PASSCODE, b"12345678", False),  # known as a PUK
        (b"12345678", b"123456", True),
    ):
        changed = world.passcodes.change(serial, KeyRef.PIN, old, new, pc.identity)
        assert isinstance(changed, Verified)
        assert world.passcodes.status(serial, KeyRef.PIN).factory is known


def test_a_card_in_production_has_no_known_passcode(
    world: World, serial: str, pc: Enrolled
) -> None:
    changed = world.passcodes.change(serial, KeyRef.PIN, PASSCODE, b"123456", pc.identity)
    assert isinstance(changed, PolicyViolation)
    assert not world.passcodes.status(serial, KeyRef.PIN).factory


def test_the_journal_tells_the_cards_own_number_of_tries(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    serial, at = world.card(ada[0], "developer"), pc.identity
    proof = world.proof(serial, pc)
    world.administration.set_tries(world.administrator(serial, pc), proof, 5, 7)
    world.passcodes.verify(serial, KeyRef.PIN, WRONG, at)
    world.passcodes.change(serial, KeyRef.PIN, b"123456", PASSCODE, at)
    world.passcodes.reset(serial, b"12345678", PASSCODE, at)
    told = [
        (entry.kind, entry.details["key_ref"], entry.details["tries_left"])
        for entry in world.journal(Kind.PASSCODE_WRONG, *RIGHT)[-5:]
    ]
    assert told == [
        (Kind.PASSCODE_WRONG, "80", 4),
        (Kind.PASSCODE_RIGHT, "80", 5),
        (Kind.PASSCODE_SET, "80", 5),
        (Kind.PASSCODE_RIGHT, "81", 7),
        (Kind.PASSCODE_UNBLOCKED, "80", 5),
    ]


def test_a_new_passcode_has_all_its_tries(world: World, serial: str, pc: Enrolled) -> None:
    for _ in range(2):
        world.passcodes.verify(serial, KeyRef.PIN, WRONG, pc.identity)
    world.passcodes.change(serial, KeyRef.PIN, PASSCODE, b"246802", pc.identity)
    assert world.passcodes.status(serial, KeyRef.PIN).tries_left == 3


def test_a_change_ends_sessions(world: World, ada: tuple[User, Enrolled], pc: Enrolled) -> None:
    world.set_policy(SESSIONS)
    serial = world.card(ada[0])
    other = world.session(world.card(ada[0]), pc, ada[1])
    session = world.session(serial, pc, ada[1])
    world.passcodes.change(serial, KeyRef.PIN, PASSCODE, b"246802", pc.identity)
    (ended,) = world.journal(Kind.SESSION_ENDED)
    assert (ended.operation_id, ended.details["why"]) == (session.id, "passcode changed")
    assert ended.actor == KEYSTORE
    assert len(world.use(other, pc)) == 1


def test_a_proof_holds_for_a_shift(world: World, serial: str, pc: Enrolled) -> None:
    proof = world.proof(serial, pc)
    assert len(proof) == 32
    world.clock.forward(hours=12, seconds=-1)
    world.ask(serial, pc, proof=proof)
    world.clock.forward(seconds=1)
    with pytest.raises(PasscodeNeeded):
        world.ask(serial, pc, proof=proof)


def test_a_blocked_passcode_is_told_each_time(world: World, serial: str, pc: Enrolled) -> None:
    for _ in range(4):
        world.passcodes.verify(serial, KeyRef.PIN, WRONG, pc.identity)
    told = world.journal(Kind.PASSCODE_WRONG, Kind.PASSCODE_BLOCKED)
    assert [(entry.kind, entry.details["tries_left"]) for entry in told] == [
        (Kind.PASSCODE_WRONG, 2),
        (Kind.PASSCODE_WRONG, 1),
        (Kind.PASSCODE_WRONG, 0),
        (Kind.PASSCODE_BLOCKED, 0),
        (Kind.PASSCODE_BLOCKED, 0),
    ]
    assert {entry.workstation_id for entry in told} == {pc.identity.id}


def test_a_policy_refuses_the_puk_at_workstations(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    """AUTH-09: who has a phone resets the passcode with it, and with nothing but the PUK nobody
    does. Nothing is compared or spent, whether the PUK is right or wrong.
    """
    serial = world.issuing.issue(b"\1" * 16, ada[0].id, "p256", actor=OPERATOR).card.serial
    puk = world.passcodes.set_first(serial, PASSCODE, ada[1].identity).encode()
    world.set_policy(Policy(refuses_puk=True))
    for given in (puk, b"00000000"):
        with pytest.raises(PukRefused, match="on your phone"):
            world.passcodes.reset(serial, given, b"246802", pc.identity)
        with pytest.raises(PukRefused):
            world.passcodes.change(serial, KeyRef.PUK, given, b"13572468", pc.identity)
    assert world.passcodes.status(serial, KeyRef.PUK).tries_left == 3
    assert isinstance(world.passcodes.verify(serial, KeyRef.PIN, PASSCODE, pc.identity), Verified)
    changed = world.passcodes.change(serial, KeyRef.PIN, PASSCODE, b"975310", pc.identity)
    assert isinstance(changed, Verified)
    on_phone = world.passcodes.reset_own(serial, puk, b"246802", ada[1].identity)
    assert isinstance(on_phone, Verified)
    world.set_policy(Policy())
    assert isinstance(world.passcodes.reset(serial, puk, b"975310", pc.identity), Verified)


def test_the_puk_has_eight_digits(world: World, ada: tuple[User, Enrolled]) -> None:
    small = replace(world.passcodes, random=(135792).to_bytes)
    serial = world.issuing.issue(b"\1" * 16, ada[0].id, "p256", actor=OPERATOR).card.serial
    assert small.set_first(serial, PASSCODE, ada[1].identity) == "00135792"
    large = replace(world.passcodes, random=lambda size: b"\xff" * size)
    serial = world.issuing.issue(b"\2" * 16, ada[0].id, "p256", actor=OPERATOR).card.serial
    assert large.set_first(serial, PASSCODE, ada[1].identity) == str(2**64 - 1)[-8:]


def test_a_puk_that_is_guessed_first_is_drawn_again(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    """One in 4,500 was such a one, which no holder may choose: not even to keep it."""
    drawn = iter([0, 12341234, 12345678, 33133133, 27182819])
    lucky = replace(world.passcodes, random=lambda size: next(drawn).to_bytes(size))
    serial = world.issuing.issue(b"\1" * 16, ada[0].id, "p256", actor=OPERATOR).card.serial
    puk = lucky.set_first(serial, PASSCODE, ada[1].identity).encode()
    assert puk == b"27182819"
    assert world.passcodes.change(serial, KeyRef.PUK, puk, puk, pc.identity) == Verified(b"")


def test_passcodes_are_hashed_as_slowly_as_recommended() -> None:
    """OWASP's password storage cheat sheet: argon2id with 19 MiB, two passes and one thread."""
    hasher = new_hasher()
    assert (hasher.type, hasher.memory_cost) == (Type.ID, 19 * 1024)
    assert (hasher.time_cost, hasher.parallelism) == (2, 1)


def test_the_journal_tells_which_passcodes_a_card_begins_with(
    world: World, ada: tuple[User, Enrolled]
) -> None:
    for profile, set_first in (("p256", ["80", "81"]), ("global-pin", ["80", "81", "00"])):
        card = world.find(world.card(ada[0], profile)).card
        told = [entry for entry in world.journal(*BEGUN) if entry.card_id == card.id]
        assert [entry.details.get("key_ref") for entry in told] == [*set_first, None]
        assert {str(entry.actor) for entry in told} == {f"user {ada[0].id}"}
        assert told[-1].kind is Kind.CARD_ACTIVATED
        for key_ref in (KeyRef.PIN, KeyRef.PUK, KeyRef.GLOBAL_PIN):
            if f"{key_ref:02X}" in set_first:
                assert world.passcodes.status(card.serial, key_ref) == Status(3, 3)
            else:
                with pytest.raises(KeyNotFound, match="has no passcode 00"):
                    world.passcodes.status(card.serial, key_ref)


def test_a_passcode_that_is_not_set_has_no_tries(world: World, serial: str, pc: Enrolled) -> None:
    with world.database.write() as connection:
        connection.execute(tables.passcode.delete())
    assert world.passcodes.status(serial, KeyRef.PIN) == Status(0)
    assert world.passcodes.verify(serial, KeyRef.PIN, PASSCODE, pc.identity) == Mismatch(0)
