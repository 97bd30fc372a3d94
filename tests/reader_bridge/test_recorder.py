from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import strategies
from support.fakes import (
    ADMIN_PROOF,
    MANAGEMENT_KEY,
    PIN,
    PUK,
    CannedKeys,
    ScriptedKeys,
    administer,
    sample_image,
)
from support.recorded_card import DIGEST, SEED, RecordedCard


def test_a_signature_and_a_reset() -> None:
    card = RecordedCard(ScriptedKeys(b"a signature"))
    assert card.send("00A4040005A000000308").endswith("9000")
    assert card.send("0020008008313233343536FFFF") == "9000"
    assert card.send("0087119C0A7C0882008104CAFEBABE00").endswith("9000")
    card.reset()
    assert card.send("0087119C0A7C0882008104CAFEBABE00") == "6982"
    assert card.replays()
    assert "otherwise" not in card.text()
    assert card.lines[:4] == [
        "cloudcard trace 1",
        f"@ card sha256:{DIGEST.hex()}",
        f"@ seed {SEED.hex()}",
        "@ clock 2026-11-23T09:00:00Z",
    ]
    assert "? use sign 9c 11 cafebabe #1" in card.lines
    assert "~ 10" in card.lines


def of_passcodes() -> Iterator[tuple[str, bytes]]:
    """Every command that carries a passcode: whole, chained, extended."""
    pin, puk, new = "313335373930FFFF", "3837363534333231", "393735333130FFFF"
    for header, data in (("200080", pin), ("240080", pin + new), ("2C0080", puk + new)):
        size = len(data) // 2
        yield f"{header} short", bytes.fromhex(f"00{header}{size:02X}{data}")
        yield f"{header} extended", bytes.fromhex(f"00{header}00{size:04X}{data}")
        yield f"{header} cut", bytes.fromhex(f"00{header}{size + 1:02X}{data}")
        yield f"{header} chained", bytes.fromhex(f"10{header}{size:02X}{data}")


@pytest.mark.parametrize(("name", "apdu"), list(of_passcodes()), ids=lambda value: str(value)[:20])
def test_no_passcode_is_written(name: str, apdu: bytes) -> None:
    card = RecordedCard(ScriptedKeys())
    card.transmit(apdu)
    for secret in (b"135790", b"87654321", b"975310"):
        assert secret.hex() not in card.text()
    assert card.replays(), name
    assert "otherwise" not in card.text()


def test_no_key_and_no_proof_is_written() -> None:
    keys = ScriptedKeys()
    card = RecordedCard(keys, developer=True)
    assert administer(card) == b"\x90\x00"
    new_key, scalar = bytes(range(0x40, 0x50)), bytes(range(0x60, 0x80))
    assert card.send(f"00FFFFFF1308 9B10{new_key.hex()}") == "9000"
    imported = b"\x06\x20" + scalar + b"\xaa\x01\x01"
    assert card.transmit(bytes((0x10, 0xFE, 0x11, 0x9A, 20)) + imported[:20]) == b"\x90\x00"
    rest = imported[20:]
    assert card.transmit(bytes((0x00, 0xFE, 0x11, 0x9A, len(rest))) + rest) == b"\x90\x00"
    kept = bytes.fromhex("5C035FC109 5314 8812 8910") + new_key
    assert card.transmit(bytes((0x00, 0xDB, 0x3F, 0xFF, len(kept))) + kept) == b"\x90\x00"
    written = card.text()
    for secret in (new_key, scalar[:18], scalar[18:], MANAGEMENT_KEY):
        assert secret.hex() not in written
    assert "#1" in written
    assert ADMIN_PROOF.hex() not in written
    assert ADMIN_PROOF.decode() not in written
    assert card.replays()
    assert "otherwise" not in written


def test_an_object_that_is_withheld_stays_the_holders() -> None:
    image = replace(sample_image(), objects={}, withheld=frozenset({0x5FC109, 0x5FC108}))
    face = bytes(range(200))
    card = RecordedCard(ScriptedKeys(b"\x01\x03Ada\xfe\x00", face), image)
    assert card.send("0020008008313233343536FFFF") == "9000"
    assert card.send("00CB3FFF055C035FC10900") == "53070103416461FE009000"
    assert face.hex().upper() in card.send("00CB3FFF055C035FC10800")
    assert b"Ada".hex() not in card.text()
    assert face[:50].hex() not in card.text()
    assert "? read #1 5fc109" in card.lines
    assert "! ok 30303030303030" in card.lines
    assert card.replays()
    assert "otherwise" not in card.text()


def test_what_was_deciphered_stays_the_holders() -> None:
    plain = b"\x00\x02" + b"\x07" * 253 + b"\x00"
    card = RecordedCard(ScriptedKeys(plain), rsa=True)
    card.transmit(bytes.fromhex("0020008008313233343536FFFF"))
    template = bytes.fromhex("7C82010682008182 0100".replace(" ", "")) + bytes(range(256))
    first, rest = template[:200], template[200:]
    card.transmit(bytes((0x10, 0x87, 0x07, 0x9D, len(first))) + first)
    answer = card.transmit(bytes((0x00, 0x87, 0x07, 0x9D, len(rest))) + rest + b"\x00")
    assert answer[-2] == 0x61 or answer.endswith(b"\x90\x00")
    assert plain[2:50].hex() in answer.hex()
    assert plain[2:50].hex() not in card.text()
    assert card.replays()


@given(data=st.data())
def test_any_session_replays(data: st.DataObject) -> None:
    card = RecordedCard(ScriptedKeys(*[b"result"] * 30), developer=True)
    for _ in range(data.draw(st.integers(1, 6))):
        card.transmit(bytes(data.draw(strategies.commands(40))))
    assert card.replays()


def test_a_card_that_answers_otherwise_is_noticed() -> None:
    card = RecordedCard(CannedKeys())
    card.recorder.sent(bytes.fromhex("00A4040005A000000308"))
    card.recorder.received(b"\x6f\x00")
    assert "# here the card answered otherwise: 2 bytes and status word 6f00" in card.lines


def test_the_factory_passcodes_are_not_written_either() -> None:
    card = RecordedCard(ScriptedKeys())
    card.transmit(b"\x00\x20\x00\x80\x08" + PIN + b"\xff\xff")
    card.transmit(b"\x00\x2c\x00\x80\x10" + PUK + PIN + b"\xff\xff")
    assert PIN.hex() not in card.text()
    assert PUK.hex() not in card.text()


def test_a_chain_that_was_broken_off_hides_no_less() -> None:
    card = RecordedCard(ScriptedKeys(), developer=True)
    for part in ("10DB3FFF055C035FC102", "10FE119A02AA7F", "10FFFFFF030A9B10"):
        card.send(part)
        assert card.send("0020008008313335373930FFFF") == "63C2"
        assert card.send("0020008008313233343536FFFF") == "9000"
    for passcode in (b"135790", PIN):
        assert passcode.hex() not in card.text()
    assert card.replays()
    assert "otherwise" not in card.text()


def test_a_key_that_is_refused_and_sent_again_stays_unknown() -> None:
    card = RecordedCard(ScriptedKeys(), developer=True)
    scalar = bytes(range(0x81, 0xA1))
    imported = b"\x06\x20" + scalar
    parts = (b"\x10\xfe\xaa\x9a\x12" + imported[:18], b"\x00\xfe\x11\x9a\x10" + imported[18:])
    whole = b"\x00\xfe\x11\x9a\x22" + imported
    for apdu in (*parts, whole, parts[0]):
        card.transmit(apdu)
    card.reset()
    card.transmit(whole)
    written = card.text()
    assert not any(scalar[at : at + 3].hex() in written for at in range(30))
    assert card.replays()
    assert "otherwise" not in written
