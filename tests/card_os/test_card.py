"""The card: selection, classes, and how it survives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from card_os.apdu import Command
from card_os.application import Application
from card_os.card import Card
from card_os.dispatch import Selection, Table
from card_os.keys import (
    Exchange,
    PasscodeStatus,
    Refusal,
    UseKey,
    Verified,
    VerifyPasscode,
    advance,
)
from card_os.piv import PivApplication
from card_os.status import SW, CardError
from support.fakes import (
    PROOF,
    CannedKeys,
    CountedRandom,
    DrivenCard,
    RefusingKeys,
    ScriptedKeys,
    new_card,
    sample_image,
)
from support.strategies import commands, likely_apdus

APT = (
    "6122 4F06 000010000100 7907 4F05 A000000308AC0F 800105 800107 800111 800114 060100"
).replace(" ", "")
VERIFY = "00200080 08 313233343536FFFF"
SIGN_9A = "0087119A 0A 7C08 8200 8104DEADBEEF 00"
SIGN_9C = "0087119C 0A 7C08 8200 8104DEADBEEF 00"
DISCOVERY = "00CB3FFF 03 5C017E 00"


@dataclass
class Count:
    """How many commands there were."""

    value: int = 0


class Counting(Selection[Count]):
    """Counts its commands, whatever they are; those of an odd kind fail."""

    def check(self, header: Command) -> None:
        if header.p1:
            raise CardError(SW.INCORRECT_P1P2)

    def can_chain(self, header: Command) -> bool:
        return header.ins == 0x01

    def process(self, command: Command, number: int) -> bytes | Exchange:
        self.state.value += 1
        match command.ins:
            case 0x66:
                raise ZeroDivisionError
            case 0x67:
                return self._fail_after_asking()
            case 0x68:
                raise CardError(SW.CONDITIONS_NOT_SATISFIED)
        return bytes((self.state.value, number))

    def _fail_after_asking(self) -> Exchange:
        self.state.value += 10
        yield PasscodeStatus(bytes(16), 0x80)
        raise ZeroDivisionError


class Counter(Application):
    """A second application."""

    aid = bytes.fromhex("A000000397425446 59")

    def template(self) -> bytes:
        return b"counter"

    def open(self) -> Counting:
        return Counting(Table({}), Count())


@pytest.fixture
def counter() -> DrivenCard:
    card = DrivenCard(Card([Counter()], b"\x3b\x00"), CannedKeys(Refusal.DENIED))
    assert card.send("0001000000") == "01019000"
    return card


@pytest.fixture
def two() -> Iterator[DrivenCard]:
    """A card of two applications, PIV first."""
    card = Card([PivApplication(sample_image(), CountedRandom()), Counter()], b"\x3b\x00")
    yield DrivenCard(card, ScriptedKeys(b"signature"))
    assert card.fault is None


@pytest.mark.parametrize(
    ("what", "aid"),
    [
        ("full", "A000000308000010000100"),
        ("without its version", "A00000030800001000"),
        ("RID alone", "A000000308"),
        ("in between", "A000000308000010"),
    ],
)
@pytest.mark.parametrize("le", ["00", "24", "000000"])
def test_select_piv(what: str, aid: str, le: str) -> None:
    """SP 800-73-5 part 2, 3.1.1."""
    lc = f"{len(aid) // 2:0{len(le)}X}"[-6:] if len(le) == 2 else f"{len(aid) // 2:06X}"
    select = f"00A40400 {lc} {aid} {le[-4:]}"
    assert new_card().send(select) == APT + "9000", what


def test_select_without_le() -> None:
    card = new_card()
    assert card.send("00A40400 05 A000000308") == APT + "9000"
    assert card.send("00A4040C 05 A000000308") == "9000"


@pytest.mark.parametrize(
    ("what", "select", "sw"),
    [
        ("Windows plug and play", "00A40400 0B A0000003974349445F0100 00", "6A82"),
        ("GIDS", "00A40400 09 A00000039742544659 00", "6A82"),
        ("GlobalPlatform", "00A40400 08 A000000151000000 00", "6A82"),
        ("MUSCLE", "00A40400 06 A00000000101", "6A82"),
        ("longer than ours", "00A40400 0C A00000030800001000010000 00", "6A82"),
        ("another version", "00A40400 0B A000000308000010000200 00", "6A82"),
        ("shorter than a RID", "00A40400 04 A0000003 00", "6A82"),
        ("no AID", "00A40400 00", "6A82"),
        ("no AID, no response", "00A4040C", "6A82"),
        ("next occurrence", "00A40402 05 A000000308 00", "6A82"),
        ("next occurrence, no response", "00A4040E 05 A000000308", "6A82"),
        ("last occurrence", "00A40401 05 A000000308 00", "6A86"),
        ("file control parameters", "00A40404 05 A000000308 00", "6A86"),
        ("master file", "00A40000 02 3F00 00", "6A82"),
        ("master file by path", "00A4080C 02 3F00", "6A82"),
        ("EF.ATR", "00A4020C 02 2F01", "6A82"),
        ("no way to select", "00A40500 05 A000000308", "6A86"),
    ],
)
def test_select_of_what_is_not_there_changes_nothing(what: str, select: str, sw: str) -> None:
    """SP 800-73-5 part 2, 3.1.1: PIV stays selected, its security status unchanged."""
    card = new_card(ScriptedKeys(b"signature"))
    card.send(VERIFY)
    assert card.send(select) == sw, what
    assert card.send(SIGN_9A).endswith("9000")


def test_piv_is_selected_after_a_reset(two: DrivenCard) -> None:
    assert two.send(DISCOVERY).startswith("7E12")
    two.send("00A40400 09 A00000039742544659 00")
    assert two.send(DISCOVERY) == "01039000"
    two.card.power_on()
    assert two.send(DISCOVERY).startswith("7E12")


def test_select_of_another_application_ends_the_session(two: DrivenCard) -> None:
    """SP 800-73-5 part 2, 3.1.1."""
    two.send(VERIFY)
    assert two.send("00A40400 09 A00000039742544659 00") == b"counter".hex().upper() + "9000"
    two.send("00A40400 05 A000000308 00")
    assert two.send(SIGN_9A) == "6982"


def test_select_of_piv_again_keeps_the_session() -> None:
    """SP 800-73-5 part 2, 3.1.1."""
    card = new_card(ScriptedKeys(b"signature"))
    card.send(VERIFY)
    card.send("00A40400 05 A000000308 00")
    assert card.send(SIGN_9A).endswith("9000")


@pytest.mark.parametrize(
    ("what", "command", "sw"),
    [
        ("GET DATA of the Windows discovery", "00CA7F6800", "6D00"),
        ("READ BINARY", "00B0000000", "6D00"),
        ("version of a YubiKey", "00FD0000", "6D00"),
        ("GENERATE ASYMMETRIC KEY PAIR", "0047009A05AC0380010700", "6982"),
        ("PUT DATA", "00DB3FFF 05 5C017E5300", "6982"),
        ("INITIALIZE UPDATE", "80500000 08 0102030405060708", "6E00"),
        ("a reader's own command", "FFCA000000", "6E00"),
        ("reserved class", "20CB3FFF 03 5C017E 00", "6E00"),
        ("channel 1", "01CB3FFF 03 5C017E 00", "6881"),
        ("channel 4", "40CB3FFF 03 5C017E 00", "6881"),
        ("channel 19", "4FCB3FFF 03 5C017E 00", "6881"),
        ("channel 1, secure messaging", "0DCB3FFF 03 5C017E 00", "6881"),
        ("chained secure messaging", "1C87119A 03 7C0882", "6882"),
        ("protected SELECT", "0CA40400 05 A000000308", "6882"),
        ("secure messaging", "0CCB3FFF 03 5C017E 00", "6882"),
        ("proprietary secure messaging", "04CB3FFF 03 5C017E 00", "6882"),
    ],
)
def test_what_this_card_has_not(what: str, command: str, sw: str) -> None:
    assert new_card().send(command) == sw, what


@pytest.mark.parametrize(
    ("what", "command", "sw"),
    [
        ("class before lengths", "80CB3FFF 05 5C", "6E00"),
        ("class before instruction", "80FF0000", "6E00"),
        ("instruction before P1-P2", "00CA0000", "6D00"),
        ("P1-P2 before lengths", "00CB0000", "6A86"),
        ("lengths before data", "00CB3FFF 00", "6700"),
        ("class before malformed lengths", "80200080 05 5C", "6E00"),
        ("channel before malformed lengths", "01200080 05 5C", "6881"),
        ("instruction before malformed lengths", "00550080 05 5C", "6D00"),
        ("P1 before malformed lengths", "00200180 05 5C", "6A86"),
        ("P2 before malformed lengths", "00200042 05 5C", "6A88"),
        ("P1-P2 of GET DATA before malformed lengths", "00CB0000 05 5C", "6A86"),
        ("P1-P2 of SELECT before malformed lengths", "00A40500 05 5C", "6A86"),
        ("P1-P2 of MANAGE CHANNEL before malformed lengths", "00704000 05 5C", "6A86"),
        ("malformed lengths before the passcode", "0087119A 05 5C", "6700"),
        ("malformed lengths before data", "00200080 05 31", "6700"),
        ("malformed lengths of SELECT", "00A40400 05 5C", "6700"),
        ("key before passcode", "0087119B 04 7C028100 00", "6A86"),
        ("passcode before data", "0087119A 01 00 00", "6982"),
        ("P1 before P2", "00200181", "6A86"),
        ("P2 before data", "00200081 01 00", "6A88"),
    ],
)
def test_which_error_comes_first(what: str, command: str, sw: str) -> None:
    assert new_card().send(command) == sw, what


def test_a_bug_answers_6f00_and_leaves_no_trace(counter: DrivenCard) -> None:
    assert counter.send("0066000000") == "6F00"
    assert isinstance(counter.card.fault, ZeroDivisionError)
    assert counter.send("0001000000") == "02039000"
    assert counter.card.fault is None


def test_a_bug_after_a_key_request_rolls_back_too(counter: DrivenCard) -> None:
    assert counter.send("0067000000") == "6F00"
    assert counter.send("0001000000") == "02039000"


def test_a_card_error_keeps_what_was_done(counter: DrivenCard) -> None:
    assert counter.send("0068000000") == "6985"
    assert counter.send("0001000000") == "03039000"


def test_the_parts_of_a_chain_are_one_command(counter: DrivenCard) -> None:
    for _ in range(3):
        assert counter.send("1001000001AA") == "9000"
    assert counter.send("0001000001AA00") == "02029000"
    assert counter.send("0001000000") == "03039000"


def test_a_chain_fails_at_its_first_part_if_the_header_is_wrong(counter: DrivenCard) -> None:
    assert counter.send("1001010001AA") == "6A86"


def test_a_key_service_that_answers_nonsense_is_a_bug() -> None:
    card = new_card(CannedKeys(b"no passcode result", Verified(PROOF), Verified(PROOF), b"ok"))
    assert card.send(VERIFY) == "6F00"
    assert card.send(VERIFY) == "9000"
    assert card.send(SIGN_9C) == "6F00"
    assert isinstance(card.card.fault, TypeError)
    assert "does not answer the request" in str(card.card.fault)
    assert card.send(SIGN_9A).endswith("9000")  # the session is as before the bug


def test_a_key_service_that_raises_leaves_the_card_alive() -> None:
    card = new_card(CannedKeys())  # which fails at the first request
    with pytest.raises(AssertionError):
        card.send(VERIFY)
    assert card.send(DISCOVERY).startswith("7E12")


def test_one_exchange_at_a_time() -> None:
    card = new_card().card
    first = card.exchange(bytes.fromhex(VERIFY))
    assert isinstance(next(first), VerifyPasscode)
    second = card.exchange(bytes.fromhex(DISCOVERY))
    answer = advance(second)
    assert isinstance(answer, bytes)
    assert answer.endswith(b"\x90\x00")
    with pytest.raises(StopIteration) as closed:
        first.send(Verified(PROOF))
    assert closed.value.value is None
    assert DrivenCard(card, CannedKeys()).send(SIGN_9A) == "6982"


@pytest.mark.parametrize("how", ["power_on", "reset"])
def test_a_reset_during_the_wait_closes_the_exchange(how: str) -> None:
    card = new_card(ScriptedKeys(b"signature"))
    card.send(VERIFY)
    exchange = card.card.exchange(bytes.fromhex(SIGN_9A))
    assert isinstance(next(exchange), UseKey)
    {"power_on": card.card.power_on, "reset": card.card.reset}[how]()
    with pytest.raises(StopIteration) as closed:
        exchange.send(b"signature")
    assert closed.value.value is None
    assert card.send(SIGN_9A) == "6982"


def test_a_card_without_applications_is_none() -> None:
    with pytest.raises(ValueError, match="application"):
        Card([], b"\x3b\x00")


@given(apdus=st.lists(likely_apdus() | st.binary(max_size=300), max_size=12))
def test_any_bytes_are_answered(apdus: list[bytes]) -> None:
    card = new_card(RefusingKeys())
    for apdu in apdus:
        assert len(card.transmit(apdu)) >= 2
        assert card.card.fault is None


@given(command=commands())
def test_any_command_is_answered(command: Command) -> None:
    card = new_card(RefusingKeys())
    assert len(card.transmit(bytes(command))) >= 2
    assert card.card.fault is None
