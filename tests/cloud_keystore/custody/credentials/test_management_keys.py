"""Management keys: who knows one is let in, and nobody else, however they ask."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher as Mode
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from hypothesis import given
from hypothesis import strategies as st

from card_os.piv.algorithms import BLOCK_BYTES, MANAGEMENT_KEY_BYTES
from card_os.piv.names import Cipher
from cloud_keystore.custody.credentials.management_keys import encipher
from cloud_keystore.model.cards import Card
from cloud_keystore.model.errors import (
    AdministratorNeeded,
    CardNotFound,
    CardNotInUse,
    ChallengeRejected,
    InvalidInput,
    KeyNotFound,
    TooManyGuesses,
)
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.management_keys import (
    GUESS_LIMIT,
    WEAK_DES_KEYS,
    broken_rule,
    factory_key,
)
from cloud_keystore.model.people import User
from support.keystore_world import OPERATOR, Enrolled, World

AES_192 = Cipher.AES_192
KEY = bytes.fromhex("010203040506070801020304050607080102030405060708")
WRONG = bytes(16)


@pytest.fixture
def serial(world: World, ada: tuple[User, Enrolled]) -> str:
    """A card whose management key is the factory's."""
    return world.card(ada[0], "developer")


def challenge(world: World, serial: str, pc: Enrolled, *, enciphered: bool = False) -> bytes:
    return world.management_keys.request_challenge(
        serial, AES_192, pc.identity, enciphered=enciphered
    )


def answer(world: World, serial: str, pc: Enrolled, response: bytes, own: bytes = b"") -> bytes:
    """Returns the proof."""
    granted = world.management_keys.answer_challenge(serial, AES_192, pc.identity, response, own)
    return granted.proof


def holds(world: World, serial: str, pc: Enrolled, proof: bytes) -> bool:
    card = world.find(serial).card
    with world.database.read() as connection:
        try:
            world.management_keys.check(connection, card, proof, pc.identity.id)
        except AdministratorNeeded:
            return False
    return True


def aes(block: bytes) -> bytes:
    return encipher(AES_192, KEY, block)


def test_the_factory_key_is_the_well_known_one() -> None:
    assert factory_key(AES_192) == KEY
    assert {cipher: len(factory_key(cipher)) for cipher in Cipher} == MANAGEMENT_KEY_BYTES


def test_external_authentication(world: World, serial: str, pc: Enrolled) -> None:
    response = aes(challenge(world, serial, pc))
    granted = world.management_keys.answer_challenge(serial, AES_192, pc.identity, response, b"")
    assert holds(world, serial, pc, granted.proof)
    assert (len(granted.proof), granted.cryptogram) == (32, b"")
    (told,) = world.journal(Kind.ADMINISTRATOR_RIGHT)
    assert (told.actor, told.card_id) == (pc.identity.actor, world.find(serial).card.id)


def test_mutual_authentication(world: World, serial: str, pc: Enrolled) -> None:
    witness = challenge(world, serial, pc, enciphered=True)
    decryptor = Mode(AES(KEY), ECB()).decryptor()
    own = b"0123456789abcdef"
    granted = world.management_keys.answer_challenge(
        serial, AES_192, pc.identity, decryptor.update(witness), own
    )
    assert granted.cryptogram == aes(own)
    assert holds(world, serial, pc, granted.proof)


@pytest.mark.parametrize("cipher", Cipher)
def test_a_block_under_each_cipher(cipher: Cipher) -> None:
    key = bytes(range(1, MANAGEMENT_KEY_BYTES[cipher] + 1))
    block = bytes(range(BLOCK_BYTES[cipher]))
    algorithm = TripleDES(key) if cipher is Cipher.TDEA else AES(key)
    assert Mode(algorithm, ECB()).decryptor().update(encipher(cipher, key, block)) == block


def refused(world: World) -> list[object]:
    """Why answers were refused whatever they were, as the journal tells it."""
    told = world.journal(Kind.ADMINISTRATOR_REFUSED)
    return [entry.details["why"] for entry in told]


class TestAttacks:
    def test_a_wrong_answer(self, world: World, serial: str, pc: Enrolled) -> None:
        right = aes(challenge(world, serial, pc))
        with pytest.raises(ChallengeRejected):
            answer(world, serial, pc, WRONG)
        with pytest.raises(ChallengeRejected):  # it was spent by that
            answer(world, serial, pc, right)
        assert len(world.journal(Kind.ADMINISTRATOR_WRONG)) == 1
        assert refused(world) == ["no challenge"]

    def test_a_replayed_answer(self, world: World, serial: str, pc: Enrolled) -> None:
        right = aes(challenge(world, serial, pc))
        answer(world, serial, pc, right)
        with pytest.raises(ChallengeRejected):
            answer(world, serial, pc, right)

    def test_the_challenge_is_not_its_own_answer(
        self, world: World, serial: str, pc: Enrolled
    ) -> None:
        for enciphered in (False, True):
            sent = challenge(world, serial, pc, enciphered=enciphered)
            with pytest.raises(ChallengeRejected):
                answer(world, serial, pc, sent)

    def test_the_challenge_of_another_workstation(
        self, world: World, serial: str, pc: Enrolled
    ) -> None:
        right = aes(challenge(world, serial, pc))
        with pytest.raises(ChallengeRejected):
            answer(world, serial, world.workstation("PC9"), right)
        answer(world, serial, pc, right)  # which is not touched by that

    def test_an_older_challenge(self, world: World, serial: str, pc: Enrolled) -> None:
        older = aes(challenge(world, serial, pc))
        challenge(world, serial, pc)
        with pytest.raises(ChallengeRejected):
            answer(world, serial, pc, older)

    def test_a_late_answer(self, world: World, serial: str, pc: Enrolled) -> None:
        right = aes(challenge(world, serial, pc))
        world.clock.forward(seconds=60)
        with pytest.raises(ChallengeRejected):
            answer(world, serial, pc, right)

    def test_an_empty_answer(self, world: World, serial: str, pc: Enrolled) -> None:
        challenge(world, serial, pc)
        with pytest.raises(ChallengeRejected):
            answer(world, serial, pc, b"")

    def test_the_proof_is_for_one_card_and_workstation(
        self, world: World, ada: tuple[User, Enrolled], serial: str, pc: Enrolled
    ) -> None:
        proof = world.administrator(serial, pc).proof
        assert holds(world, serial, pc, proof)
        assert not holds(world, serial, world.workstation("PC9"), proof)
        assert not holds(world, world.card(ada[0], "developer"), pc, proof)
        assert not holds(world, serial, pc, b"")
        assert not holds(world, serial, pc, proof[:-1])

    def test_the_proof_expires(self, world: World, serial: str, pc: Enrolled) -> None:
        proof = world.administrator(serial, pc).proof
        world.clock.forward(minutes=15)
        assert not holds(world, serial, pc, proof)

    def test_a_suspended_card_has_no_administrator(
        self, world: World, serial: str, pc: Enrolled
    ) -> None:
        proof, right = world.administrator(serial, pc).proof, aes(challenge(world, serial, pc))
        world.cards.suspend(serial, actor=OPERATOR)
        with pytest.raises(CardNotInUse):
            answer(world, serial, pc, right)
        world.cards.resume(serial, actor=OPERATOR)
        assert not holds(world, serial, pc, proof)
        with pytest.raises(ChallengeRejected):
            answer(world, serial, pc, right)

    def test_guessing(self, world: World, serial: str, pc: Enrolled) -> None:
        other = world.workstation("PC9")
        for number in range(GUESS_LIMIT):
            asking = (pc, other)[number % 2]
            challenge(world, serial, asking)
            with pytest.raises(ChallengeRejected):
                answer(world, serial, asking, WRONG)
        right = aes(challenge(world, serial, pc))
        with pytest.raises(TooManyGuesses, match="10 wrong answers within 10 minutes"):
            answer(world, serial, pc, right)
        assert refused(world) == ["too many wrong answers"]
        world.clock.forward(minutes=10)
        assert world.administrator(serial, pc)

    def test_right_answers_are_no_guesses(self, world: World, serial: str, pc: Enrolled) -> None:
        proofs = {world.administrator(serial, pc).proof for _ in range(GUESS_LIMIT + 1)}
        assert len(proofs) == GUESS_LIMIT + 1

    def test_answers_at_once(self, world: World, serial: str, pc: Enrolled) -> None:
        right = aes(challenge(world, serial, pc))
        proofs: list[bytes] = []
        refused: list[Exception] = []

        def try_it() -> None:
            try:
                proofs.append(answer(world, serial, pc, right))
            except ChallengeRejected as error:
                refused.append(error)

        threads = [threading.Thread(target=try_it) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(proofs), len(refused)) == (1, 5)

    def test_the_key_is_replaced_while_an_answer_is_checked(
        self, world: World, serial: str, pc: Enrolled
    ) -> None:
        card = world.find(serial).card

        def replace_key(size: int) -> bytes:
            with world.database.write() as connection:
                world.management_keys.set_key(connection, card, AES_192, bytes(range(24)), b"")
            return bytes(size)

        right = aes(challenge(world, serial, pc))
        late = replace(
            world.management_keys, random=replace_key
        )  # asked for a proof after comparing
        with pytest.raises(ChallengeRejected):
            late.answer_challenge(serial, AES_192, pc.identity, right, b"")


def test_a_card_in_production_has_no_management_key(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    serial = world.card(ada[0], "v2")
    with world.database.read() as connection:
        assert not world.management_keys.is_factory(connection, world.find(serial).card)
    for cipher in Cipher:
        with pytest.raises(KeyNotFound):
            world.management_keys.request_challenge(serial, cipher, pc.identity, enciphered=False)
        with pytest.raises(KeyNotFound):
            world.management_keys.answer_challenge(serial, cipher, pc.identity, WRONG, b"")


@pytest.mark.parametrize("algorithm", [0, 3, 8, 12, 17, 2**32 - 1])
def test_another_algorithm(world: World, serial: str, pc: Enrolled, algorithm: int) -> None:
    with pytest.raises(KeyNotFound):
        world.management_keys.request_challenge(serial, algorithm, pc.identity, enciphered=True)


def test_no_such_card(world: World, pc: Enrolled) -> None:
    with pytest.raises(CardNotFound):
        challenge(world, "1", pc)


def test_a_challenge_of_ones_own_is_one_block(world: World, serial: str, pc: Enrolled) -> None:
    right = aes(challenge(world, serial, pc))
    with pytest.raises(InvalidInput):
        answer(world, serial, pc, right, own=b"short")


def set_key(world: World, card: Card, cipher: Cipher, key: bytes) -> None:
    with world.database.write() as connection:
        world.management_keys.set_key(connection, card, cipher, key, b"")


def test_another_key(world: World, serial: str, pc: Enrolled) -> None:
    proof, card = world.administrator(serial, pc).proof, world.find(serial).card
    key = bytes(range(32))
    set_key(world, card, Cipher.AES_256, key)
    assert not holds(world, serial, pc, proof)
    with pytest.raises(KeyNotFound):
        challenge(world, serial, pc)
    at = (serial, Cipher.AES_256, pc.identity)
    sent = world.management_keys.request_challenge(*at, enciphered=False)
    world.management_keys.answer_challenge(*at, encipher(Cipher.AES_256, key, sent), b"")


@pytest.mark.parametrize(
    ("cipher", "key", "good"),
    [
        (Cipher.AES_128, bytes(range(16)), True),
        (Cipher.AES_128, bytes(range(15)), False),
        (Cipher.AES_192, KEY, True),
        (Cipher.AES_256, KEY, False),
        (Cipher.AES_256, bytes(32), False),
        (Cipher.TDEA, bytes(range(24)), True),
        (Cipher.TDEA, bytes(range(16)), False),
        (Cipher.TDEA, KEY, True),
        (Cipher.TDEA, bytes(range(8)) + b"\1" * 8 + bytes(range(8, 16)), False),  # a weak key
        (Cipher.TDEA, bytes(range(8)) + b"\0" * 8 + bytes(range(8, 16)), False),  # but for parity
    ],
)
def test_what_may_be_a_management_key(cipher: Cipher, key: bytes, good: bool) -> None:
    assert (broken_rule(cipher, key) is None) is good


def test_the_weak_keys_of_des() -> None:
    assert len(WEAK_DES_KEYS) == 16


@given(cipher=st.sampled_from(Cipher), key=st.binary(max_size=40))
def test_any_bytes_are_a_key_or_break_a_rule(cipher: Cipher, key: bytes) -> None:
    assert broken_rule(cipher, key) is not None or len(key) == MANAGEMENT_KEY_BYTES[cipher]


def test_no_key_and_no_proof_in_the_database(
    world: World, serial: str, pc: Enrolled, tmp_path: Path
) -> None:
    proof, card = world.administrator(serial, pc).proof, world.find(serial).card
    witness = challenge(world, serial, pc, enciphered=True)
    expected = Mode(AES(KEY), ECB()).decryptor().update(witness)
    set_key(world, card, AES_192, bytes(range(24)))
    world.database.close()
    contents = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    for secret in (KEY, proof, expected, bytes(range(24))):
        assert secret not in contents
