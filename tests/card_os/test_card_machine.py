"""The security status over any sequence of commands, against a small model of its own."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from card_os.keys import UseKey, VerifyPasscode
from fakes import ScriptedKeys, new_card

RIGHT = "00200080 08 313233343536FFFF"
WRONG = "00200080 08 363534333231FFFF"
SIGN = "008711{:02X} 0A 7C08 8200 8104DEADBEEF 00"
SIGN_IN_PARTS = ("108711{:02X} 03 7C0882", "008711{:02X} 07 008104DEADBEEF 00")

key_refs = st.sampled_from([0x9A, 0x9C, 0x9E])
# Leave the status as it is, and come between a VERIFY and a signature.
others = st.sampled_from(
    [
        "00CB3FFF 03 5C017E 00",
        "00A40400 05 A000000308 00",
        "00A40400 05 A000000397 00",
        "00C0000000",
        "00200080 01 31",
        "1087119C 02 7C00",
        "00B0000000",
        "8000",
    ]
)


@dataclass
class Model:
    """What the card should remember: all that PIV's text asks, in four fields."""

    tries: int = 3
    verified: bool = False
    fresh: bool = False  # verified by the command right before

    def verify(self, right: bool) -> str:
        if self.tries == 0:
            right = False
        elif right:
            self.tries = 3
        else:
            self.tries -= 1
        self.verified = self.fresh = right
        return "9000" if right else f"63C{self.tries}" if self.tries else "6983"

    def use(self, key_ref: int) -> str:
        allowed = {0x9A: self.verified, 0x9C: self.fresh, 0x9E: True}[key_ref]
        self.fresh = False
        return "9000" if allowed else "6982"


class CardMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.keys = ScriptedKeys(*[b"signature"] * 100)
        self.card = new_card(self.keys)
        self.model = Model()

    @rule(right=st.booleans())
    def verify(self, right: bool) -> None:
        assert self.card.send(RIGHT if right else WRONG) == self.model.verify(right)

    @rule()
    def status(self) -> None:
        self.model.fresh = False
        tries = self.model.tries
        expected = "9000" if self.model.verified else f"63C{tries}" if tries else "6983"
        assert self.card.send("00200080") == expected

    @rule()
    def log_out(self) -> None:
        self.model.verified = self.model.fresh = False
        assert self.card.send("0020FF80") == "9000"

    @rule()
    def reset(self) -> None:
        self.model.verified = self.model.fresh = False
        self.card.card.reset()

    @rule(key_ref=key_refs)
    def sign(self, key_ref: int) -> None:
        assert self.card.send(SIGN.format(key_ref))[-4:] == self.model.use(key_ref)

    @rule(key_ref=key_refs)
    def sign_in_parts(self, key_ref: int) -> None:
        first, last = (part.format(key_ref) for part in SIGN_IN_PARTS)
        assert self.card.send(first) == "9000"
        assert self.card.send(last)[-4:] == self.model.use(key_ref)

    @rule(other=others)
    def do_something_else(self, other: str) -> None:
        self.model.fresh = False
        self.card.send(other)

    @rule(key_ref=key_refs)
    def abandon_a_signature(self, key_ref: int) -> None:
        exchange = self.card.card.exchange(bytes.fromhex(SIGN.format(key_ref)))
        allowed = self.model.use(key_ref) == "9000"
        try:
            request = next(exchange)
        except StopIteration:
            assert not allowed
        else:
            assert allowed
            assert isinstance(request, UseKey)
            exchange.close()

    @rule()
    def abandon_a_verification(self) -> None:
        self.model.fresh = False
        exchange = self.card.card.exchange(bytes.fromhex(RIGHT))
        assert isinstance(next(exchange), VerifyPasscode)
        exchange.close()

    @rule(right=st.booleans())
    def verify_elsewhere(self, right: bool) -> None:
        """At another workstation: the tries are the keystore's, the session is not."""
        passcode = b"123456" if right else b"654321"
        self.keys.perform(VerifyPasscode(bytes(16), 0x80, passcode))
        other = Model(self.model.tries)
        other.verify(right)
        self.model.tries = other.tries

    @invariant()
    def the_card_has_no_bug(self) -> None:
        assert self.card.card.fault is None
        assert self.keys.tries_left[0x80] == self.model.tries


TestCardMachine = CardMachine.TestCase
TestCardMachine.settings = settings(max_examples=60, stateful_step_count=40)
