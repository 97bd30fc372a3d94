"""GENERAL AUTHENTICATE (SP 800-73-5 part 2, 3.2.4 and appendix A)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from card_os import tlv
from card_os.administration import CardKey
from card_os.apdu import Command
from card_os.keys import KeyResult, Refusal, UseKey, Verified
from card_os.piv import Features, access
from card_os.status import SW
from card_os.uses import KeyUse
from support.fakes import PROOF, CannedKeys, DrivenCard, ScriptedKeys, new_card, sample_image

RSA, ECC = 0x07, 0x11
VERIFY = "00200080 08 313233343536FFFF"
BLOCK = b"\x00\x01" + bytes(254)
DIGEST = bytes(range(32))
POINT = b"\x04" + bytes(range(64))

OK = SW.OK.to_bytes(2)


def challenge(value: bytes) -> bytes:
    return tlv.encode(0x7C, tlv.encode(0x82), tlv.encode(0x81, value))


def exponentiation(value: bytes) -> bytes:
    return tlv.encode(0x7C, tlv.encode(0x82), tlv.encode(0x85, value))


def authenticate(card: DrivenCard, algorithm: int, key_ref: int, template: bytes) -> bytes:
    return card.transmit(bytes(Command(0x00, 0x87, algorithm, key_ref, template, 65536)))


def sw(card: DrivenCard, algorithm: int, key_ref: int, template: bytes) -> str:
    return authenticate(card, algorithm, key_ref, template)[-2:].hex().upper()


@pytest.mark.parametrize(
    ("algorithm", "key_ref", "template", "use", "value"),
    [
        (RSA, 0x9A, challenge(BLOCK), KeyUse.SIGN, BLOCK),
        (RSA, 0x9C, challenge(BLOCK), KeyUse.SIGN, BLOCK),
        (RSA, 0x9D, challenge(BLOCK), KeyUse.DECRYPT, BLOCK),
        (RSA, 0x9E, challenge(BLOCK), KeyUse.SIGN, BLOCK),
        (RSA, 0x82, challenge(BLOCK), KeyUse.DECRYPT, BLOCK),
        (ECC, 0x9A, challenge(DIGEST), KeyUse.SIGN, DIGEST),
        (ECC, 0x9C, challenge(DIGEST), KeyUse.SIGN, DIGEST),
        (ECC, 0x9D, exponentiation(POINT), KeyUse.AGREE, POINT),
        (ECC, 0x9E, challenge(DIGEST), KeyUse.SIGN, DIGEST),
        (ECC, 0x82, exponentiation(POINT), KeyUse.AGREE, POINT),
    ],
)
def test_uses(algorithm: int, key_ref: int, template: bytes, use: KeyUse, value: bytes) -> None:
    """Part 1, table 5; part 2, appendix A."""
    keys = ScriptedKeys(b"result")
    card = new_card(keys, rsa=algorithm == RSA)
    card.send(VERIFY)
    response = authenticate(card, algorithm, key_ref, template)
    assert response == bytes.fromhex("7C088206") + b"result" + OK
    request = keys.requests[-1]
    proof = b"" if key_ref == 0x9E else PROOF
    assert request == UseKey(request.request_id, use, key_ref, algorithm, value, proof)
    assert len(request.request_id) == 16


def test_the_order_within_the_template_is_free() -> None:
    card = new_card(ScriptedKeys(b"result"))
    template = tlv.encode(0x7C, tlv.encode(0x81, DIGEST), tlv.encode(0x82))
    assert sw(card, ECC, 0x9E, template) == "9000"


@pytest.mark.parametrize(
    ("key_ref", "before", "expected"),
    [
        (0x9A, "never", "6982"),
        (0x9A, "before another command", "9000"),
        (0x9C, "never", "6982"),
        (0x9C, "right before", "9000"),
        (0x9C, "before another command", "6982"),
        (0x9E, "never", "9000"),
    ],
)
def test_access_rules(key_ref: int, before: str, expected: str) -> None:
    """Part 1, table 5."""
    card = new_card(ScriptedKeys(b"result"))
    if before != "never":
        card.send(VERIFY)
    if before == "before another command":
        card.send("00CB3FFF 03 5C017E 00")
    assert sw(card, ECC, key_ref, challenge(DIGEST)) == expected


@pytest.mark.parametrize(
    "between",
    [
        "00CB3FFF 03 5C017E 00",
        "00200080",  # the status
        "00A40400 05 A000000308 00",  # leaves the status, but comes between
        "00C0000000",
        "00FD0000",
        "80500000",
        "00",  # no command at all
        "0087119C 02 7C00 00",  # a use that failed
        "0087119A 0A 7C08 8200 8104DEADBEEF 00",
        "1087119C 02 7C00",  # a chain that is aborted by the next command
    ],
)
def test_pin_always_means_right_before(between: str) -> None:
    """Part 1, 3.2.1: every time immediately before a digital signature key operation."""
    card = new_card(ScriptedKeys(*[b"result"] * 2))
    card.send(VERIFY)
    card.send(between)
    if between.startswith("10"):
        card.send("00CB3FFF 03 5C017E 00")
    assert sw(card, ECC, 0x9C, challenge(DIGEST)) == "6982"


def test_one_pin_one_signature() -> None:
    card = new_card(ScriptedKeys(b"one", b"two"))
    for _ in range(2):
        card.send(VERIFY)
        assert sw(card, ECC, 0x9C, challenge(DIGEST)) == "9000"
        assert sw(card, ECC, 0x9C, challenge(DIGEST)) == "6982"


def test_a_changed_pin_is_verified_but_not_by_verify() -> None:
    card = new_card(ScriptedKeys(b"result"))
    card.send("00240080 10 313233343536FFFF 363534333231FFFF")
    assert sw(card, ECC, 0x9C, challenge(DIGEST)) == "6982"
    assert sw(card, ECC, 0x9A, challenge(DIGEST)) == "9000"


@given(cuts=st.lists(st.integers(1, 265), max_size=5))
def test_a_chain_is_one_command_after_verify(cuts: list[int]) -> None:
    card = new_card(ScriptedKeys(b"result"), rsa=True)
    card.send(VERIFY)
    start, template = 0, challenge(BLOCK)
    for end in sorted(cuts):
        part = Command(0x10, 0x87, RSA, 0x9C, template[start:end])
        assert card.transmit(bytes(part)) == OK
        start = end
    assert sw(card, RSA, 0x9C, template[start:]) == "9000"


def test_verify_within_a_chain_is_after_the_chain() -> None:
    card = new_card(ScriptedKeys(b"result"))
    card.send("1087119C 02 7C08")
    card.send(VERIFY)
    assert sw(card, ECC, 0x9C, challenge(DIGEST)) == "9000"


@pytest.mark.parametrize(
    ("algorithm", "key_ref"),
    [
        (RSA, 0x9A),  # the key is another one
        (0x14, 0x9A),
        (0x00, 0x9A),
        (ECC, 0x83),  # no such key
        (ECC, 0x95),
        (ECC, 0x04),
        (ECC, 0x80),
        (0x03, 0x9B),  # witness and challenge of an administrator: there is no such key
        (0x08, 0x9B),
        (0x27, 0x04),
    ],
)
def test_unknown_keys_and_algorithms(algorithm: int, key_ref: int) -> None:
    for template in (challenge(DIGEST), bytes.fromhex("7C028000"), bytes.fromhex("7C028100"), b""):
        assert sw(new_card(), algorithm, key_ref, template) == "6A86"


@pytest.mark.parametrize(
    ("what", "template"),
    [
        ("nothing that fits", "7C00"),
        ("witness asked for", "7C028000"),
        ("challenge asked for", "7C028100"),
        ("no response asked for", "7C068104DEADBEEF"),
        ("a response given", "7C0A8202AAAA8104DEADBEEF"),
        ("two responses", "7C0482008200"),
        ("two challenges", "7C0A8200810101810102"),
        ("something more", "7C0882008101018300"),
        ("no challenge's value", "7C0482008100"),
        ("not a template", "5C017E"),
        ("two templates", "7C05820081010A7C00"),
        ("something behind", "7C05820081010A00"),
        ("inner length too long", "7C05820081020A"),
        ("outer length too long", "7C06820081010A"),
        ("no TLV", "FF"),
    ],
)
def test_malformed_templates(what: str, template: str) -> None:
    card = new_card()
    assert sw(card, ECC, 0x9E, bytes.fromhex(template)) == "6A80", what


@pytest.mark.parametrize(
    ("algorithm", "key_ref", "template"),
    [
        (RSA, 0x9A, exponentiation(POINT)),  # part 2, 3.2.4: not on 9A, 9C, 9E
        (ECC, 0x9A, exponentiation(POINT)),
        (ECC, 0x9C, exponentiation(POINT)),
        (ECC, 0x9E, exponentiation(POINT)),
        (RSA, 0x9D, exponentiation(POINT)),
        (ECC, 0x9D, challenge(DIGEST)),
        (ECC, 0x82, challenge(DIGEST)),
        (RSA, 0x9A, challenge(BLOCK[1:])),
        (RSA, 0x9A, challenge(BLOCK + b"\0")),
        (RSA, 0x9D, challenge(BLOCK[1:])),
        (ECC, 0x9A, challenge(bytes(65))),
        (ECC, 0x9D, exponentiation(POINT[1:])),
        (ECC, 0x9D, exponentiation(POINT + b"\0")),
        (ECC, 0x9D, exponentiation(b"\x02" + POINT[1:33])),  # compressed
        (ECC, 0x9D, exponentiation(b"\x06" + POINT[1:])),  # hybrid
        (ECC, 0x9D, exponentiation(b"")),
    ],
)
def test_inputs_that_do_not_fit_the_key(algorithm: int, key_ref: int, template: bytes) -> None:
    card = new_card(CannedKeys(Verified(PROOF)), rsa=algorithm == RSA)
    card.send(VERIFY)
    assert sw(card, algorithm, key_ref, template) == "6A80"


def test_no_template() -> None:
    assert new_card().send("0087119E") == "6700"


@given(digest=st.binary(min_size=1, max_size=64))
@example(digest=bytes(1))
@example(digest=bytes(64))
def test_digests_of_every_length_are_passed_as_they_are(digest: bytes) -> None:
    keys = CannedKeys(b"signature")
    assert sw(new_card(keys), ECC, 0x9E, challenge(digest)) == "9000"
    [request] = keys.requests
    assert isinstance(request, UseKey)
    assert request.input == digest


@pytest.mark.parametrize(
    ("refusal", "expected"),
    [
        (Refusal.DENIED, "6985"),
        (Refusal.EXPIRED, "6985"),
        (Refusal.CANCELLED, "6985"),
        (Refusal.MALFORMED, "6A80"),
        (Refusal.UNAVAILABLE, "6400"),
        (Refusal.UNKNOWN_KEY, "6A86"),
    ],
)
def test_refusals(refusal: Refusal, expected: str) -> None:
    card = new_card(CannedKeys(Verified(PROOF), refusal, refusal, b"signature"))
    card.send(VERIFY)
    assert sw(card, ECC, 0x9C, challenge(DIGEST)) == expected
    assert sw(card, ECC, 0x9C, challenge(DIGEST)) == "6982"  # the use that was refused was one
    assert sw(card, ECC, 0x9A, challenge(DIGEST)) == expected
    assert sw(card, ECC, 0x9A, challenge(DIGEST)) == "9000"  # the PIN stays verified


def test_a_proof_that_is_taken_no_more_asks_for_the_pin() -> None:
    card = new_card(CannedKeys(Verified(PROOF), Refusal.PASSCODE_NEEDED, Verified(PROOF), b"sig"))
    card.send(VERIFY)
    assert sw(card, ECC, 0x9A, challenge(DIGEST)) == "6982"
    assert sw(card, ECC, 0x9A, challenge(DIGEST)) == "6982"  # without asking again
    card.send(VERIFY)
    assert sw(card, ECC, 0x9A, challenge(DIGEST)) == "9000"


def test_a_hang_up_during_the_wait_spends_the_pin() -> None:
    card = new_card(ScriptedKeys(b"signature"))
    card.send(VERIFY)
    apdu = bytes(Command(0x00, 0x87, ECC, 0x9C, challenge(DIGEST), 256))
    exchange = card.card.exchange(apdu)
    assert isinstance(next(exchange), UseKey)
    exchange.close()
    assert card.transmit(apdu) == bytes.fromhex("6982")
    assert sw(card, ECC, 0x9A, challenge(DIGEST)) == "9000"


P384_POINT = b"\x04" + bytes(96)


def card_with(
    algorithm: int, *results: KeyResult, extensions: bool = False, key_ref: int | None = None
) -> DrivenCard:
    """Its PIN is verified; without `key_ref`, it has every key which that algorithm can be of."""
    key_refs = [key_ref] if key_ref else [0x9A, 0x9C, 0x9D, 0x9E, 0x82, 0x95]
    keys = {
        each: CardKey(algorithm)
        for each in key_refs
        if access.exists(each, algorithm, extensions=extensions)
    }
    features = Features(extensions=extensions)
    card = new_card(ScriptedKeys(*results), replace(sample_image({}, features), keys=keys))
    card.send(VERIFY)
    return card


def used(card: DrivenCard) -> tuple[KeyUse, bytes]:
    assert isinstance(card.keys, ScriptedKeys)
    request = card.keys.requests[-1]
    assert isinstance(request, UseKey)
    return request.use, request.input


@pytest.mark.parametrize(
    ("algorithm", "key_ref", "template", "use", "value"),
    [
        (algorithm, key_ref, template(value), use, value)
        for algorithm, template, value, use, key_refs in (
            *(
                (rsa, challenge, b"\x00\x01" + bytes(size - 2), use, key_refs)
                for rsa, size in ((0x05, 384), (0x07, 256), (0x16, 512))
                for use, key_refs in (
                    (KeyUse.SIGN, (0x9A, 0x9C, 0x9E)),
                    (KeyUse.DECRYPT, (0x9D, 0x82, 0x95)),
                )
            ),
            (0x14, challenge, bytes(range(48)), KeyUse.SIGN, (0x9A, 0x9C, 0x9E)),
            (0x14, exponentiation, P384_POINT, KeyUse.AGREE, (0x9D, 0x82, 0x95)),
            (0xE0, challenge, b"", KeyUse.SIGN, (0x9A, 0x9C, 0x9E)),
            (0xE0, challenge, b"message" * 1000, KeyUse.SIGN, (0x9A, 0x9C, 0x9E)),
            (0xE1, exponentiation, bytes(range(32)), KeyUse.AGREE, (0x9D, 0x82, 0x95)),
        )
        for key_ref in key_refs
    ],
)
def test_uses_of_every_algorithm(
    algorithm: int, key_ref: int, template: bytes, use: KeyUse, value: bytes
) -> None:
    """SP 800-78-5, table 10, and Yubico's numbers."""
    card = card_with(algorithm, b"result")
    card.send(VERIFY)
    assert authenticate(card, algorithm, key_ref, template)[-8:] == b"result" + OK
    assert used(card) == (use, value)


@pytest.mark.parametrize(
    ("algorithm", "key_ref", "template"),
    [
        *((rsa, 0x9A, challenge(bytes(size))) for rsa in (0x05, 0x16) for size in (0, 256, 511)),
        *((rsa, 0x9D, challenge(bytes(size))) for rsa in (0x05, 0x16) for size in (0, 256, 513)),
        (0x07, 0x9D, exponentiation(bytes(256))),
        (0x14, 0x9A, challenge(bytes(65))),
        (0x14, 0x9A, challenge(b"")),
        (0x14, 0x9A, exponentiation(P384_POINT)),
        (0x14, 0x9D, challenge(DIGEST)),
        (0x14, 0x9D, exponentiation(POINT)),
        (0x14, 0x9D, exponentiation(P384_POINT[:-1])),
        (0x14, 0x9D, exponentiation(b"\x03" + P384_POINT[1:49])),
        (0xE0, 0x9A, exponentiation(bytes(32))),
        (0xE1, 0x9D, challenge(bytes(32))),
        (0xE1, 0x9D, exponentiation(bytes(31))),
        (0xE1, 0x9D, exponentiation(bytes(33))),
    ],
)
@pytest.mark.parametrize("extensions", [False, True])
def test_inputs_that_fit_no_algorithm(
    algorithm: int, key_ref: int, template: bytes, extensions: bool
) -> None:
    if extensions and template in (challenge(DIGEST), exponentiation(P384_POINT)):
        return  # which the key can do then
    card = card_with(algorithm, extensions=extensions)
    assert sw(card, algorithm, key_ref, template) == "6A80"


@pytest.mark.parametrize("key_ref", [0x9D, 0x82, 0x95])
@pytest.mark.parametrize(
    ("algorithm", "template", "use"),
    [
        (0x11, challenge(DIGEST), KeyUse.SIGN),
        (0x11, exponentiation(POINT), KeyUse.AGREE),
        (0x14, challenge(DIGEST), KeyUse.SIGN),
        (0x14, exponentiation(P384_POINT), KeyUse.AGREE),
        (0xE0, challenge(b"message"), KeyUse.SIGN),
        (0xE1, exponentiation(bytes(32)), KeyUse.AGREE),
        (0x07, challenge(b"\0\1\xff" + bytes(253)), KeyUse.SIGN),
        (0x07, challenge(b"\0\1\xfe" + bytes(253)), KeyUse.DECRYPT),
        (0x07, challenge(b"\0\2\xff" + bytes(253)), KeyUse.DECRYPT),
    ],
)
def test_extensions_let_key_management_keys_sign(
    key_ref: int, algorithm: int, template: bytes, use: KeyUse
) -> None:
    card = card_with(algorithm, b"result", extensions=True)
    assert sw(card, algorithm, key_ref, template) == "9000"
    assert used(card)[0] is use


@pytest.mark.parametrize("key_ref", [0x9A, 0x9C, 0x9E])
@pytest.mark.parametrize(
    ("algorithm", "point"), [(0x11, POINT), (0x14, P384_POINT), (0xE1, bytes(range(32)))]
)
def test_extensions_let_signing_keys_agree(key_ref: int, algorithm: int, point: bytes) -> None:
    """As on YubiKeys; the standard forbids it (part 2, 3.2.4)."""
    card = card_with(algorithm, b"secret", key_ref=key_ref, extensions=True)
    assert sw(card, algorithm, key_ref, exponentiation(point)) == "9000"
    assert used(card) == (KeyUse.AGREE, point)


@pytest.mark.parametrize("key_ref", [0x9A, 0x9C, 0x9E])
def test_extensions_let_signing_keys_sign_every_block(key_ref: int) -> None:
    """A block padded by PSS looks as a cryptogram does."""
    card = card_with(0x07, b"signature", extensions=True)
    assert sw(card, 0x07, key_ref, challenge(b"\0\2\xff" + bytes(253))) == "9000"
    assert used(card)[0] is KeyUse.SIGN


@pytest.mark.parametrize(("extensions", "expected"), [(False, "6A86"), (True, "6A80")])
def test_another_algorithm_than_the_keys(extensions: bool, expected: str) -> None:
    card = card_with(0x07, extensions=extensions)
    for algorithm in (0x05, 0x11, 0xE0, 0x00):
        assert sw(card, algorithm, 0x9A, challenge(DIGEST)) == expected


@pytest.mark.parametrize("tag", [0x80, 0x82, 0x83, 0x85])
def test_a_signature_block_signs_under_its_tag_alone(tag: int) -> None:
    card = card_with(0x07, extensions=True)
    template = tlv.encode(0x7C, tlv.encode(0x82), tlv.encode(tag, b"\0\1\xff" + bytes(253)))
    assert sw(card, 0x07, 0x9D, template) == "6A80"


@pytest.mark.parametrize("key_ref", [*range(0x82, 0x96), 0x9A, 0x9C, 0x9D, 0x9E])
def test_every_key_reference(key_ref: int) -> None:
    """Part 1, table 5: key management keys, retired ones too, agree; the others sign."""
    agrees = key_ref == 0x9D or key_ref < 0x96
    card = card_with(ECC, b"result", key_ref=key_ref)
    template = exponentiation(POINT) if agrees else challenge(DIGEST)
    assert sw(card, ECC, key_ref, template) == "9000"
    assert used(card)[0] is (KeyUse.AGREE if agrees else KeyUse.SIGN)


def test_rsa_as_in_the_standard() -> None:
    """Part 2, appendix A: two parts of a command, two of a response."""
    signature = bytes(range(256))
    card = new_card(ScriptedKeys(signature), rsa=True)
    template = challenge(BLOCK)
    assert len(template) == 266
    card.send(VERIFY)
    assert card.transmit(bytes.fromhex("1087079CFF") + template[:255]) == OK
    response = card.transmit(bytes.fromhex("0087079C0B") + template[255:] + b"\0")
    assert response.startswith(bytes.fromhex("7C82010482820100"))
    assert response.endswith(b"\x61\x08")
    rest = card.send("00C0000008")
    assert (response[8:-2] + bytes.fromhex(rest[:-4]), rest[-4:]) == (signature, "9000")
