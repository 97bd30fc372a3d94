"""An application made of a table, on a card: classes, chains, state, AIDs."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from card_os import tlv
from card_os.apdu import Command
from card_os.application import Application
from card_os.card import Card
from card_os.dispatch import Selection, Table, row
from card_os.status import SW, CardError
from support.fakes import CannedKeys, DrivenCard

AID = bytes.fromhex("F0 01 02 03 04")


@dataclass
class Notes:
    """What one channel has noted."""

    last: bytes = b""


@dataclass(frozen=True)
class Note:
    """Something to note, whose P1 says whether to fail after it."""

    data: bytes
    how: int

    @classmethod
    def parse(cls, command: Command) -> Note:
        if command.p2:
            raise CardError(SW.INCORRECT_P1P2, "P2 is not zero")
        if command.data == b"wrong":
            raise CardError(SW.WRONG_DATA)
        return cls(command.data, command.p1)


def note(notes: Notes, command: Note) -> bytes:
    before, notes.last = notes.last, command.data
    if command.how == 1:
        raise CardError(SW.CONDITIONS_NOT_SATISFIED, "asked to fail")
    if command.how == 2:
        raise ZeroDivisionError
    return before


NOTE = row(Note.parse, note, chained=True)
TABLE: Table[Notes] = Table({0x10: NOTE}, {0x80: {0x10: NOTE, 0xA4: NOTE}, 0xB0: {0x11: NOTE}})


class Noting(Application):
    def __init__(self, aid: bytes = AID) -> None:
        self.aid = aid

    def open(self) -> Selection[Notes]:
        return Selection(TABLE, Notes())


def noting(*aids: bytes) -> DrivenCard:
    applications = [Noting(aid) for aid in aids or [AID]]
    return DrivenCard(Card(applications, b"\x3b\x00"), CannedKeys())


@pytest.mark.parametrize(
    ("apdu", "answer"),
    [
        ("0010000001AA", "9000"),
        ("8010000001AA", "9000"),
        ("80A4000001AA", "9000"),  # with a class of its own, an instruction is the application's
        ("B011000001AA", "9000"),
        ("B010000001AA", "6D00"),
        ("80C0000000", "6D00"),
        ("0011000001AA", "6D00"),
        ("8410000001AA", "6E00"),
        ("A010000001AA", "6E00"),
        ("8110000001AA", "6E00"),  # on a channel that is not open
        ("FF10000001AA", "6E00"),
        ("801000FF", "6A86"),
        ("801000FF05AA", "6A86"),  # P1-P2 before lengths
        ("8010000005AA", "6700"),
        ("0C10000001AA", "6882"),
        ("8011000005AA", "6D00"),
    ],
)
def test_classes_and_instructions(apdu: str, answer: str) -> None:
    assert noting().send(apdu) == answer


def test_a_proprietary_class_names_its_channel() -> None:
    card = noting()
    assert card.send("00700001") == "9000"
    assert card.send("8010000001AA") == "9000"
    assert card.send("8110000001BB") == "9000"
    assert card.send("8010000001CC") == "AA9000"
    assert card.send("8110000001DD") == "BB9000"


def test_parts_of_a_chain_are_of_one_class() -> None:
    card = noting()
    assert card.send("9010000001AA") == "9000"
    assert card.send("8010000001BB") == "9000"
    assert card.send("8010000001CC") == "AABB9000"
    assert card.send("9010000001DD") == "9000"
    assert card.send("0010000001EE") == "CC9000"
    assert card.send("B011000001FF") == "EE9000"  # bit 5 is no chain here


def test_what_a_failed_command_has_done_stays_and_a_bug_is_taken_back() -> None:
    card = noting()
    assert card.send("0010010001AA") == "6985"
    assert card.send("0010020001BB") == "6F00"
    assert card.send("0010000001CC") == "AA9000"


def test_a_channel_opened_from_another_one_begins_with_a_copy() -> None:
    card = noting()
    for apdu in ("00700001", "0110000001AA", "01700002"):
        assert card.send(apdu) == "9000"
    assert card.send("0110000001BB") == "AA9000"
    assert card.send("0210000001CC") == "AA9000"
    assert card.send("0110000001DD") == "BB9000"


@pytest.mark.parametrize("size", [5, 16])
def test_shortest_and_longest_identifier(size: int) -> None:
    aid = bytes(range(0xF0, 0xF0 + size))
    card = noting(AID, aid)
    answer = card.transmit(bytes((0x00, 0xA4, 0x04, 0x00, size)) + aid)
    assert answer == tlv.encode(0x6F, tlv.encode(0x84, aid)) + b"\x90\x00"


@pytest.mark.parametrize("size", [0, 4, 17])
def test_an_identifier_of_no_legal_length(size: int) -> None:
    with pytest.raises(ValueError, match="5 to 16 bytes"):
        noting(bytes(size))


def test_a_whole_identifier_comes_before_one_that_begins_so() -> None:
    longer, shorter = AID + b"\x01", AID
    card = noting(longer, shorter)
    assert shorter in card.transmit(b"\x00\xa4\x04\x00\x05" + AID)[4:-2]
    assert card.transmit(b"\x00\xa4\x04\x00\x05" + AID)[3:-2] == b"\x05" + shorter
    assert card.transmit(b"\x00\xa4\x04\x00\x06" + longer)[3:-2] == b"\x06" + longer
