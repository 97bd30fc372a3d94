"""The first difference of a replay, as people read it."""

from __future__ import annotations

from pathlib import Path

import pytest

from card_os.apdu import Command
from card_os.application import Application, Selected
from card_os.explanation import Explanation
from card_os.keys import Refusal, UseKey
from card_os.trace.lines import Answered, Asked, Line, Received
from card_os.trace.replay import Difference
from card_os.uses import KeyUse
from cloudcard_tools.trace.replay.replaying import Outcome
from cloudcard_tools.trace.replay.report import report

GET_CHUID = bytes.fromhex("00CB3FFF055C035FC10200")
SIGN = bytes.fromhex("0087119A0A7C0882008104CAFEBABE00")
GUID = bytes(range(16))


def chuid(guid: bytes = GUID, until: bytes = b"20301231", sw: str = "9000") -> Received:
    inside = b"\x34\x10" + guid + b"\x35\x08" + until + b"\xfe\x00"
    return Received(b"\x53" + bytes((len(inside),)) + inside + bytes.fromhex(sw))


def told(expected: Line | None, actual: Line | None, command: bytes = GET_CHUID) -> list[str]:
    differences = (Difference(7, expected, actual, command),) * 2
    return list(report(Outcome(Path("x.trace"), 3, differences, step="read")))


def test_the_data_object_and_the_byte_that_differ_are_marked() -> None:
    other = GUID[:5] + b"\xff" + GUID[6:]
    assert told(chuid(), chuid(other)) == [
        "differs  x.trace, line 7, step 'read'",
        "  command   GET DATA P1-P2 3FFF (CHUID) data 5C035FC102",
        "  expected  9000 (ok), 32 bytes of data",
        "            53 contents, 30 bytes",
        "          !   34 GUID, 16 bytes 000102030405060708090A0B0C0D0E0F "
        "(00010203-0405-0607-0809-0a0b0c0d0e0f)",
        "              35 expires, 8 bytes 3230333031323331 (2030-12-31)",
        "              FE error detection, 0 bytes",
        "  actual    9000 (ok), 32 bytes of data",
        "          !   34 GUID, 16 bytes 0001020304FF060708090A0B0C0D0E0F "
        "(00010203-04ff-0607-0809-0a0b0c0d0e0f)",
        "  first     byte 10, expected …1E34100001020304[05]060708090A0B0C0D…",
        "                       actual …1E34100001020304[FF]060708090A0B0C0D…",
        "  and 1 more after it",
    ]


def test_a_status_word_alone() -> None:
    assert told(chuid(), chuid(sw="6282"))[7:-1] == [
        "  actual    6282 (end of file before Le bytes), 32 bytes of data",
        "            the same data",
    ]
    assert told(Received(b"\x63\xc2"), Received(b"\x69\x83"))[2:-1] == [
        "  expected  63C2 (2 tries left)",
        "  actual    6983 (authentication method blocked)",
    ]


def test_data_that_one_of_them_does_not_have() -> None:
    said = told(chuid(), Received(b"\x6a\x82"))
    assert said[7:-1] == [
        "  actual    6A82 (not found)",
        "  first     byte 1, expected [53]1E34100001020304…",
        "                      actual []",
    ]
    assert said[3] == "          ! 53 contents, 30 bytes"


def test_bytes_beyond_those_that_a_line_shows() -> None:
    certificate, other = bytes(200), bytes(150) + b"\x01" + bytes(49)
    part = bytes.fromhex("53820100708200F6")
    said = told(Received(part + certificate + b"\x61\x40"), Received(part + other + b"\x61\x40"))
    assert said[-3:-1] == [
        "  first     byte 159, expected …0000000000000000[00]0000000000000000…",
        "                        actual …0000000000000000[01]0000000000000000…",
    ]


def test_what_the_card_asks_instead() -> None:
    use = UseKey(b"", KeyUse.SIGN, 0x9A, 0x11, bytes.fromhex("CAFEBABE"), b"#1")
    assert told(Received(b"\x69\x82"), Asked(use), SIGN)[1:-1] == [
        "  command   GENERAL AUTHENTICATE P1-P2 119A (9A authentication, ECC-P256) "
        "data 7C0882008104CAFEBABE",
        "  expected  6982 (security status not satisfied)",
        "  actual    ? use sign 9a 11 cafebabe #1",
        "            asks the key service: sign with 9A authentication, ECC-P256: "
        "4 bytes CAFEBABE, proof #1",
    ]
    assert told(Answered(Refusal.DENIED), None, SIGN)[2:-1] == [
        "  expected  ! refused denied",
        "  actual    nothing",
    ]


def test_a_line_that_is_too_long_to_read_is_cut() -> None:
    use = UseKey(b"", KeyUse.SIGN, 0x9A, 0x11, bytes(5000), b"#1")
    assert max(map(len, told(None, Asked(use), SIGN))) < 200
    assert max(map(len, told(None, Received(bytes(60_000) + b"\x90\x00")))) < 200


def test_one_changed_and_one_added_data_object() -> None:
    said = told(
        Received(bytes.fromhex("5308C10101C20100FE009000")),
        Received(bytes.fromhex("530AC10102C20100F300FE009000")),
        bytes.fromhex("00CB3FFF055C035FC10C00"),
    )
    assert [line.strip() for line in said if line.startswith("          !")] == [
        "! 53 contents, 8 bytes",
        "!   C1 keys with a certificate on the card, 1 byte 01 (1)",
        "! 53 contents, 10 bytes",
        "!   C1 keys with a certificate on the card, 1 byte 02 (2)",
        "!   F3 address of the certificates, 0 bytes",
    ]


class Own(Application):
    """An application of a user's own, which has words for one instruction."""

    aid = bytes.fromhex("F0010203040506")

    def explain(self, command: Command) -> Explanation:
        """A command in words."""
        return Explanation("GREET") if command.ins == 0x10 else Explanation()

    def open(self) -> Selected:
        """Select it; no test does."""
        raise NotImplementedError


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("8010000002c0de", "GREET P1-P2 0000 data C0DE"),
        ("0087119a0a7c0882008104cafebabe00", "GENERAL AUTHENTICATE P1-P2 119A data"),
        ("00cb3fff055c035fc10200", "GET DATA P1-P2 3FFF data"),
        ("00f90000", "instruction F9 P1-P2 0000"),
        ("80f70000", "instruction F7 P1-P2 0000"),
    ],
)
def test_an_application_of_ones_own_is_told_in_its_words_or_plain_ones(
    command: str, said: str
) -> None:
    received = Received(bytes.fromhex("7e0053009000"))
    asked = Asked(UseKey(b"", KeyUse.SIGN, 0x9A, 0x11, b"x", b""))
    for actual in (Received(b"\x6a\x82"), asked, None):
        different = Difference(2, received, actual, bytes.fromhex(command))
        outcome = Outcome(Path("x.trace"), 3, (different,))
        shown = "\n".join(report(outcome, [Own()]))
        assert f"command   {said}" in shown
        for word in ("authentication", "CHUID", "discovery", "ECC", "metadata", "tries"):
            assert word not in shown, shown
