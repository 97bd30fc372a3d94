"""GENERATE ASYMMETRIC KEY PAIR (SP 800-73-5 part 2, 3.3.2) and IMPORT KEY."""

from __future__ import annotations

from dataclasses import replace
from enum import IntEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from card_os import tlv
from card_os.administration import Administrator, CardKey, Changed, GenerateKey, ImportKey
from card_os.apdu import Command
from card_os.keys import KeyResult, Refusal
from card_os.piv.issuing import encode_keys
from card_os.piv.names import Algorithm
from card_os.uses import PinPolicy, TouchPolicy
from support.fakes import (
    ADMIN_PROOF,
    ADMINISTERED,
    DEVELOPER,
    PUBLIC_KEY,
    CannedKeys,
    DrivenCard,
    ScriptedKeys,
    administer,
    last_request,
    new_card,
    sample_image,
)

VERIFY = "00200080 08 313233343536FFFF"
GENERATE_P256 = "0047009A 05 AC03800111 00"


def developer(*results: KeyResult) -> DrivenCard:
    card = new_card(ScriptedKeys(*results), features=DEVELOPER)
    administer(card)
    return card


def canned(*results: KeyResult) -> DrivenCard:
    """Its administrator has just come in."""
    card = new_card(
        CannedKeys(bytes(16), Administrator(ADMIN_PROOF), *results), features=ADMINISTERED
    )
    card.send("0087089B 04 7C028100 00")
    card.send("0087089B 14 7C128210" + "00" * 16)
    return card


def send(card: DrivenCard, ins: int, p1: int, p2: int, data: bytes) -> str:
    return card.transmit(bytes(Command(0x00, ins, p1, p2, data, 65536))).hex().upper()


def test_a_generated_key_is_told_and_used() -> None:
    card = developer(b"signature")
    assert card.send(GENERATE_P256) == f"7F4943{PUBLIC_KEY.hex()}9000".upper()
    assert last_request(card) == GenerateKey(ADMIN_PROOF, 0x9A, 0x11)
    card.send(VERIFY)
    assert card.send("0087119A 0A 7C08 8200 8104DEADBEEF 00").endswith("9000")


def test_an_rsa_key_comes_in_two_parts() -> None:
    public = encode_keys.rsa_public_key(b"\xc0" * 256, b"\1\0\1")
    card = canned(Changed(keys={0x9C: CardKey(Algorithm.RSA_2048, public)}))
    answer = card.send("0047009C 05 AC03800107 00")
    assert answer.startswith("7F4982010981820100C0C0")
    assert answer.endswith("610E")
    assert card.send("00C000000E").endswith("82030100019000")
    assert card.send("0087119C 0A 7C08 8200 8104DEADBEEF 00") == "6A86"


@pytest.mark.parametrize("key_ref", [*range(0x82, 0x96), 0x9A, 0x9C, 0x9D, 0x9E])
@pytest.mark.parametrize("algorithm", Algorithm)
def test_which_keys_there_can_be(key_ref: int, algorithm: Algorithm) -> None:
    """Of each algorithm in any place, as on YubiKeys."""
    answer = developer().send(f"004700{key_ref:02X} 05 AC038001{algorithm:02X} 00")
    assert answer.endswith("9000")


@pytest.mark.parametrize("algorithm", [0x16, 0xE0, 0xE1])
def test_algorithms_are_the_profiles(algorithm: int) -> None:
    for key_ref in (0x9A, 0x9D):
        answer = canned().send(f"004700{key_ref:02X} 05 AC038001{algorithm:02X} 00")
        assert answer == "6A80"


@pytest.mark.parametrize(
    "template",
    [
        "AC00",
        "AC0180",
        "AC028000",
        "AC04800211 11",
        "AC06800111800111",
        "AC05800111 8200",
        "800111",
        "AC03800111AC03800111",
        "AC06800111AA0101",  # policies without extensions
        "AC06800111AB0101",
        "AC05800107 8100",
        "AC07800107 8102 0003",
    ],
)
def test_malformed_templates(template: str) -> None:
    data = bytes.fromhex(template)
    assert send(canned(), 0x47, 0x00, 0x9A, data) == "6A80"
    assert canned().send("0047009A") == "6A80"


@pytest.mark.parametrize("exponent", ["8103010001", "810400010001"])
def test_the_exponent_may_be_named(exponent: str) -> None:
    inside = bytes.fromhex("800107" + exponent)
    answer = send(developer(), 0x47, 0, 0x9A, tlv.encode(0xAC, inside))
    assert answer.endswith("9000")


@pytest.mark.parametrize("pin", PinPolicy)
@pytest.mark.parametrize("touch", TouchPolicy)
def test_policies(pin: PinPolicy, touch: TouchPolicy) -> None:
    card = developer()
    policies = f"AA01{pin:02X}AB01{touch:02X}"
    assert card.send(f"0047009A 0B AC09800111{policies} 00").endswith("9000")
    assert last_request(card) == GenerateKey(ADMIN_PROOF, 0x9A, 0x11, pin, touch)
    assert card.send(f"00FE119A 28 0620 {'11' * 32} {policies}") == "9000"
    request = ImportKey(ADMIN_PROOF, 0x9A, 0x11, b"\x11" * 32, pin, touch)
    assert last_request(card) == request


@pytest.mark.parametrize("policy", ["AA0104", "AB0104", "AA01FF", "AA00", "AA020101"])
def test_unknown_policies(policy: str) -> None:
    data = bytes.fromhex("800111" + policy)
    assert send(developer(), 0x47, 0, 0x9A, tlv.encode(0xAC, data)) == "6A80"
    assert send(developer(), 0xFE, 0x11, 0x9A, b"\6\x20" + bytes(32) + data[3:]) == "6A80"


def test_each_policy_has_numbers_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    fewer = IntEnum("fewer", {"DEFAULT": 0, "NEVER": 1})
    monkeypatch.setattr("card_os.piv.generation.TouchPolicy", fewer)
    data = bytes.fromhex("800111 AB0102")
    assert send(developer(), 0x47, 0, 0x9A, tlv.encode(0xAC, data)) == "6A80"


@pytest.mark.parametrize(
    ("refusal", "expected"),
    [
        (Refusal.DENIED, "6985"),
        (Refusal.EXPIRED, "6985"),
        (Refusal.MALFORMED, "6A80"),
        (Refusal.UNKNOWN_KEY, "6A86"),
        (Refusal.FULL, "6A84"),
        (Refusal.UNAVAILABLE, "6400"),
        (Refusal.PASSCODE_NEEDED, "6982"),
    ],
)
def test_refusals(refusal: Refusal, expected: str) -> None:
    assert canned(refusal).send(GENERATE_P256) == expected


@pytest.mark.parametrize(
    "result",
    [
        b"bytes",
        Changed(),
        Changed(keys={0x9A: None}),
        Changed(keys={0x9C: CardKey(0x11, PUBLIC_KEY)}),
        Changed(keys={0x9A: CardKey(0x11)}),
        Changed(keys={0x9A: CardKey(0x99, PUBLIC_KEY)}),
    ],
)
def test_results_of_another_kind_are_a_bug(result: KeyResult) -> None:
    assert canned(result).send(GENERATE_P256) == "6F00"


# IMPORT KEY


def parts(*values: bytes) -> bytes:
    return b"".join(tlv.encode(tag, value) for tag, value in enumerate(values, start=1))


@pytest.mark.parametrize(("algorithm", "size"), [(0x07, 128), (0x05, 192), (0x16, 256)])
def test_rsa_keys_are_brought_as_primes(algorithm: int, size: int) -> None:
    p, q, other = b"\xd1" * size, b"\xc7" * size, b"\x03" * size
    card = developer()
    assert send(card, 0xFE, algorithm, 0x9A, parts(p, q, other, other, other)) == "9000"
    assert last_request(card) == ImportKey(ADMIN_PROOF, 0x9A, algorithm, p + q)


@pytest.mark.parametrize(
    ("algorithm", "key_ref", "tag", "size"),
    [
        (0x11, 0x9A, 0x06, 32),
        (0x14, 0x9D, 0x06, 48),
        (0xE0, 0x9C, 0x07, 32),
        (0xE1, 0x82, 0x08, 32),
    ],
)
def test_other_keys_are_brought_as_they_are(
    algorithm: int, key_ref: int, tag: int, size: int
) -> None:
    private = b"\x5a" * size
    card = developer()
    assert send(card, 0xFE, algorithm, key_ref, tlv.encode(tag, private)) == "9000"
    assert last_request(card) == ImportKey(ADMIN_PROOF, key_ref, algorithm, private)
    assert send(card, 0xFE, algorithm, key_ref, tlv.encode(tag, private[1:])) == "9000"
    short = ImportKey(ADMIN_PROOF, key_ref, algorithm, b"\0" + private[1:])
    assert last_request(card) == short
    assert send(card, 0xFE, algorithm, key_ref, tlv.encode(tag, private + b"\0")) == "6A80"


def test_an_imported_key_in_a_chain() -> None:
    card = developer()
    data = parts(*[b"\xc1" * 128] * 5)
    for start in range(0, 510, 255):
        part = Command(0x10, 0xFE, 0x07, 0x9A, data[start : start + 255])
        assert card.transmit(bytes(part)) == b"\x90\x00"
    assert send(card, 0xFE, 0x07, 0x9A, data[510:]) == "9000"


@pytest.mark.parametrize(
    ("algorithm", "key_ref", "data", "expected"),
    [
        (0x11, 0x9A, b"", "6A80"),
        (0x11, 0x9A, b"\6", "6A80"),
        (0x11, 0x9A, b"\7\x20" + bytes(32), "6A80"),
        (0x11, 0x9A, b"\6\1\1\6\1\1", "6A80"),
        (0x11, 0x9A, b"\6\1\1\7\1\1", "6A80"),
        (0x07, 0x9A, parts(b"p", b"q"), "6A80"),
        (0x07, 0x9A, parts(b"p", b"q", b"r", b"s", b"t", b"u"), "6A80"),
        (0x11, 0x9B, b"\6\1\1", "6A86"),
        (0x11, 0xF9, b"\6\1\1", "6A86"),
        (0x15, 0x9A, parts(b"p", b"q", b"r", b"s", b"t"), "6A86"),
        (0x27, 0x04, b"\6\1\1", "6A86"),
    ],
)
def test_what_cannot_be_imported(algorithm: int, key_ref: int, data: bytes, expected: str) -> None:
    assert send(developer(), 0xFE, algorithm, key_ref, data) == expected


def test_an_algorithm_that_is_not_the_profiles_is_not_imported() -> None:
    features = replace(DEVELOPER, algorithms=frozenset({Algorithm.ECC_P256}))
    card = new_card(ScriptedKeys(), sample_image(features=features))
    administer(card)
    assert send(card, 0xFE, 0x14, 0x9A, b"\6\x30" + bytes(48)) == "6A86"


def test_only_administrators_import() -> None:
    card = new_card(ScriptedKeys(), features=DEVELOPER)
    card.send(VERIFY)
    assert send(card, 0xFE, 0x11, 0x9A, b"\6\x20" + bytes(32)) == "6982"
    assert send(card, 0xFE, 0x11, 0x9A, b"") == "6982"
    assert send(card, 0xFE, 0x99, 0x9A, b"") == "6A86"  # an algorithm that no card has
    assert send(card, 0xFE, 0x11, 0x9B, b"") == "6A86"


def test_no_private_key_is_ever_shown() -> None:
    card = developer()
    send(card, 0xFE, 0x11, 0x9A, b"\6\x20" + b"PRIVATE." * 4)
    assert "PRIVATE" not in repr(last_request(card))
    assert "PRIVATE" not in repr(card.card.__dict__)


@given(data=st.binary(max_size=200), extensions=st.booleans())
def test_no_data_kills_the_card(data: bytes, extensions: bool) -> None:
    card = new_card(ScriptedKeys(), features=DEVELOPER if extensions else ADMINISTERED)
    administer(card)
    for ins, p1 in ((0x47, 0x00), (0xFE, 0x11), (0xFE, 0x07), (0xDB, 0x3F), (0xFF, 0xFF)):
        send(card, ins, p1, 0xFF if ins in (0xDB, 0xFF) else 0x9A, data)
        assert card.card.fault is None
        send(card, ins, p1, 0x9A, tlv.encode(0xAC, data[:100]))
        assert card.card.fault is None
