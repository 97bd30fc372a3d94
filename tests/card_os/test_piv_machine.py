"""The security status over any sequence of commands, against a small model of its own."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from card_os.keys import UseKey, VerifyPasscode, advance
from card_os.piv import Features
from card_os.piv.names import Cipher
from support.fakes import MANAGEMENT_KEY, ScriptedKeys, decipher, encipher, new_card

RIGHT = {0x80: "313233343536FFFF", 0x00: "3131323233333434", 0x81: "3132333435363738"}
WRONG = "3636363636363636"
VERIFY = "002000{:02X} 08 {}"
SIGN = "008711{:02X} 0A 7C08 8200 8104DEADBEEF 00"
SIGN_IN_PARTS = ("108711{:02X} 03 7C0882", "008711{:02X} 07 008104DEADBEEF 00")
AUTHENTICATE = "0087089B {:02X} {} 00"

pins = st.sampled_from([0x80, 0x00])
key_refs = st.sampled_from([0x9A, 0x9C, 0x9E])
# Leave the status as it is, and come between a VERIFY and a signature. Parts are of commands that
# no rule sends: a rule's command would go on with them.
others = st.sampled_from(
    [
        "00CB3FFF 03 5C017E 00",
        "00A40400 05 A000000308 00",
        "00A40400 05 A000000397 00",
        "00C0000000",
        "00200080 01 31",
        "00200096 08 3636363636363636",
        "1087119D 02 7C00",
        "1047009C 02 AC00",
        "00B0000000",
        "8000",
    ]
)


@dataclass
class Model:
    """What the card should remember: all that PIV's text asks (SP 800-73-5 part 2, 2.4 and 3.2)."""

    tries: dict[int, int] = field(default_factory=lambda: {0x80: 3, 0x00: 3, 0x81: 3})
    verified: set[int] = field(default_factory=set)
    fresh: bool = False  # a PIN was verified by the command right before
    administrator: bool = False
    awaited: tuple[str, bytes] | None = None  # what was asked for, and the card's block

    def compare(self, key_ref: int, right: bool) -> str:
        """A passcode is compared: what becomes of its tries, and the status word."""
        if self.tries[key_ref] == 0:
            return "6983"
        self.tries[key_ref] = 3 if right else self.tries[key_ref] - 1
        return "9000" if right else f"63C{self.tries[key_ref]}" if self.tries[key_ref] else "6983"

    def verify(self, key_ref: int, right: bool) -> str:
        sw = self.compare(key_ref, right)
        self.fresh = sw == "9000"
        (self.verified.add if self.fresh else self.verified.discard)(key_ref)
        return sw

    def use(self, key_ref: int) -> str:
        allowed = {0x9A: bool(self.verified), 0x9C: self.fresh, 0x9E: True}[key_ref]
        self.fresh = False
        return "9000" if allowed else "6982"

    def lose_all(self) -> None:
        self.verified, self.fresh, self.administrator, self.awaited = set(), False, False, None


class PivMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.keys = ScriptedKeys(*[b"signature"] * 100)
        features = Features(management_algorithm=Cipher.AES_128, global_pin=True)
        self.card = new_card(self.keys, features=features)
        self.model = Model()

    @rule(key_ref=pins, right=st.booleans())
    def verify(self, key_ref: int, right: bool) -> None:
        command = VERIFY.format(key_ref, RIGHT[key_ref] if right else WRONG)
        assert self.card.send(command) == self.model.verify(key_ref, right)

    @rule(key_ref=pins)
    def status(self, key_ref: int) -> None:
        self.model.fresh = False
        tries = self.model.tries[key_ref]
        expected = "9000" if key_ref in self.model.verified else f"63C{tries}" if tries else "6983"
        assert self.card.send(f"002000{key_ref:02X}") == expected

    @rule(key_ref=pins)
    def log_out(self, key_ref: int) -> None:
        self.model.fresh = False
        self.model.verified.discard(key_ref)
        assert self.card.send(f"0020FF{key_ref:02X}") == "9000"

    @rule(key_ref=st.sampled_from([0x80, 0x00, 0x81]), right=st.booleans())
    def change(self, key_ref: int, right: bool) -> None:
        """To the same."""
        sw = self.model.verify(key_ref, right)
        self.model.fresh = False
        self.model.verified.discard(0x81)
        old = RIGHT[key_ref] if right else WRONG
        assert self.card.send(f"002400{key_ref:02X} 10 {old} {RIGHT[key_ref]}") == sw

    @rule(right=st.booleans())
    def reset_retry_counter(self, right: bool) -> None:
        sw = self.model.compare(0x81, right)
        self.model.fresh = False
        if sw == "9000":
            self.model.tries[0x80] = 3
        else:
            self.model.verified.discard(0x80)
        puk = RIGHT[0x81] if right else WRONG
        assert self.card.send(f"002C0080 10 {puk} {RIGHT[0x80]}") == sw

    @rule(on=st.booleans())
    def reset(self, on: bool) -> None:
        self.model.lose_all()
        self.card.card.power_on() if on else self.card.card.reset()

    @rule(key_ref=key_refs)
    def sign(self, key_ref: int) -> None:
        assert self.card.send(SIGN.format(key_ref))[-4:] == self.model.use(key_ref)

    @rule(key_ref=key_refs)
    def sign_in_parts(self, key_ref: int) -> None:
        first, last = (part.format(key_ref) for part in SIGN_IN_PARTS)
        assert self.card.send("00CB3FFF 03 5C017E 00")[-4:] == "9000"  # ends a chain before
        self.model.fresh = False
        assert self.card.send(first) == "9000"
        assert self.card.send(last)[-4:] == self.model.use(key_ref)

    @rule(protected=st.booleans(), there=st.booleans())
    def read(self, protected: bool, there: bool) -> None:
        self.model.fresh = False
        tag = {(True, True): "5FC109", (True, False): "5FC103", (False, True): "5FC102"}.get(
            (protected, there), "5FC10A"
        )
        expected = "9000" if there else "6A82"
        if protected and not self.model.verified:
            expected = "6982"
        assert self.card.send(f"00CB3FFF 05 5C03{tag} 00")[-4:] == expected

    @rule(what=st.sampled_from(["81", "80"]))
    def ask_for_a_challenge_or_witness(self, what: str) -> None:
        self.model.fresh = False
        answer = bytes.fromhex(self.card.send(AUTHENTICATE.format(4, f"7C02{what}00")))
        assert (answer[:4].hex(), answer[-2:]) == (f"7c12{what}10", b"\x90\x00")
        self.model.awaited = what, answer[4:-2]

    @rule(what=st.sampled_from(["81", "80"]), right=st.booleans(), again=st.booleans())
    def answer(self, what: str, right: bool, again: bool) -> None:
        """And perhaps once more, with the same answer."""
        asked, block = self.model.awaited or ("", bytes(16))
        work = encipher if what == "81" else decipher
        answer = work(Cipher.AES_128, MANAGEMENT_KEY if right else b"wrong".ljust(16), block).hex()
        template = f"7C128210{answer}" if what == "81" else f"7C248010{answer}8110{'00' * 16}"
        for _ in range(1 + again):
            self.model.fresh = False
            self.model.administrator = bool(asked == what and self.model.awaited and right)
            expected = "9000" if self.model.administrator else "6982"
            if not (asked == what and self.model.awaited):
                expected = "6A80"
            self.model.awaited = None
            command = AUTHENTICATE.format(len(bytes.fromhex(template)), template)
            assert self.card.send(command)[-4:] == expected

    @rule()
    def abandon_an_answer(self) -> None:
        """It was one: the challenge is spent."""
        self.model.fresh = self.model.administrator = False
        asked, self.model.awaited = self.model.awaited, None
        exchange = self.card.card.exchange(bytes.fromhex("0087089B 14 7C128210" + "00" * 16))
        if isinstance(advance(exchange), bytes):
            assert asked is None or asked[0] == "80"
        exchange.close()

    @rule()
    def have_the_card_encipher(self) -> None:
        self.model.fresh = self.model.administrator = False
        self.model.awaited = None
        template = "7C148200 8110" + "00" * 16
        assert self.card.send(AUTHENTICATE.format(22, template)) == "6A80"

    @rule(command=st.sampled_from(["00DB3FFF 08 5C035FC12153 0101", "0047009A 05 AC03800111 00"]))
    def administer(self, command: str) -> None:
        self.model.fresh = False
        expected = "9000" if self.model.administrator else "6982"
        assert self.card.send(command)[-4:] == expected

    @rule(other=others)
    def do_something_else(self, other: str) -> None:
        self.model.fresh = False
        self.card.send(other)

    @rule(key_ref=key_refs)
    def abandon_a_signature(self, key_ref: int) -> None:
        exchange = self.card.card.exchange(bytes.fromhex(SIGN.format(key_ref)))
        allowed = self.model.use(key_ref) == "9000"
        said = advance(exchange)
        assert isinstance(said, UseKey if allowed else bytes)
        exchange.close()

    @rule()
    def abandon_a_verification(self) -> None:
        self.model.fresh = False
        exchange = self.card.card.exchange(bytes.fromhex(VERIFY.format(0x80, RIGHT[0x80])))
        assert isinstance(next(exchange), VerifyPasscode)
        exchange.close()

    @rule(right=st.booleans())
    def verify_elsewhere(self, right: bool) -> None:
        """At another workstation: the tries are the keystore's, the session is not."""
        self.keys.perform(VerifyPasscode(bytes(16), 0x80, b"123456" if right else b"654321"))
        self.model.compare(0x80, right)

    @invariant()
    def the_card_has_no_bug(self) -> None:
        assert self.card.card.fault is None
        assert self.keys.tries_left == self.model.tries


TestPivMachine = PivMachine.TestCase
TestPivMachine.settings = settings(max_examples=100, stateful_step_count=40)
