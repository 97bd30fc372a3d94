"""Replays at a card in a reader, without one: the reader is a card in this process."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from card_os import tlv
from card_os.keys import KeyRequest, KeyResult, drive
from card_os.piv import new_card
from card_os.piv.names import Algorithm
from card_os.piv.secrets import secrets_of
from card_os.trace.lines import HEADER, Received, Sent, write
from card_os.trace.redaction import ResponseRedaction
from card_os.trace.words import TraceError
from cloudcard_tools.trace.record import scripted
from cloudcard_tools.trace.replay import at_reader
from cloudcard_tools.trace.replay.at_reader import Terms
from cloudcard_tools.trace.replay.passcodes import Passcodes
from reader_bridge.local.keys import LocalKeys
from reader_bridge.local.making import plain_card
from reader_bridge.tasks import Cancellation

PIN, PUK = b"123456\xff\xff", b"12345678"
PASSCODES = {"pin": PIN, "puk": PUK}
SELECT = bytes.fromhex("00A4040005A000000308")
VERIFY = bytes.fromhex("0020008008303030303030FFFF")
TRIES = bytes.fromhex("00200080")
CHANGE = bytes.fromhex("0024008010") + VERIFY[5:] + b"654321\xff\xff"
SIGN = bytes.fromhex("0087119A267C24820081 20") + bytes(range(32)) + b"\0"
CERTIFICATE = bytes.fromhex("00CB3FFF055C035FC10500")
CHUID = bytes.fromhex("00CB3FFF055C035FC10200")
OK = b"\x90\x00"


class Reader:
    """A card with its keys."""

    def __init__(self, spoil: Callable[[KeyResult], KeyResult] = lambda result: result) -> None:
        self._keys = LocalKeys(plain_card(Algorithm.ECC_P256, os.urandom, NOW), os.urandom)
        self._card = new_card(self._keys.image, os.urandom)
        self._spoil = spoil
        self.sent: list[bytes] = []

    @property
    def atr(self) -> bytes:
        return self._card.atr

    def transmit(self, command: bytes) -> bytes:
        self.sent.append(command)
        return drive(self._card.exchange(command), self._perform)

    def _perform(self, request: KeyRequest) -> KeyResult:
        return self._spoil(self._keys.perform(request, Cancellation()))

    def reset(self) -> None:
        self._card.reset()
        self._keys.reset()


NOW = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.fixture
def reader() -> Reader:
    return Reader()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "session.trace"


def told(path: Path, *exchanges: tuple[bytes, bytes | None]) -> Path:
    """A trace; None for what a card of this kind says."""
    own = Reader()
    lines = [
        write(line)
        for apdu, answer in exchanges
        for line in (Sent(apdu), Received(answer or own.transmit(apdu)))
    ]
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    return path


def terms(*, writes: bool = False, other_card: bool = False) -> Terms:
    return Terms(Passcodes(PIN, PUK), writes, other_card)


def recorded_at(reader: Reader, lines: Iterable[str], path: Path) -> Path:
    recorded = scripted.record(scripted.parse(lines, PASSCODES), reader, "a reader")
    path.write_text("".join(line + "\n" for line in recorded))
    return path


SESSION = (
    "# what a program does",
    "= look",
    SELECT.hex(),
    CHUID.hex(" "),
    CERTIFICATE.hex(),
    "00C0000000",
    "@ reset",
    "= sign",
    "> 00A4040005A000000308",
    "00200080 08 {pin}",
    SIGN.hex(),
)


def test_the_same_card_agrees_with_itself(reader: Reader, path: Path) -> None:
    outcome = at_reader.replay(recorded_at(reader, SESSION, path), reader, terms())
    assert outcome.passed, outcome
    assert outcome.commands == 7
    assert PIN[:6].hex() not in path.read_text()


def test_another_card_agrees_where_it_may_differ(reader: Reader, path: Path) -> None:
    recorded_at(reader, SESSION, path)
    assert not at_reader.replay(path, Reader(), terms()).passed
    assert at_reader.replay(path, Reader(), terms(other_card=True)).passed


def test_a_signature_of_another_key_is_noticed(reader: Reader, path: Path) -> None:
    recorded_at(reader, SESSION, path)

    def forge(result: KeyResult) -> KeyResult:
        return result[:-1] + bytes((result[-1] ^ 1,)) if isinstance(result, bytes) else result

    outcome = at_reader.replay(path, Reader(forge), terms(other_card=True))
    (difference,) = outcome.differences
    assert difference.command == SIGN
    assert outcome.step == "sign"


def test_what_changes_the_card_or_costs_tries_is_left_out(reader: Reader, path: Path) -> None:
    told(path, (SELECT, OK), (VERIFY, b"\x63\xc2"), (CHANGE, OK), (TRIES, b"\x63\xc3"))
    outcome = at_reader.replay(path, reader, terms())
    assert outcome.left_out == 2
    assert not any(each[1] == 0x24 for each in reader.sent)
    outcome = at_reader.replay(path, reader, terms(writes=True))
    assert outcome.left_out == 0
    assert CHANGE[:5] + PIN + CHANGE[13:] in reader.sent


def test_a_changed_passcode_is_given_from_then_on(reader: Reader, path: Path) -> None:
    unblock = bytes.fromhex("002C008010") + b"00000000" + b"777777\xff\xff"
    told(path, (SELECT, OK), (CHANGE, OK), (VERIFY, OK), (unblock, OK), (VERIFY, OK))
    at_reader.replay(path, reader, terms(writes=True))
    given = [each[5:13] for each in reader.sent if each[1] == 0x20]
    assert given == [b"654321\xff\xff", b"777777\xff\xff"]
    assert any(each[1] == 0x2C and each[5:13] == PUK for each in reader.sent)


def test_tries_left_may_differ(reader: Reader, path: Path) -> None:
    told(path, (SELECT, None), (TRIES, b"\x63\xc1"))
    assert at_reader.replay(path, reader, terms()).passed


def test_a_passcode_that_is_not_known_is_asked_for(reader: Reader, path: Path) -> None:
    told(path, (SELECT, OK), (VERIFY, OK))
    outcome = at_reader.replay(path, reader, Terms(Passcodes(None, None)))
    assert "line 5" in outcome.problem
    assert "--pin-file" in outcome.problem


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("00A4040", "hexadecimal"),
        ("select", "hexadecimal"),
        ("00200080 08 {PIN}", "--pin-file"),
        ("00200080 8 {puk}", "hexadecimal"),
        ("\x1b[2J", "plain text"),
        ("00" * 200_000, "too long"),
    ],
)
def test_a_line_that_is_none_of_a_script(line: str, said: str) -> None:
    with pytest.raises(TraceError, match=said) as caught:
        list(scripted.parse(["# fine", line], {"puk": PUK}))
    assert "line 2" in str(caught.value)
    assert len(str(caught.value)) < 300
    assert PUK[:4].hex() not in str(caught.value)


@pytest.mark.parametrize("pieces", [1, 2])
def test_what_a_key_deciphers_is_not_recorded(pieces: int) -> None:
    plain = os.urandom(256)
    whole = tlv.encode(0x7C, tlv.encode(0x82, plain))
    decipher = bytes.fromhex("0087079D067C048200810100")
    redaction = ResponseRedaction(secrets_of)
    parts = [whole + OK] if pieces == 1 else [whole[:100] + b"\x61\xac", whole[100:] + OK]
    commands = [decipher, bytes.fromhex("00C00000AC")]
    hidden = [
        redaction.response(command, part) for command, part in zip(commands, parts, strict=False)
    ]
    assert list(map(len, hidden)) == list(map(len, parts))
    joined = b"".join(each[:-2] for each in hidden)
    assert joined == tlv.encode(0x7C, tlv.encode(0x82, bytes(256)))
    sign = bytes.fromhex("0087079A067C048200810100")
    assert redaction.response(sign, whole + OK) == whole + OK
    printed = bytes.fromhex("00CB3FFF055C035FC10900")
    secret = tlv.encode(0x53, tlv.encode(0x88, b"key of the card"))
    assert b"key" not in redaction.response(printed, secret + OK)
