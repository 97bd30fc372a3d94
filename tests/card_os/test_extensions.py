"""The instructions of Yubico's tools, and what else a card profile's extensions change."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from card_os import tlv
from card_os.administration import (
    Administrator,
    AttestKey,
    CardKey,
    Changed,
    MoveKey,
    ResetCard,
    SetManagementKey,
    SetTries,
)
from card_os.apdu import Command
from card_os.keys import KeyResult, PasscodeStatus, Refusal, TriesLeft, Verified
from card_os.piv import CardImage, Features
from card_os.piv.application import EXTENSIONS
from card_os.piv.names import Algorithm, Cipher
from card_os.piv.yubico import attestation
from card_os.uses import PinPolicy, TouchPolicy
from support.fakes import (
    ADMIN_PROOF,
    DEVELOPER,
    GUID,
    MANAGEMENT_KEY,
    PROOF,
    PUBLIC_KEY,
    CannedKeys,
    DrivenCard,
    ScriptedKeys,
    administer,
    last_request,
    new_card,
    sample_image,
)
from support.strategies import likely_apdus

VERIFY = "00200080 08 313233343536FFFF"
STATUS = "00200080"
PRINTED = "00CB3FFF 05 5C035FC109 00"
PUT = "00DB3FFF 08 5C035FC109 5301AA"
PADDING = "FF" * 8
NEW_KEY = bytes(range(50, 66))
SET_KEY = f"00FFFFFF 13 08 9B10 {NEW_KEY.hex()}"


def developer(*results: KeyResult) -> DrivenCard:
    return new_card(ScriptedKeys(*results), features=DEVELOPER)


def administered(*results: KeyResult) -> DrivenCard:
    card = developer(*results)
    assert administer(card) == b"\x90\x00"
    return card


def canned(*results: KeyResult, keys: dict[int, CardKey] | None = None) -> DrivenCard:
    """Its administrator has just come in."""
    image = sample_image(features=DEVELOPER)
    image = image if keys is None else replace(image, keys=keys)
    card = new_card(CannedKeys(bytes(16), Administrator(ADMIN_PROOF), *results), image)
    card.send("0087089B 04 7C028100 00")
    card.send("0087089B 14 7C128210" + "00" * 16)
    return card


@pytest.mark.parametrize("ins", EXTENSIONS)
@pytest.mark.parametrize("data", ["", "01 00", "00 00 05 0102030405"])
def test_other_profiles_have_none(ins: int, data: str) -> None:
    """Nor do they say so by another status word, whatever is wrong besides."""
    for features in (Features(), Features(management_algorithm=Cipher.AES_128)):
        card = new_card(features=features)
        for p1_p2 in ("0000", "FFFF", "9A9C"):
            assert card.send(f"00{ins:02X}{p1_p2} {data}") == "6D00"
        assert card.send(f"10{ins:02X}0000 01 00") == "6D00"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("00FD0000 00", "0507009000"),
        ("00FD0100", "6A86"),
        ("00FD0000 01 00", "6700"),
        ("00F80000 00", "000003E89000"),
        ("00F80001", "6A86"),
        ("00F70100", "6A86"),
        ("00F70080 01 00", "6700"),
        ("00F60000", "6A86"),
        ("00F69B9A", "6A86"),
        ("00F6FF9B", "6A86"),
        ("00F6FF04", "6A86"),
        ("00F6FFF9", "6A86"),
        ("00F69A9C 01 00", "6700"),
        ("00F99B00", "6A86"),
        ("00F99A01", "6A86"),
        ("00F99A00 01 00", "6700"),
        ("00FA0005", "6A86"),
        ("00FA0500", "6A86"),
        ("00FA0505 01 00", "6700"),
        ("00FB0001", "6A86"),
        ("00FB0000 01 00", "6700"),
        ("00FF0000 01 00", "6A86"),
        ("00FFFFFD 01 00", "6A86"),
    ],
)
def test_parameters(command: str, expected: str) -> None:
    assert new_card(features=DEVELOPER).send(command) == expected


@pytest.mark.parametrize(
    ("serial", "number"),
    [
        ("1", 1),
        ("190000000012", 12),
        ("999999999999", 999_999_999),
        ("AB-17", 17),
        ("none", 0),
    ],
)
def test_the_serial_number_is_the_cards_own(serial: str, number: int) -> None:
    image = CardImage(serial, GUID, {}, {}, DEVELOPER)
    assert new_card(image=image).send("00F80000") == f"{number:08X}9000"


@pytest.mark.parametrize("command", ["00F6829A", "00F6FF9A", "00FA0303", SET_KEY, "00FE119A 00"])
def test_only_administrators_change_the_card(command: str) -> None:
    card = developer()
    card.send(VERIFY)
    before = last_request(card)
    assert card.send(command) == "6982"
    assert last_request(card) is before


# Metadata


def metadata(card: DrivenCard, key_ref: int) -> dict[int, bytes]:
    answer = bytes.fromhex(card.send(f"00F700{key_ref:02X} 00"))
    assert answer.endswith(b"\x90\x00")
    return dict(tlv.decode(answer[:-2]))


def test_metadata_of_passcodes() -> None:
    card = developer()
    for key_ref in (0x80, 0x81):
        assert metadata(card, key_ref) == {0x01: b"\xff", 0x05: b"\1", 0x06: b"\3\3"}
    card.send("00200080 08 3636363636363636")
    card.send("00240081 10 3132333435363738 3837363534333231")
    assert metadata(card, 0x80) == {0x01: b"\xff", 0x05: b"\1", 0x06: b"\3\2"}
    assert metadata(card, 0x81) == {0x01: b"\xff", 0x05: b"\0", 0x06: b"\3\3"}


def test_metadata_of_the_management_key() -> None:
    """It tells whether it is the factory's."""
    for factory in (False, True):
        image = replace(sample_image(features=DEVELOPER), factory_management_key=factory)
        told = metadata(new_card(image=image), 0x9B)
        assert told == {0x01: b"\x08", 0x02: b"\0\1", 0x05: bytes((factory,))}
    image = sample_image(features=replace(DEVELOPER, management_algorithm=None))
    assert new_card(image=image).send("00F7009B") == "6A88"


@pytest.mark.parametrize(
    ("key_ref", "pin"),
    [
        (0x9A, PinPolicy.ONCE),
        (0x9C, PinPolicy.ALWAYS),
        (0x9D, PinPolicy.ONCE),
        (0x9E, PinPolicy.NEVER),
        (0x82, PinPolicy.ONCE),
    ],
)
def test_metadata_of_keys(key_ref: int, pin: PinPolicy) -> None:
    """Policies are told as they apply."""
    made = CardKey(Algorithm.ECC_P256, PUBLIC_KEY)
    card = canned(keys={key_ref: made})
    expected = {0x01: b"\x11", 0x02: bytes((pin, 1)), 0x03: b"\1", 0x04: PUBLIC_KEY}
    assert metadata(card, key_ref) == expected
    other = CardKey(0x14, b"", PinPolicy.NEVER, TouchPolicy.CACHED, imported=True)
    card = canned(keys={key_ref: other})
    assert metadata(card, key_ref) == {0x01: b"\x14", 0x02: b"\1\3", 0x03: b"\2"}


@pytest.mark.parametrize("key_ref", [0x00, 0x04, 0x83, 0x96, 0xF9, 0xFF])
def test_no_metadata(key_ref: int) -> None:
    assert new_card(features=DEVELOPER).send(f"00F700{key_ref:02X}") == "6A88"


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (Refusal.UNKNOWN_KEY, "6A88"),
        (Refusal.UNAVAILABLE, "6400"),
        (Refusal.PASSCODE_NEEDED, "6F00"),
        (Verified(PROOF), "6F00"),
    ],
)
def test_metadata_that_is_refused(result: KeyResult, expected: str) -> None:
    assert new_card(CannedKeys(result), features=DEVELOPER).send("00F70080") == expected


def test_many_tries_fit() -> None:
    card = new_card(CannedKeys(TriesLeft(300, 400)), features=DEVELOPER)
    assert card.send("00F70080").endswith("0602FFFF9000")


# Keys


def test_a_key_is_moved_and_erased() -> None:
    card = administered(b"agreed")
    assert card.send("00F6839A") == "9000"
    assert last_request(card) == MoveKey(ADMIN_PROOF, 0x9A, 0x83)
    card.send(VERIFY)
    sign = "0087 11{} 0A 7C08 8200 8104DEADBEEF 00"
    assert card.send(sign.format("9A")) == "6A86"
    assert card.send(sign.format("83")).endswith("9000")
    assert card.send("00F6FF83") == "9000"
    assert last_request(card) == MoveKey(ADMIN_PROOF, 0x83, None)
    assert card.send(sign.format("83")) == "6A86"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("00F69D83", "6A88"),  # no such key
        ("00F69D9A", "6985"),  # there is another
        ("00F69A9A", "6985"),
    ],
)
def test_moves_that_cannot_be(command: str, expected: str) -> None:
    keys = {key_ref: CardKey(Algorithm.ECC_P256) for key_ref in (0x9A, 0x9D)}
    assert canned(keys=keys).send(command) == expected


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_key_of_any_algorithm_is_moved(algorithm: Algorithm) -> None:
    moved = Changed(keys={0x9A: None, 0x9C: CardKey(algorithm)})
    card = canned(moved, keys={0x9A: CardKey(algorithm)})
    assert card.send("00F69C9A") == "9000"
    assert last_request(card) == MoveKey(ADMIN_PROOF, 0x9A, 0x9C)


@pytest.mark.parametrize(
    ("serial", "integer"),
    [("cloudcard", "020100"), ("127", "02017F"), ("128", "02020080"), ("9" * 12, "02043B9AC9FF")],
)
def test_what_an_attestation_says(serial: str, integer: str) -> None:
    said = attestation.extensions(serial, 0x9C, PinPolicy.DEFAULT, TouchPolicy.DEFAULT)
    assert said == {
        "1.3.6.1.4.1.41482.3.3": bytes((5, 7, 0)),
        "1.3.6.1.4.1.41482.3.7": bytes.fromhex(integer),
        "1.3.6.1.4.1.41482.3.8": bytes((PinPolicy.ALWAYS, TouchPolicy.NEVER)),
        "1.3.6.1.4.1.41482.3.9": b"\0",
    }


@pytest.mark.parametrize(
    ("own", "touch", "told"),
    [
        (PinPolicy.DEFAULT, TouchPolicy.CACHED, (PinPolicy.ONCE, TouchPolicy.CACHED)),
        (PinPolicy.NEVER, TouchPolicy.ALWAYS, (PinPolicy.NEVER, TouchPolicy.ALWAYS)),
    ],
)
def test_an_attestation_says_which_policies_apply(
    own: PinPolicy, touch: TouchPolicy, told: tuple[int, int]
) -> None:
    said = attestation.extensions("1", 0x9A, own, touch)
    assert said["1.3.6.1.4.1.41482.3.8"] == bytes(told)


def test_attestation() -> None:
    """Nobody needs to be administrator, or holder."""
    card = developer()
    assert bytes.fromhex(card.send("00F99A00 00")) == b"certificate\x90\x00"
    assert last_request(card) == AttestKey(0x9A)
    assert card.send("00F98300") == "6A82"
    imported = {0x9A: CardKey(Algorithm.ECC_P256, imported=True)}
    assert canned(keys=imported).send("00F99A00") == "6A80"


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (Refusal.DENIED, "6A80"),
        (Refusal.UNKNOWN_KEY, "6A82"),
        (Refusal.UNAVAILABLE, "6400"),
        (Changed(), "6F00"),
    ],
)
def test_attestation_that_is_refused(result: KeyResult, expected: str) -> None:
    assert canned(result).send("00F99A00") == expected


# The management key


@pytest.mark.parametrize("touch", ["FF", "FE"])
def test_a_new_management_key(touch: str) -> None:
    card = administered()
    assert card.send(SET_KEY.replace("00FFFFFF", f"00FFFF{touch}")) == "9000"
    assert last_request(card) == SetManagementKey(ADMIN_PROOF, 0x08, NEW_KEY)
    assert card.send(PUT) == "9000"  # ykman goes on as administrator
    card.card.reset()
    assert administer(card, MANAGEMENT_KEY) == bytes.fromhex("6982")
    assert administer(card, NEW_KEY) == b"\x90\x00"


def test_a_new_management_key_of_another_algorithm() -> None:
    card = administered()
    assert card.send(f"00FFFFFF 1B 03 9B18 {'0123456789ABCDEF' * 3}") == "9000"
    assert metadata(card, 0x9B)[0x01] == b"\x03"
    assert administer(card) == bytes.fromhex("6A80")
    assert administer(card, bytes.fromhex("0123456789ABCDEF" * 3), 0x03) == b"\x90\x00"


def test_an_open_challenge_of_the_key_before_is_void() -> None:
    card = administered()
    card.send("0087089B 04 7C028100 00")
    card.send(SET_KEY)
    assert card.send("0087089B 14 7C128210" + "00" * 16) == "6A80"


@pytest.mark.parametrize(
    "data",
    [
        "",
        "08",
        "089B00",
        "089B0F" + "11" * 15,
        "089B11" + "11" * 17,
        "0C9B10" + "11" * 16,
        "119B10" + "11" * 16,
        "089A10" + "11" * 16,
        "089B10" + "11" * 16 + "00",
        "9B10" + "11" * 16,
    ],
)
def test_what_is_no_management_key(data: str) -> None:
    raw = bytes(Command(0x00, 0xFF, 0xFF, 0xFF, bytes.fromhex(data)))
    assert administered().transmit(raw).hex().upper() == "6A80"


# Tries and reset


def test_new_numbers_of_tries() -> None:
    """Both passcodes are the factory's after it, so what was verified is not."""
    card = administered()
    card.send("00240080 10 313233343536FFFF 3939393939393939")
    assert card.send("00FA0507") == "9000"
    assert last_request(card) == SetTries(ADMIN_PROOF, PROOF, 5, 7)
    assert card.send(STATUS) == "63C5"
    assert metadata(card, 0x81)[0x06] == b"\7\7"
    assert card.send(PRINTED) == "6982"
    assert card.send(VERIFY) == "9000"
    assert card.send(PUT) == "9000"


def test_new_numbers_need_the_pin() -> None:
    assert administered().send("00FA0507") == "6982"


@pytest.mark.parametrize(
    ("refusal", "expected"),
    [
        (Refusal.PASSCODE_NEEDED, "6982"),
        (Refusal.MALFORMED, "6A86"),
        (Refusal.DENIED, "6985"),
        (Refusal.UNAVAILABLE, "6400"),
    ],
)
def test_new_numbers_that_are_refused(refusal: Refusal, expected: str) -> None:
    """It is not known which proof was too old: neither is used again."""
    card = canned(Verified(PROOF), refusal, Changed())
    card.send(VERIFY)
    assert card.send("00FA0507") == expected
    assert card.send(PRINTED) == "6982"
    again = "6982" if refusal is Refusal.PASSCODE_NEEDED else "9000"
    assert card.send(PUT) == again


def test_a_reset_as_ykman_does_it() -> None:
    """PIN and PUK of padding alone until both are blocked, each of which costs a try."""
    card = administered()
    card.send(VERIFY)
    assert card.send("00FB0000") == "6985"
    verify, unblock = f"00200080 08 {PADDING}", f"002C0080 10 {PADDING} {PADDING}"
    assert [card.send(verify) for _ in range(3)] == ["63C2", "63C1", "6983"]
    assert card.send("00FB0000") == "6985"
    assert [card.send(unblock) for _ in range(3)] == ["63C2", "63C1", "6983"]
    assert card.send("00FB0000") == "9000"
    assert last_request(card) == ResetCard()
    assert card.send(STATUS) == "63C3"
    assert card.send(PUT) == "6982"
    assert card.send("00CB3FFF 05 5C035FC102 00") == "6A82"
    assert card.send("0087119E 0A 7C08 8200 8104DEADBEEF 00") == "6A86"


def test_a_right_puk_with_a_malformed_pin_changes_nothing() -> None:
    """Part 2, 3.2.3: 6A80."""
    card = developer()
    assert card.send(f"002C0080 10 3132333435363738 {PADDING}") == "6A80"
    assert card.send(VERIFY) == "9000"


@pytest.mark.parametrize("length", [1, 7, 9, 16])
def test_malformed_lengths_cost_no_try(length: int) -> None:
    card = developer()
    assert card.send(f"00200080 {length:02X} {'31' * length}") == "6A80"
    assert isinstance(last_request(card), PasscodeStatus)


@given(apdus=st.lists(likely_apdus(), max_size=12), administrated=st.booleans())
def test_nothing_kills_the_card(apdus: list[bytes], administrated: bool) -> None:
    """Nor does any command to a card that has all commands."""
    features = replace(DEVELOPER, global_pin=True)
    card = new_card(ScriptedKeys(*[b"result"] * 12), features=features)
    if administrated:
        administer(card)
        card.send(VERIFY)
    for apdu in apdus:
        assert len(card.transmit(apdu)) >= 2
        assert card.card.fault is None


# Policies of keys


@pytest.mark.parametrize("key_ref", [0x9A, 0x9C, 0x9D, 0x9E, 0x82])
@pytest.mark.parametrize(
    ("policy", "unverified", "later", "right_after"),
    [
        (PinPolicy.NEVER, "9000", "9000", "9000"),
        (PinPolicy.ONCE, "6982", "9000", "9000"),
        (PinPolicy.ALWAYS, "6982", "6982", "9000"),
    ],
)
def test_a_policy_overrides_the_rule(
    key_ref: int, policy: PinPolicy, unverified: str, later: str, right_after: str
) -> None:
    keys = {key_ref: CardKey(Algorithm.ECC_P256, pin_policy=policy)}
    image = replace(sample_image(features=DEVELOPER), keys=keys)
    card = new_card(ScriptedKeys(*[b"signature"] * 3), image)
    sign = f"008711{key_ref:02X} 0A 7C08 8200 8104DEADBEEF 00"
    assert card.send(sign)[-4:] == unverified
    card.send(VERIFY)
    card.send(STATUS)
    assert card.send(sign)[-4:] == later
    card.send(VERIFY)
    assert card.send(sign)[-4:] == right_after


SIGN_9A = "0087119A 0A 7C08 8200 8104DEADBEEF 00"


def test_without_extensions_a_policy_may_ask_for_no_pin() -> None:
    keys = {0x9A: CardKey(Algorithm.ECC_P256, pin_policy=PinPolicy.NEVER)}
    card = new_card(CannedKeys(b"signature"), replace(sample_image(), keys=keys))
    assert card.send(SIGN_9A)[-4:] == "9000"


@pytest.mark.parametrize("policy", set(PinPolicy) - {PinPolicy.NEVER})
def test_no_other_policy_overrides_the_rule_without_extensions(policy: PinPolicy) -> None:
    keys = {key_ref: CardKey(Algorithm.ECC_P256, pin_policy=policy) for key_ref in (0x9A, 0x9E)}
    card = new_card(CannedKeys(b"signature"), replace(sample_image(), keys=keys))
    assert card.send(SIGN_9A) == "6982"
    assert card.send(SIGN_9A.replace("119A", "119E"))[-4:] == "9000"  # as the standard has it
