"""Recording under secure messaging: the trace replays, and nobody finds a secret in it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from card_os import piv
from card_os.administration import CardKey
from card_os.keys import Exchange, KeyRequest, KeyResult, UseKey, VerifyPasscode, advance
from card_os.piv.image import CardImage
from card_os.trace.lines import Answered, Seed, Sent, read_all
from card_os.trace.replay import SeededRandom
from support import strategies
from support.fakes import GUID, RSA_KEYS, ScriptedKeys, sample_image
from support.recorded_card import RecordedCard
from support.secure_host import CS2, CS7, CURVE, Broken, Host, certificate, secret_of, tlv

PIN = b"834761\xff\xff"
NEW_PIN = b"52907733"
PUK = b"91827364"
SELECT = bytes.fromhex("00A4040005A000000308")
RSA_TEMPLATE = tlv("7C", tlv("82"), tlv("81", bytes(256)))
CARD_KEYS = {suite: ec.generate_private_key(curve) for suite, curve in CURVE.items()}


class AgreeingKeys(ScriptedKeys):
    def perform(self, request: KeyRequest) -> KeyResult:
        match request:
            case UseKey(key_ref=0x04, algorithm=suite, input=point):
                return secret_of(CARD_KEYS[suite], point)
        return super().perform(request)


def secure_image(suite: int) -> CardImage:
    image = sample_image({**RSA_KEYS, 0x04: CardKey(suite)})
    own = certificate(suite, GUID, CARD_KEYS[suite].public_key())
    return replace(image, verifiable_certificate=own)


def recorded(suite: int, *results: KeyResult) -> tuple[RecordedCard, Host]:
    keys = AgreeingKeys(*results)
    keys.passcodes |= {0x80: PIN.rstrip(b"\xff"), 0x81: PUK}
    card = RecordedCard(keys, secure_image(suite))
    card.transmit(SELECT)
    host = Host(suite, card.transmit)
    host.establish()
    return card, host


@pytest.mark.parametrize("suite", [CS2, CS7], ids=["CS2", "CS7"])
def test_a_session_replays_without_its_passcodes(suite: int) -> None:
    card, host = recorded(suite, bytes(256))
    assert host.send("200080", PIN)[1] == 0x9000
    assert host.send("240080", PIN + NEW_PIN)[1] == 0x9000
    assert card.transmit(bytes.fromhex("002C008010") + PUK + NEW_PIN) == b"\x90\x00"
    assert host.send("200080", NEW_PIN)[1] == 0x9000
    assert host.send("87079A", RSA_TEMPLATE)[1] == 0x9000  # in a chain
    assert host.send("CB3FFF", bytes.fromhex("5C035FC102"))[1] == 0x9000
    assert card.replays()
    assert "answered otherwise" not in card.text()
    for secret in (PIN, NEW_PIN, PUK, host.enc, host.mac):
        assert secret.hex() not in card.text()
    for request in ("? verify 80 ******", "? change 80", "? unblock 80"):
        assert request in card.text()


@pytest.mark.parametrize("suite", [CS2, CS7], ids=["CS2", "CS7"])
def test_who_knows_the_recorded_session_reads_only_what_replaces_the_passcode(suite: int) -> None:
    card, host = recorded(suite)
    host.send("200080", PIN)
    random = SeededRandom()
    other = piv.new_card(card.image, random)
    given: list[bytes] = []
    exchange: Exchange | None = None
    for _, line in read_all(card.lines):
        match line:
            case Seed(value):
                random.restart(value)
            case Sent(apdu):
                exchange = other.exchange(apdu)
                result = None
            case Answered(answer):
                result = answer
            case _:
                continue
        if exchange is not None:
            said = advance(exchange, result)
            if isinstance(said, bytes):
                exchange = None
            elif isinstance(said, VerifyPasscode):
                given.append(said.passcode)
    assert given == [b"000000"]


def test_commands_that_do_not_open_hold_nothing_and_fail_alike() -> None:
    card, host = recorded(CS2)
    field = host.wrap(bytes.fromhex("200080"), PIN)
    for wrong in (
        field[:-1] + bytes((field[-1] ^ 1,)),  # checksum
        PIN,  # no data objects
        field[:-10],  # no checksum
        b"",
    ):
        apdu = bytes.fromhex("0C200080") + bytes((len(wrong),)) + wrong
        card.transmit(apdu)
        host.establish()
    assert card.replays()
    assert "answered otherwise" not in card.text()
    assert PIN.hex() not in card.text()
    assert field[4:20].hex() not in card.text()


def test_a_chain_that_is_broken_off() -> None:
    card, host = recorded(CS2)
    header = bytes.fromhex("87079A")
    first, *_ = host.apdus(header, host.wrap(header, RSA_TEMPLATE), largest=100)
    assert card.transmit(first) == b"\x90\x00"
    assert card.transmit(bytes.fromhex("00CB3FFF055C035FC10200"))[-2:] == b"\x90\x00"
    with pytest.raises(Broken):
        host.send("CB3FFF", bytes.fromhex("5C035FC102"))
    card.reset()
    card.transmit(first)
    card.reset()
    assert card.replays()
    assert first[10:].hex() not in card.text()


@given(st.lists(strategies.likely_apdus(), max_size=12))
def test_whatever_comes_in_a_session_replays(apdus: list[bytes]) -> None:
    card, _ = recorded(CS2, *[b"made"] * 30)
    for apdu in apdus:
        card.transmit(apdu)
        if len(apdu) > 4:
            card.transmit(bytes((apdu[0] & 0x03 | 0x0C,)) + apdu[1:])
    assert card.replays()
