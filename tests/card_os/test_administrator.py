"""Authentication with the management key (SP 800-73-5 part 2, 3.2.4, A.1 and A.2), and attacks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from card_os.administration import (
    Administrator,
    AnswerChallenge,
    Changed,
    RequestChallenge,
    WriteObject,
)
from card_os.keys import KeyRequest, KeyResult, Refusal
from card_os.piv.names import Cipher
from support.fakes import (
    ADMIN_PROOF,
    ADMINISTERED,
    MANAGEMENT_KEY,
    CannedKeys,
    DrivenCard,
    ScriptedKeys,
    administer,
    encipher,
    new_card,
)

CHALLENGE, WITNESS = "0087089B 04 7C028100 00", "0087089B 04 7C028000 00"
PUT = "00DB3FFF 08 5C035FC109 5301AA"
BLOCK, OWN = "00112233445566778899AABBCCDDEEFF", "F" * 32
EXTERNAL = f"0087089B 14 7C128210{BLOCK}"
MUTUAL = f"0087089B 28 7C268010{BLOCK} 8110{OWN} 8200 00"
ENCIPHERED = bytes(range(16))
GRANTED, GRANTED_MUTUALLY = Administrator(ADMIN_PROOF), Administrator(ADMIN_PROOF, ENCIPHERED)


def administered(*results: KeyResult) -> DrivenCard:
    return new_card(CannedKeys(*results), features=ADMINISTERED)


def requests(card: DrivenCard) -> list[KeyRequest]:
    assert isinstance(card.keys, CannedKeys | ScriptedKeys)
    return card.keys.requests


def test_external_authentication_as_in_the_standard() -> None:
    """A.1"""
    card = administered(bytes.fromhex(BLOCK), GRANTED, Changed())
    assert card.send(CHALLENGE) == f"7C128110{BLOCK}9000"
    assert card.send(EXTERNAL) == "9000"
    assert card.send(PUT) == "9000"
    assert requests(card) == [
        RequestChallenge(0x08, enciphered=False),
        AnswerChallenge(0x08, bytes.fromhex(BLOCK), b""),
        WriteObject(ADMIN_PROOF, 0x5FC109, b"\xaa"),
    ]


@pytest.mark.parametrize("mutual", [MUTUAL, f"0087089B 26 7C248010{BLOCK} 8110{OWN} 00"])
def test_mutual_authentication_as_in_the_standard(mutual: str) -> None:
    """A.2; some clients leave out the empty response."""
    card = administered(ENCIPHERED, GRANTED_MUTUALLY, Changed())
    assert card.send(WITNESS) == f"7C128010{ENCIPHERED.hex()}9000".upper()
    assert card.send(mutual) == f"7C128210{ENCIPHERED.hex()}9000".upper()
    assert card.send(PUT) == "9000"
    assert requests(card)[:2] == [
        RequestChallenge(0x08, enciphered=True),
        AnswerChallenge(0x08, bytes.fromhex(BLOCK), bytes.fromhex(OWN)),
    ]


@pytest.mark.parametrize(
    ("algorithm", "size"),
    [(Cipher.TDEA, 24), (Cipher.AES_128, 16), (Cipher.AES_192, 24), (Cipher.AES_256, 32)],
)
def test_every_algorithm(algorithm: int, size: int) -> None:
    """SP 800-78-5, table 10."""
    keys = ScriptedKeys()
    keys.management = algorithm, bytes(range(size))
    features = replace(ADMINISTERED, management_algorithm=algorithm)
    card = new_card(keys, features=features)
    assert administer(card, bytes(range(size)), algorithm) == b"\x90\x00"
    assert card.send(PUT) == "9000"
    card.card.reset()
    assert administer(card, bytes(size), algorithm) == bytes.fromhex("6982")
    assert card.send(PUT) == "6982"


@pytest.mark.parametrize("algorithm", [Cipher.TDEA, Cipher.AES_192, 0x07, 0x11])
def test_another_algorithm(algorithm: int) -> None:
    assert administered().send(f"0087{algorithm:02X}9B 04 7C028100 00") == "6A86"


def test_opensc_asks_for_random_numbers() -> None:
    """Again and again, with P1 of zero: that makes nobody administrator, and unmakes nobody."""
    card = new_card(ScriptedKeys(), features=ADMINISTERED)
    administer(card)
    asked = {card.send("0087009B 04 7C028100 00") for _ in range(3)}
    assert len(asked) == 3
    assert card.send(PUT) == "9000"


def test_a_challenge_that_names_no_algorithm_can_be_answered() -> None:
    card = new_card(ScriptedKeys(), features=ADMINISTERED)
    block = bytes.fromhex(card.send("0087009B 04 7C028100 00"))[4:-2]
    answer = encipher(0x08, MANAGEMENT_KEY, block).hex()
    assert card.send(f"0087009B 14 7C128210{answer}") == "9000"
    assert card.send(PUT) == "9000"


@pytest.mark.parametrize(
    "template",
    [
        "7C00",
        "7C028200",
        "7C0481008200",
        "7C0480008100",
        f"7C148200 8110{BLOCK}",  # internal authentication: the card would answer itself
        f"7C128110{BLOCK}",
        f"7C128010{BLOCK}",
        f"7C148010{BLOCK} 8100",
        f"7C248210{BLOCK} 8210{BLOCK}",
        f"7C248110{BLOCK} 8210{BLOCK}",
        f"7C128510{BLOCK}",
        f"7C028200{'00'}",
        "7C03820100",
        "7C",
        "5C00",
    ],
)
@pytest.mark.parametrize("opened", [None, CHALLENGE, WITNESS])
def test_what_fits_no_step(template: str, opened: str | None) -> None:
    """It ends what was begun, and the administrator's status with it (part 2, 2.4.2)."""
    card = administered(ENCIPHERED, GRANTED, ENCIPHERED)
    card.send(CHALLENGE)
    card.send(EXTERNAL)
    if opened:
        card.send(opened)
    data = bytes.fromhex(template)
    answer = card.transmit(bytes.fromhex("0087089B") + bytes((len(data),)) + data + b"\0")
    assert answer.hex().upper() == "6A80"
    assert card.send(PUT) == "6982"
    assert card.send(EXTERNAL) == "6A80"
    assert card.send(MUTUAL) == "6A80"


@pytest.mark.parametrize("size", [1, 8, 15, 17, 32])
def test_blocks_of_another_length(size: int) -> None:
    block = "00" * size
    card = administered(ENCIPHERED)
    card.send(CHALLENGE)
    assert card.send(f"0087089B {size + 4:02X} 7C{size + 2:02X}82{size:02X}{block}") == "6A80"
    for witness, own in ((block, OWN), (BLOCK, block)):
        card = administered(ENCIPHERED)
        card.send(WITNESS)
        data = f"80{len(witness) // 2:02X}{witness}81{len(own) // 2:02X}{own}"
        data = f"7C{len(data) // 2:02X}{data}"
        assert card.send(f"0087089B {len(data) // 2:02X} {data} 00") == "6A80"


def test_no_template() -> None:
    assert administered().send("0087089B") == "6700"


@pytest.mark.parametrize(
    ("refusal", "expected"),
    [
        (Refusal.DENIED, "6982"),
        (Refusal.EXPIRED, "6985"),
        (Refusal.CANCELLED, "6985"),
        (Refusal.MALFORMED, "6A80"),
        (Refusal.UNKNOWN_KEY, "6A86"),
        (Refusal.FULL, "6A84"),
        (Refusal.UNAVAILABLE, "6400"),
    ],
)
def test_refused_answers(refusal: Refusal, expected: str) -> None:
    for opening, answer in ((CHALLENGE, EXTERNAL), (WITNESS, MUTUAL)):
        card = administered(ENCIPHERED, GRANTED, ENCIPHERED, refusal)
        card.send(CHALLENGE)
        card.send(EXTERNAL)
        card.send(opening)
        assert card.send(answer) == expected
        assert card.send(PUT) == "6982"  # who was administrator is none now
        assert card.send(answer) == "6A80"


@pytest.mark.parametrize(
    ("refusal", "expected"), [(Refusal.UNAVAILABLE, "6400"), (Refusal.UNKNOWN_KEY, "6A86")]
)
def test_refused_challenges(refusal: Refusal, expected: str) -> None:
    for opening, answer in ((CHALLENGE, EXTERNAL), (WITNESS, MUTUAL)):
        card = administered(refusal)
        assert card.send(opening) == expected
        assert card.send(answer) == "6A80"


def test_a_refused_challenge_voids_the_one_before() -> None:
    card = administered(bytes.fromhex(BLOCK), Refusal.UNAVAILABLE)
    card.send(CHALLENGE)
    assert card.send(WITNESS) == "6400"
    assert card.send(EXTERNAL) == "6A80"


@pytest.mark.parametrize("result", [b"bytes", GRANTED])
def test_changes_answered_by_another_kind_are_a_bug(result: KeyResult) -> None:
    card = administered(bytes.fromhex(BLOCK), GRANTED, result)
    card.send(CHALLENGE)
    card.send(EXTERNAL)
    assert card.send(PUT) == "6F00"


@pytest.mark.parametrize("result", [b"short", GRANTED, Changed()])
def test_challenges_of_another_kind_are_a_bug(result: KeyResult) -> None:
    card = administered(result)
    assert card.send(CHALLENGE) == "6F00"
    assert card.send(EXTERNAL) == "6A80"


@pytest.mark.parametrize("result", [GRANTED, b"bytes", Changed()])
def test_answers_of_another_kind_make_nobody_administrator(result: KeyResult) -> None:
    card = administered(ENCIPHERED, result)
    card.send(WITNESS)
    assert card.send(MUTUAL) == "6F00"  # one without the cryptogram too
    assert card.send(PUT) == "6982"
    assert card.send(MUTUAL) == "6A80"  # spent, although the card went back


# Attacks


def test_an_answer_is_taken_once() -> None:
    card = new_card(ScriptedKeys(), features=ADMINISTERED)
    block = bytes.fromhex(card.send(CHALLENGE))[4:-2]
    answer = f"0087089B 14 7C128210{encipher(0x08, MANAGEMENT_KEY, block).hex()}"
    assert card.send(answer) == "9000"
    assert card.send(answer) == "6A80"
    assert card.send(PUT) == "6982"
    card.send(CHALLENGE)
    assert card.send(answer) == "6982"  # to another challenge


def test_an_answer_needs_a_challenge() -> None:
    assert administered().send(EXTERNAL) == "6A80"
    assert administered().send(MUTUAL) == "6A80"


def test_the_two_exchanges_do_not_mix() -> None:
    """Else a witness, which is a block enciphered, would answer a challenge."""
    for opening, answer in ((CHALLENGE, MUTUAL), (WITNESS, EXTERNAL)):
        card = administered(ENCIPHERED)
        card.send(opening)
        assert card.send(answer) == "6A80"


def test_a_wrong_answer_spends_the_challenge() -> None:
    card = new_card(ScriptedKeys(), features=ADMINISTERED)
    block = bytes.fromhex(card.send(CHALLENGE))[4:-2]
    assert card.send(EXTERNAL) == "6982"
    right = encipher(0x08, MANAGEMENT_KEY, block).hex()
    assert card.send(f"0087089B 14 7C128210{right}") == "6A80"


@pytest.mark.parametrize("opening", [CHALLENGE, WITNESS])
def test_hanging_up_spends_the_challenge(opening: str) -> None:
    card = administered(ENCIPHERED)
    card.send(opening)
    answer = EXTERNAL if opening == CHALLENGE else MUTUAL
    exchange = card.card.exchange(bytes.fromhex(answer))
    assert isinstance(next(exchange), AnswerChallenge)
    exchange.close()
    assert card.send(answer) == "6A80"


def test_a_reset_ends_it_all() -> None:
    card = new_card(ScriptedKeys(), features=ADMINISTERED)
    administer(card)
    card.card.reset()
    assert card.send(PUT) == "6982"
    card.send(CHALLENGE)
    card.card.reset()
    assert card.send(EXTERNAL) == "6A80"


def test_another_channel_has_another_administrator() -> None:
    """ISO/IEC 7816-4, 5.4.1"""
    card = new_card(ScriptedKeys(), features=ADMINISTERED)
    administer(card)
    assert card.send("00700001") == "9000"
    assert card.send("01" + PUT[2:]) == "6982"
    assert card.send(PUT) == "9000"


def test_an_open_challenge_stays_on_its_channel() -> None:
    card = administered(ENCIPHERED, GRANTED)
    card.send("00700001")
    card.send("01" + CHALLENGE[2:])
    assert card.send("01700002") == "9000"  # as channel 1 is now, but for the challenge
    assert card.send("02" + EXTERNAL[2:]) == "6A80"
    assert card.send(EXTERNAL) == "6A80"
    assert card.send("01" + EXTERNAL[2:]) == "9000"


def test_the_pin_makes_nobody_administrator_and_the_key_no_holder() -> None:
    card = new_card(ScriptedKeys(), features=ADMINISTERED)
    card.send("00200080 08 313233343536FFFF")
    assert card.send(PUT) == "6982"
    card.card.reset()
    administer(card)
    assert card.send("0087119A 0A 7C08 8200 8104DEADBEEF 00") == "6982"


def test_a_proof_that_is_taken_no_more() -> None:
    """The keystore asks for another authentication: 6982, without asking it again."""
    card = administered(ENCIPHERED, GRANTED, Refusal.PASSCODE_NEEDED)
    card.send(CHALLENGE)
    card.send(EXTERNAL)
    assert card.send(PUT) == "6982"
    assert card.send(PUT) == "6982"
    assert len(requests(card)) == 3


def test_no_secret_is_ever_shown() -> None:
    secret = bytes.fromhex(BLOCK)
    shown = repr(
        [AnswerChallenge(0x08, secret), Administrator(secret), WriteObject(secret, 1, b"")]
    )
    assert repr(secret)[2:-1] not in shown


@given(templates=st.lists(st.binary(max_size=60), max_size=5))
def test_no_template_kills_the_card(templates: list[bytes]) -> None:
    card = new_card(ScriptedKeys(), features=ADMINISTERED)
    for template in templates:
        inside = b"\x7c" + bytes((len(template),)) + template
        for data in (template, inside):
            apdu = bytes.fromhex("0087089B") + bytes((len(data),)) + data + b"\0"
            card.transmit(apdu if data else bytes.fromhex("0087089B"))
            assert card.card.fault is None


def test_a_card_without_the_key_gives_random_numbers_and_lets_nobody_in() -> None:
    card = new_card(CannedKeys())
    challenge = card.send("0087009B 04 7C028100 00")
    assert challenge.startswith("7C0A8108")
    assert challenge != card.send("0087009B 04 7C028100 00")
    assert card.send("0087009B 0C 7C0A8208" + challenge[8:24]) == "6A86"
    assert card.send("00DB3FFF 08 5C035FC1095301AA") == "6982"
