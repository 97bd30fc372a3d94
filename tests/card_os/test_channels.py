"""Logical channels (ISO/IEC 7816-4, 11.1.2)."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from card_os.application import Application
from card_os.card import Card
from card_os.dispatch import Selection, Table
from card_os.keys import Refusal
from card_os.piv import PivApplication
from support.fakes import (
    CannedKeys,
    CountedRandom,
    DrivenCard,
    ScriptedKeys,
    new_card,
    sample_image,
)

VERIFY = "{:02X}200080 08 313233343536FFFF"
SIGN_9A = "{:02X}87119A 0A 7C08 8200 8104DEADBEEF 00"
SIGN_9C = "{:02X}87119C 0A 7C08 8200 8104DEADBEEF 00"
DISCOVERY = "{:02X}CB3FFF 03 5C017E 00"
CERTIFICATE = "{:02X}CB3FFF 05 5C035FC105 00"
CERTIFICATE_BYTES = 1037  # of the sample card's, in its template 53
PART = 256  # what one short response holds
OPEN = "{:02X}70000001"
OTHER = "A00000039742544659"


class Other(Application):
    """An application that only says who it is."""

    aid = bytes.fromhex(OTHER)

    def template(self) -> bytes:
        return b"other"

    def open(self) -> OtherSelection:
        return OtherSelection(Table({}), None)


class OtherSelection(Selection[None]):
    """It answers every command with one byte."""

    def check(self, header: object) -> None: ...

    def process(self, command: object, number: int) -> bytes:
        return b"\x4f"


def two_applications() -> DrivenCard:
    card = Card([PivApplication(sample_image(), CountedRandom()), Other()], b"\x3b\x00")
    return DrivenCard(card, ScriptedKeys(*[b"signature"] * 9))


def signing_card() -> DrivenCard:
    return new_card(ScriptedKeys(*[b"signature"] * 9))


def test_the_card_numbers_channels() -> None:
    card = new_card()
    assert [card.send(OPEN.format(0)) for _ in range(4)] == ["019000", "029000", "039000", "6A81"]
    assert card.send("00708002") == "9000"
    assert card.send(OPEN.format(0)) == "029000"


def test_the_reader_numbers_channels() -> None:
    card = new_card()
    assert card.send("00700003") == "9000"
    assert card.send(DISCOVERY.format(3)).startswith("7E12")
    assert card.send(DISCOVERY.format(1)) == "6881"
    assert card.send(OPEN.format(0)) == "019000"


@pytest.mark.parametrize(
    ("what", "command", "sw"),
    [
        ("the basic channel is open", "00700000", "6700"),  # asks for a number, and no room for it
        ("open already", "00700001", "6A86"),
        ("beyond the fourth", "0070000400", "6881"),
        ("beyond all", "0070001400", "6A86"),
        ("close the basic channel", "00708000", "6A86"),
        ("close what is not open", "00708002", "6200"),
        ("close beyond the fourth", "00708013", "6881"),
        ("close beyond all", "00708014", "6A86"),
        ("neither", "0070400100", "6A86"),
        ("data", "0070000001AA01", "6700"),
        ("on a channel that is not open", "0270000001", "6881"),
        ("in parts", "1070000001", "6884"),
    ],
)
def test_what_cannot_be_managed(what: str, command: str, sw: str) -> None:
    card = new_card()
    assert card.send("00700001") == "9000"
    assert card.send(command) == sw, what
    assert card.send(DISCOVERY.format(1)).startswith("7E12")
    assert card.send(DISCOVERY.format(2)) == "6881"


@pytest.mark.parametrize("close", ["01708000", "01708001", "00708001"])
def test_a_closed_channel_forgets(close: str) -> None:
    card = signing_card()
    card.send("00700001")
    card.send(VERIFY.format(1))
    assert card.send(close) == "9000"
    assert card.send(SIGN_9A.format(1)) == "6881"
    card.send("00700001")
    assert card.send(SIGN_9A.format(1)) == "6982"


def test_each_channel_has_its_own_status() -> None:
    card = signing_card()
    card.send(OPEN.format(0))
    card.send(VERIFY.format(0))
    assert card.send(SIGN_9A.format(0)).endswith("9000")
    assert card.send(SIGN_9A.format(1)) == "6982"
    card.send(VERIFY.format(1))
    assert card.send("0020FF80") == "9000"
    assert card.send(SIGN_9A.format(0)) == "6982"
    assert card.send(SIGN_9A.format(1)).endswith("9000")


def test_a_channel_from_the_basic_one_begins_as_after_a_reset() -> None:
    card = two_applications()
    card.send(VERIFY.format(0))
    card.send(f"00A40400 09 {OTHER} 00")
    assert card.send(OPEN.format(0)) == "019000"
    assert card.send(DISCOVERY.format(1)).startswith("7E12")
    assert card.send(SIGN_9A.format(1)) == "6982"


def test_a_channel_from_another_begins_as_that_one_is() -> None:
    card = two_applications()
    card.send("00700001")
    card.send(VERIFY.format(1))
    assert card.send(OPEN.format(1)) == "029000"
    assert card.send(SIGN_9A.format(2)).endswith("9000")
    card.send("0220FF80")
    assert card.send(SIGN_9A.format(2)) == "6982"
    assert card.send(SIGN_9A.format(1)).endswith("9000")
    card.send(f"01A40400 09 {OTHER} 00")
    assert card.send(OPEN.format(1)) == "039000"
    assert card.send(DISCOVERY.format(3)) == "4F9000"


def test_each_channel_has_an_application_of_its_own() -> None:
    card = two_applications()
    card.send("00700001")
    assert card.send(f"01A40400 09 {OTHER} 00") == b"other".hex().upper() + "9000"
    assert card.send(DISCOVERY.format(0)).startswith("7E12")
    assert card.send(DISCOVERY.format(1)) == "4F9000"


def test_next_occurrence_comes_after_the_selected_one() -> None:
    twice = [PivApplication(sample_image(), CountedRandom()) for _ in range(2)]
    card = DrivenCard(Card(twice, b"\x3b\x00"), ScriptedKeys())
    card.send(VERIFY.format(0))
    assert card.send("00A40402 05 A000000308 00").endswith("9000")
    assert card.send("00CB3FFF 05 5C035FC109 00") == "6982"
    assert card.send("00A40402 05 A000000308 00") == "6A82"


def test_each_channel_has_a_chain_of_its_own() -> None:
    card = signing_card()
    card.send("00700001")
    for channel in (0, 1):
        card.send(VERIFY.format(channel))
    assert card.send("1087119A 03 7C0882") == "9000"
    assert card.send("1187119A 03 7C0882") == "9000"
    assert card.send("0187119A 07 008104DEADBEEF 00").endswith("9000")
    assert card.send("0087119A 07 008104DEADBEEF 00").endswith("9000")


def test_each_channel_has_its_own_data_to_fetch() -> None:
    card = new_card()
    card.send("00700001")
    first, second = card.send(CERTIFICATE.format(0)), card.send(CERTIFICATE.format(1))
    assert first == second
    assert first.endswith("6100")
    assert card.send("00C0000000") == card.send("01C0000000")
    card.send("00700080")
    assert card.send("01C0000000").endswith("6100")


def test_a_channel_that_is_not_open_disturbs_nobody() -> None:
    card = new_card()
    card.send(CERTIFICATE.format(0))
    assert card.send("02C0000000") == "6881"
    assert card.send("00C0000000").endswith("6100")


@pytest.mark.parametrize("channel", [0, 1])
def test_pin_always_is_of_the_whole_card(channel: int) -> None:
    """A command on any channel comes between a VERIFY and the signature."""
    card = signing_card()
    card.send("00700001")
    card.send(VERIFY.format(0))
    assert card.send(SIGN_9C.format(0)).endswith("9000")
    card.send(VERIFY.format(0))
    card.send(DISCOVERY.format(channel))
    assert card.send(SIGN_9C.format(0)) == "6982"


def test_a_number_never_comes_twice() -> None:
    """Else an old VERIFY would seem to be right before, once a chain on another channel ends."""
    card = signing_card()
    card.send("00700001")
    card.send("1187119E 03 7C0882")
    card.send(DISCOVERY.format(0))
    card.send(VERIFY.format(0))
    assert card.send("0187119E 07 008104DEADBEEF 00").endswith("9000")
    for _ in range(4):
        assert card.send(SIGN_9C.format(0)) == "6982"


def test_a_chain_right_after_verify_may_not_be_interrupted_from_elsewhere() -> None:
    card = signing_card()
    card.send("00700001")
    card.send(VERIFY.format(0))
    card.send("1087119C 03 7C0882")
    card.send(DISCOVERY.format(1))
    assert card.send("0087119C 07 008104DEADBEEF 00") == "6982"


def test_a_refusal_on_one_channel_leaves_the_other() -> None:
    card = new_card(ScriptedKeys(Refusal.DENIED, b"signature"))
    card.send("00700001")
    for channel in (0, 1):
        card.send(VERIFY.format(channel))
    assert card.send(SIGN_9A.format(0)) == "6985"
    assert card.send(SIGN_9A.format(1)).endswith("9000")


def test_a_bug_on_one_channel_leaves_the_other() -> None:
    card = new_card(CannedKeys(b"no answer to a VERIFY"))
    card.send("00700001")
    card.send(CERTIFICATE.format(1))
    assert card.send(VERIFY.format(0)) == "6F00"
    assert card.send("01C0000000").endswith("6100")


def test_a_reset_closes_all_but_the_basic_channel() -> None:
    card = new_card()
    for _ in range(3):
        card.send(OPEN.format(0))
    card.card.reset()
    assert [card.send(DISCOVERY.format(each)) for each in (1, 2, 3)] == ["6881"] * 3
    assert card.send(DISCOVERY.format(0)).startswith("7E12")


@dataclass
class ModelChannel:
    """What one channel should remember."""

    verified: bool = False
    verified_by: int = -1
    part: bool = False  # of a signature with 9E
    left: int = 0  # bytes to fetch


@dataclass
class Model:
    """What the card should remember."""

    channels: dict[int, ModelChannel] = field(default_factory=lambda: {0: ModelChannel()})
    number: int = 0

    def command(self, channel: int) -> ModelChannel:
        """Count a whole command, and let it abort what waits on its channel."""
        self.number += 1
        here = self.channels[channel]
        here.part, here.left = False, 0
        return here


numbers = st.sampled_from([0, 1, 2, 3])


class ChannelsMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.card = new_card(ScriptedKeys(*[b"signature"] * 100))
        self.model = Model()

    def _is_open(self, channel: int) -> bool:
        """Else the command must be refused, and is counted no less."""
        return channel in self.model.channels

    @rule(channel=numbers)
    def open_any(self, channel: int) -> None:
        if not self._is_open(channel):
            self._refused(OPEN.format(channel))
            return
        here = self.model.command(channel)
        free = min({0, 1, 2, 3} - set(self.model.channels), default=None)
        answer = self.card.send(OPEN.format(channel))
        assert answer == ("6A81" if free is None else f"{free:02X}9000")
        if free is not None:
            same = ModelChannel(here.verified, here.verified_by)
            self.model.channels[free] = same if channel else ModelChannel()

    @rule(channel=numbers, other=numbers)
    def close(self, channel: int, other: int) -> None:
        command = f"{channel:02X}7080{other:02X}"
        if not self._is_open(channel):
            self._refused(command)
            return
        self.model.command(channel)
        closed = other or channel
        if closed == 0:
            expected = "6A86"
        elif self.model.channels.pop(closed, None) is None:
            expected = "6200"
        else:
            expected = "9000"
        assert self.card.send(command) == expected

    @rule(channel=numbers)
    def verify(self, channel: int) -> None:
        if not self._is_open(channel):
            self._refused(VERIFY.format(channel))
            return
        here = self.model.command(channel)
        here.verified, here.verified_by = True, self.model.number
        assert self.card.send(VERIFY.format(channel)) == "9000"

    @rule(channel=numbers)
    def log_out(self, channel: int) -> None:
        if self._is_open(channel):
            self.model.command(channel).verified = False
            assert self.card.send(f"{channel:02X}20FF80") == "9000"

    @rule(channel=numbers)
    def sign(self, channel: int) -> None:
        if self._is_open(channel):
            here = self.model.command(channel)
            expected = "9000" if here.verified else "6982"
            assert self.card.send(SIGN_9A.format(channel))[-4:] == expected

    @rule(channel=numbers)
    def sign_with_pin_always(self, channel: int) -> None:
        if self._is_open(channel):
            here = self.model.command(channel)
            fresh = here.verified and here.verified_by == self.model.number - 1
            expected = "9000" if fresh else "6982"
            assert self.card.send(SIGN_9C.format(channel))[-4:] == expected

    @rule(channel=numbers)
    def begin_a_chain(self, channel: int) -> None:
        if self._is_open(channel):
            self.model.command(channel)
            self.card.send(DISCOVERY.format(channel))  # else an open chain would go on
            self.model.command(channel).part = True
            assert self.card.send(f"{channel + 0x10:02X}87119E 03 7C0882") == "9000"

    @rule(channel=numbers)
    def end_a_chain(self, channel: int) -> None:
        if self._is_open(channel):
            whole = self.model.channels[channel].part
            self.model.command(channel)
            answer = self.card.send(f"{channel:02X}87119E 07 008104DEADBEEF 00")
            assert answer[-4:] == ("9000" if whole else "6A80")

    @rule(channel=numbers)
    def read(self, channel: int) -> None:
        if self._is_open(channel):
            self.model.command(channel).left = CERTIFICATE_BYTES - PART
            assert self.card.send(CERTIFICATE.format(channel)).endswith("6100")

    @rule(channel=numbers)
    def fetch(self, channel: int) -> None:
        if self._is_open(channel):
            left = self.model.channels[channel].left
            rest = max(left - PART, 0)
            self.model.command(channel).left = rest
            answer = self.card.send(f"{channel:02X}C0000000")
            more = f"61{rest if rest < PART else 0:02X}" if rest else "9000"
            assert answer[-4:] == (more if left else "6985")

    @precondition(lambda self: len(self.model.channels) > 2)
    @rule()
    def reset(self) -> None:
        self.card.card.reset()
        self.model = Model()

    @invariant()
    def the_card_has_no_bug(self) -> None:
        assert self.card.card.fault is None

    def _refused(self, command: str) -> None:
        self.model.number += 1
        assert self.card.send(command) == "6881"


TestChannelsMachine = ChannelsMachine.TestCase
TestChannelsMachine.settings = settings(max_examples=60, stateful_step_count=40)
