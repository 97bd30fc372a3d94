"""What an administrator may change of a local card, and who is none."""

from __future__ import annotations

from collections.abc import Callable

import gmpy2
import pytest
from cryptography import x509
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives import ciphers
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from card_os import tlv
from card_os.administration import (
    AdministrationRequest,
    Administrator,
    AnswerChallenge,
    AttestKey,
    Changed,
    GenerateKey,
    ImportKey,
    MoveKey,
    RequestChallenge,
    ResetCard,
    SetManagementKey,
    SetTries,
    WriteObject,
)
from card_os.keys import (
    KeyRequest,
    KeyResult,
    PasscodeStatus,
    Refusal,
    ResetPasscode,
    TriesLeft,
    UseKey,
    Verified,
    VerifyPasscode,
)
from card_os.piv.algorithms import MODULUS_BYTES
from card_os.piv.names import Algorithm, Cipher, ObjectTag
from card_os.piv.sizes import FACTORY_MANAGEMENT_KEY, FACTORY_PIN, FACTORY_PUK, LARGEST_OBJECT, ROOM
from card_os.uses import KeyUse, PinPolicy, TouchPolicy
from private_keys.keys import CURVES
from reader_bridge.local import private_keys
from reader_bridge.local.keys import LocalKeys
from reader_bridge.tasks import Cancellation
from support.local_world import ID, NOW, administrator_proof, card, keys, passcode_proof

PRINTED = ObjectTag.PRINTED_INFORMATION
MANAGEMENT_KEYS = [
    (Cipher.TDEA, bytes(range(24))),
    (Cipher.AES_128, bytes(range(16))),
    (Cipher.AES_192, bytes(range(24))),
    (Cipher.AES_256, bytes(range(32))),
]


@pytest.fixture
def service() -> LocalKeys:
    return keys("developer")


@pytest.fixture
def proof(service: LocalKeys) -> bytes:
    return administrator_proof(service)


def changed(result: KeyResult) -> Changed:
    assert isinstance(result, Changed), result
    return result


def generate(service: LocalKeys, proof: bytes, key_ref: int, algorithm: int = 0x11) -> bytes:
    """The public key, as the card shows it."""
    made = changed(service.perform(GenerateKey(proof, key_ref, algorithm))).keys[key_ref]
    assert made is not None
    assert made == service.image.keys[key_ref]
    return made.public


def encipher(cipher: int, key: bytes, data: bytes) -> bytes:
    chosen = TripleDES(key) if cipher == Cipher.TDEA else AES(key)
    encryptor = ciphers.Cipher(chosen, ECB()).encryptor()
    return encryptor.update(data) + encryptor.finalize()


def decipher(cipher: int, key: bytes, data: bytes) -> bytes:
    chosen = TripleDES(key) if cipher == Cipher.TDEA else AES(key)
    decryptor = ciphers.Cipher(chosen, ECB()).decryptor()
    return decryptor.update(data) + decryptor.finalize()


@pytest.mark.parametrize(("cipher", "key"), MANAGEMENT_KEYS)
def test_each_management_key_authenticates_both_ways(
    service: LocalKeys, proof: bytes, cipher: int, key: bytes
) -> None:
    result = changed(service.perform(SetManagementKey(proof, cipher, key)))
    assert result.management_algorithm == cipher
    assert service.image.features.management_algorithm == cipher
    size = 8 if cipher == Cipher.TDEA else 16

    witness = service.perform(RequestChallenge(cipher, enciphered=True))
    assert isinstance(witness, bytes)
    assert len(witness) == size
    mine = bytes(range(size))
    both = service.perform(AnswerChallenge(cipher, decipher(cipher, key, witness), mine))
    assert isinstance(both, Administrator)
    assert both.cryptogram == encipher(cipher, key, mine)

    sent = service.perform(RequestChallenge(cipher, enciphered=False))
    assert isinstance(sent, bytes)
    one_way = service.perform(AnswerChallenge(cipher, encipher(cipher, key, sent)))
    assert isinstance(one_way, Administrator)
    assert one_way.cryptogram == b""
    changed(service.perform(WriteObject(one_way.proof, PRINTED, b"x")))


def test_a_challenge_is_spent_by_its_answer(service: LocalKeys) -> None:
    sent = service.perform(RequestChallenge(Cipher.AES_192, enciphered=False))
    assert isinstance(sent, bytes)
    right = AnswerChallenge(Cipher.AES_192, encipher(Cipher.AES_192, FACTORY_MANAGEMENT_KEY, sent))
    wrong = AnswerChallenge(Cipher.AES_192, sent)
    assert service.perform(wrong) is Refusal.DENIED
    assert service.perform(right) is Refusal.DENIED
    sent = service.perform(RequestChallenge(Cipher.AES_192, enciphered=False))
    assert service.perform(right) is Refusal.DENIED


def test_a_challenge_of_another_cipher_is_none(service: LocalKeys) -> None:
    for cipher in (Cipher.TDEA, Cipher.AES_128, Cipher.AES_256, 0x11):
        assert service.perform(RequestChallenge(cipher, enciphered=True)) is Refusal.UNKNOWN_KEY
    sent = service.perform(RequestChallenge(Cipher.AES_192, enciphered=True))
    assert isinstance(sent, bytes)
    plain = decipher(Cipher.AES_192, FACTORY_MANAGEMENT_KEY, sent)
    assert service.perform(AnswerChallenge(Cipher.AES_128, plain)) is Refusal.DENIED


def test_a_request_that_failed_leaves_no_older_challenge(service: LocalKeys) -> None:
    sent = service.perform(RequestChallenge(Cipher.AES_192, enciphered=False))
    assert isinstance(sent, bytes)
    service.perform(RequestChallenge(Cipher.TDEA, enciphered=False))
    answer = encipher(Cipher.AES_192, FACTORY_MANAGEMENT_KEY, sent)
    assert service.perform(AnswerChallenge(Cipher.AES_192, answer)) is Refusal.DENIED


@pytest.mark.parametrize("size", [1, 8, 15, 17, 32])
def test_the_card_enciphers_one_block_and_no_more(service: LocalKeys, size: int) -> None:
    sent = service.perform(RequestChallenge(Cipher.AES_192, enciphered=True))
    assert isinstance(sent, bytes)
    plain = decipher(Cipher.AES_192, FACTORY_MANAGEMENT_KEY, sent)
    answer = AnswerChallenge(Cipher.AES_192, plain, bytes(size))
    assert service.perform(answer) is Refusal.MALFORMED


CHANGES: list[Callable[[bytes], AdministrationRequest]] = [
    lambda proof: WriteObject(proof, PRINTED, b"x"),
    lambda proof: GenerateKey(proof, 0x9A, 0x11),
    lambda proof: ImportKey(proof, 0x9A, 0x11, bytes(range(1, 33))),
    lambda proof: MoveKey(proof, 0x9A, None),
    lambda proof: SetManagementKey(proof, Cipher.AES_192, bytes(24)),
    lambda proof: SetTries(proof, b"", 5, 5),
]


@pytest.mark.parametrize("make", CHANGES)
@pytest.mark.parametrize("proof", [b"", b"a guess"])
def test_nobody_else_changes_anything(
    service: LocalKeys, make: Callable[[bytes], AdministrationRequest], proof: bytes
) -> None:
    assert service.perform(make(proof)) is Refusal.PASSCODE_NEEDED
    assert service.card is card("developer")


@pytest.mark.parametrize("make", CHANGES)
def test_the_passcode_makes_no_administrator(
    service: LocalKeys, make: Callable[[bytes], AdministrationRequest]
) -> None:
    assert service.perform(make(passcode_proof(service))) is Refusal.PASSCODE_NEEDED


def test_who_changes_the_management_key_goes_on(service: LocalKeys, proof: bytes) -> None:
    changed(service.perform(SetManagementKey(proof, Cipher.AES_192, bytes(24))))
    changed(service.perform(WriteObject(proof, PRINTED, b"x")))


@pytest.mark.parametrize(
    ("cipher", "size"), [(0x03, 16), (0x08, 24), (0x0A, 32), (0x0C, 24), (0x11, 24), (0x0A, 0)]
)
def test_a_management_key_of_another_length(
    service: LocalKeys, proof: bytes, cipher: int, size: int
) -> None:
    assert service.perform(SetManagementKey(proof, cipher, bytes(size))) is Refusal.MALFORMED


@pytest.mark.parametrize("profile", ["plain", "global-pin", "sm-cs2"])
def test_a_card_without_administrator(profile: str) -> None:
    service = keys(profile)
    for request in (
        RequestChallenge(Cipher.AES_192, enciphered=False),
        AttestKey(0x82),
    ):
        assert service.perform(request) is Refusal.UNKNOWN_KEY
    assert service.perform(AnswerChallenge(Cipher.AES_192, b"")) is Refusal.DENIED
    assert service.perform(AttestKey(0x9A)) is Refusal.DENIED
    for make in CHANGES:
        assert service.perform(make(b"")) is Refusal.PASSCODE_NEEDED
    block_both(service)
    assert service.perform(ResetCard()) is Refusal.DENIED


def test_objects_come_and_go(service: LocalKeys, proof: bytes) -> None:
    written = changed(service.perform(WriteObject(proof, PRINTED, b"contents")))
    assert written.objects == {PRINTED: b"contents"}
    assert service.image.objects[PRINTED] == b"contents"
    removed = changed(service.perform(WriteObject(proof, PRINTED, b"")))
    assert removed.objects == {PRINTED: None}
    assert PRINTED not in service.image.objects
    for tag in (0x5F0000, 0x5F0001, 0x5FC104, 0x5FFF12, 0x5FFFFF):  # as on YubiKeys
        changed(service.perform(WriteObject(proof, tag, b"a tool's own")))
        assert service.image.objects[tag] == b"a tool's own"


@pytest.mark.parametrize("tag", [0, 0x53, 0x5EFFFF, 0x600000])
def test_an_object_that_no_card_has(service: LocalKeys, proof: bytes, tag: int) -> None:
    assert service.perform(WriteObject(proof, tag, b"x")) is Refusal.MALFORMED


def test_there_is_no_room_for_everything(service: LocalKeys, proof: bytes) -> None:
    assert service.perform(WriteObject(proof, PRINTED, bytes(LARGEST_OBJECT + 1))) is Refusal.FULL
    results = [
        service.perform(WriteObject(proof, 0x5FFF10 + number, bytes(LARGEST_OBJECT)))
        for number in range(ROOM // LARGEST_OBJECT + 1)
    ]
    assert Refusal.FULL in results
    before = service.card
    assert service.perform(WriteObject(proof, PRINTED, bytes(LARGEST_OBJECT))) is Refusal.FULL
    assert service.card is before


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_key_is_made_used_and_attested(
    service: LocalKeys, proof: bytes, algorithm: Algorithm
) -> None:
    key_ref = 0x9A
    generate(service, proof, key_ref, algorithm)
    assert not service.image.keys[key_ref].imported
    attested = service.perform(AttestKey(key_ref))
    assert isinstance(attested, bytes)
    found = x509.load_der_x509_certificate(attested)
    key = service.card.keys[key_ref]
    assert found.public_key() == private_keys.load(algorithm, key.private).public_key()
    contents = dict(tlv.decode(service.image.objects[0x5FFF01]))
    authority = x509.load_der_x509_certificate(contents[0x70])
    found.verify_directly_issued_by(authority)
    authority.verify_directly_issued_by(authority)
    assert found.not_valid_before_utc <= NOW <= found.not_valid_after_utc


def test_the_policies_of_a_key(service: LocalKeys, proof: bytes) -> None:
    request = GenerateKey(proof, 0x9A, 0x11, PinPolicy.NEVER, TouchPolicy.CACHED)
    made = changed(service.perform(request)).keys[0x9A]
    assert made is not None
    assert (made.pin_policy, made.touch_policy) == (PinPolicy.NEVER, TouchPolicy.CACHED)
    sign = UseKey(ID, KeyUse.SIGN, 0x9A, 0x11, b"digest")
    assert isinstance(service.perform(sign), bytes)
    changed(service.perform(GenerateKey(proof, 0x9E, 0x11, PinPolicy.ONCE)))
    sign = UseKey(ID, KeyUse.SIGN, 0x9E, 0x11, b"digest")
    assert service.perform(sign) is Refusal.PASSCODE_NEEDED


@pytest.mark.parametrize(
    ("key_ref", "algorithm", "refusal"),
    [
        (0x04, 0x11, Refusal.UNKNOWN_KEY),
        (0x04, 0x27, Refusal.MALFORMED),
        (0x9B, 0x11, Refusal.UNKNOWN_KEY),
        (0xF9, 0x11, Refusal.UNKNOWN_KEY),
        (0x9A, 0x15, Refusal.MALFORMED),
        (0x9A, 0x0A, Refusal.MALFORMED),
        (0x9A, 0x27, Refusal.MALFORMED),
    ],
)
def test_a_key_that_no_card_has(
    service: LocalKeys, proof: bytes, key_ref: int, algorithm: int, refusal: Refusal
) -> None:
    assert service.perform(GenerateKey(proof, key_ref, algorithm)) is refusal


def test_a_cancelled_key_is_not_kept(service: LocalKeys, proof: bytes) -> None:
    cancellation = Cancellation()
    cancellation.request()
    assert service.perform(GenerateKey(proof, 0x9A, 0x11), cancellation) is Refusal.CANCELLED
    assert service.card.keys == {}


def primes(key: rsa.RSAPrivateKey) -> bytes:
    numbers, size = key.private_numbers(), key.key_size // 16
    return numbers.p.to_bytes(size) + numbers.q.to_bytes(size)


def elsewhere(algorithm: Algorithm) -> tuple[bytes, object]:
    """A key made elsewhere, in the form of ImportKey, and its public part."""
    match algorithm:
        case Algorithm.RSA_1024 | Algorithm.RSA_2048 | Algorithm.RSA_3072 | Algorithm.RSA_4096:
            made = rsa.generate_private_key(65537, MODULUS_BYTES[algorithm] * 8)
            return primes(made), made.public_key()
        case Algorithm.ECC_P256 | Algorithm.ECC_P384:
            curve = CURVES[algorithm]
            on_curve = ec.generate_private_key(curve)
            scalar = on_curve.private_numbers().private_value
            return scalar.to_bytes(curve.key_size // 8), on_curve.public_key()
        case Algorithm.ED25519:
            signer = Ed25519PrivateKey.generate()
            return signer.private_bytes_raw(), signer.public_key()
        case Algorithm.X25519:
            agreer = X25519PrivateKey.generate()
            return agreer.private_bytes_raw(), agreer.public_key()


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_key_comes_from_elsewhere(service: LocalKeys, proof: bytes, algorithm: Algorithm) -> None:
    private, public = elsewhere(algorithm)
    key_ref = 0x9D if algorithm is Algorithm.X25519 else 0x9A
    imported = changed(service.perform(ImportKey(proof, key_ref, algorithm, private)))
    shown = imported.keys[key_ref]
    assert shown is not None
    assert shown.imported
    assert shown == service.image.keys[key_ref]
    assert private_keys.load(algorithm, private).public_key() == public
    assert service.perform(AttestKey(key_ref)) is Refusal.DENIED


def bad_rsa() -> dict[str, bytes]:
    """Not good primes, each for a reason of its own."""
    half = 128
    good = primes(rsa.generate_private_key(65537, 2048))
    p, q = good[:half], good[half:]
    short = primes(rsa.generate_private_key(65537, 1024))
    composite = int.from_bytes(p) + 2
    while gmpy2.is_prime(composite):
        composite += 2
    return {
        "one twice": p + p,
        "two close to each other": p + int(gmpy2.next_prime(int.from_bytes(p))).to_bytes(half),
        "a composite": composite.to_bytes(half) + q,
        "an even number": p + (int.from_bytes(q) + 1).to_bytes(half),
        "one too short": short[:64].rjust(half, b"\0") + q,
        "one": (1).to_bytes(half) + q,
        "zero": bytes(half) + q,
        "one missing": p,
        "of another algorithm": short,
        "nothing": b"",
    }


BAD_RSA = bad_rsa()


@pytest.mark.parametrize("private", BAD_RSA.values(), ids=BAD_RSA)
def test_no_primes(service: LocalKeys, proof: bytes, private: bytes) -> None:
    assert service.perform(ImportKey(proof, 0x9A, 0x07, private)) is Refusal.MALFORMED
    assert service.card.keys == {}


@pytest.mark.parametrize(
    ("algorithm", "private"),
    [
        (0x11, bytes(32)),
        (0x11, b"\xff" * 31 + b"\xfe"),
        (0x11, b"\x01" * 32),  # anybody guesses it
        (0x11, bytes(range(31))),
        (0x11, bytes(range(33))),
        (0x14, bytes(range(32))),
        (0x14, b"\xff" * 47 + b"\xfe"),
        (0xE0, bytes(range(31))),
        (0xE0, bytes(range(64))),
        (0xE0, b"\x01" * 32),
        (0xE1, b"\x01" * 32),
        (0xE1, b""),
    ],
)
def test_no_scalar(service: LocalKeys, proof: bytes, algorithm: int, private: bytes) -> None:
    assert service.perform(ImportKey(proof, 0x9D, algorithm, private)) is Refusal.MALFORMED


def test_a_key_moves_and_vanishes(service: LocalKeys, proof: bytes) -> None:
    public = generate(service, proof, 0x9A)
    moved = changed(service.perform(MoveKey(proof, 0x9A, 0x82))).keys
    assert moved[0x9A] is None
    assert moved[0x82] is not None
    assert moved[0x82].public == public
    assert set(service.image.keys) == {0x82}
    gone = changed(service.perform(MoveKey(proof, 0x82, None)))
    assert gone.keys == {0x82: None}
    assert service.image.keys == {}


def test_a_key_moves_to_nowhere_else(service: LocalKeys, proof: bytes) -> None:
    generate(service, proof, 0x9A)
    generate(service, proof, 0x9E)
    before = service.card
    assert service.perform(MoveKey(proof, 0x9A, 0x9E)) is Refusal.DENIED  # it would be lost
    assert service.perform(MoveKey(proof, 0x9A, 0x9A)) is Refusal.DENIED
    assert service.perform(MoveKey(proof, 0x9A, 0x9B)) is Refusal.UNKNOWN_KEY
    assert service.perform(MoveKey(proof, 0x9C, 0x82)) is Refusal.UNKNOWN_KEY
    assert service.perform(MoveKey(proof, 0x04, None)) is Refusal.UNKNOWN_KEY
    assert service.card is before


@pytest.mark.parametrize("tries", [(1, 15), (15, 1), (5, 4)])
def test_tries_are_set_and_the_passcodes_are_the_factorys(
    service: LocalKeys, proof: bytes, tries: tuple[int, int]
) -> None:
    verified = service.perform(ResetPasscode(ID, 0x80, FACTORY_PUK, b"111111"))
    assert isinstance(verified, Verified)
    changed(service.perform(SetTries(proof, verified.proof, *tries)))
    for key_ref, count in zip((0x80, 0x81), tries, strict=True):
        status = service.perform(PasscodeStatus(ID, key_ref))
        assert status == TriesLeft(count, count, factory=True)
    for left in reversed(range(tries[0])):
        wrong = service.perform(VerifyPasscode(ID, 0x80, b"000000"))
        assert wrong == TriesLeft(left, tries[0], factory=True)


@pytest.mark.parametrize("tries", [(0, 3), (3, 0), (16, 3), (3, 16), (255, 255)])
def test_tries_that_cannot_be_told(
    service: LocalKeys, proof: bytes, tries: tuple[int, int]
) -> None:
    request = SetTries(proof, passcode_proof(service), *tries)
    assert service.perform(request) is Refusal.MALFORMED


def test_tries_need_the_passcode_too(service: LocalKeys, proof: bytes) -> None:
    assert service.perform(SetTries(proof, b"", 5, 5)) is Refusal.PASSCODE_NEEDED
    assert service.perform(SetTries(proof, proof, 5, 5)) is Refusal.PASSCODE_NEEDED


def block_both(service: LocalKeys) -> None:
    requests: list[KeyRequest] = [
        VerifyPasscode(ID, 0x80, b"000000"),
        ResetPasscode(ID, 0x80, b"87654321", b"111111"),
    ]
    for request in requests:
        while service.perform(request) != TriesLeft(0, factory=True):
            pass


def test_a_reset_needs_both_passcodes_blocked(service: LocalKeys) -> None:
    assert service.perform(ResetCard()) is Refusal.DENIED
    while service.perform(VerifyPasscode(ID, 0x80, b"000000")) != TriesLeft(0, factory=True):
        pass
    assert service.perform(ResetCard()) is Refusal.DENIED


def test_a_reset_leaves_nothing_but_who_the_card_is(service: LocalKeys, proof: bytes) -> None:
    new = card("developer")
    generate(service, proof, 0x9A)
    changed(service.perform(WriteObject(proof, 0x5FFF12, b"x")))
    changed(service.perform(WriteObject(proof, ObjectTag.CHUID, b"")))
    changed(service.perform(WriteObject(proof, 0x5FFF01, b"no certificate")))
    changed(service.perform(SetManagementKey(proof, Cipher.TDEA, bytes(24))))
    block_both(service)
    reset = changed(service.perform(ResetCard()))
    assert reset.keys == {0x9A: None}
    assert reset.objects == {**new.objects, 0x5FFF12: None}
    assert reset.management_algorithm == Cipher.AES_192
    assert service.card == new
    assert isinstance(service.perform(VerifyPasscode(ID, 0x80, FACTORY_PIN)), Verified)
    assert isinstance(administrator_proof(service), bytes)
