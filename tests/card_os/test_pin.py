"""VERIFY, CHANGE REFERENCE DATA, RESET RETRY COUNTER (SP 800-73-5 part 2, 3.2.1 to 3.2.3)."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from card_os import tlv
from card_os.card import Card
from card_os.keys import (
    ChangePasscode,
    KeyRequest,
    KeyResult,
    PasscodeStatus,
    Refusal,
    ResetPasscode,
    TriesLeft,
    UseKey,
    Verified,
    VerifyPasscode,
)
from card_os.piv import Features, PivApplication
from card_os.piv.issuing import encode
from card_os.piv.names import ObjectTag
from card_os.piv.refusals import REFUSAL_SW
from card_os.status import SW
from support.fakes import (
    GLOBAL_PROOF,
    PROOF,
    WITH_GLOBAL_PIN,
    CannedKeys,
    CountedRandom,
    DrivenCard,
    ScriptedKeys,
    administer,
    new_card,
    sample_image,
)

STATUS = "00200080"
VERIFY = "00200080 08 313233343536FFFF"
WRONG = "00200080 08 363534333231FFFF"
LOGOUT = "0020FF80"
CHANGE = "00240080 10 313233343536FFFF 3635343332313738"
CHANGE_PUK = "00240081 10 3132333435363738 3837363534333231"
RESET = "002C0080 10 3132333435363738 363534333231FFFF"
SIGN = "0087119A 0A 7C08 8200 8104DEADBEEF 00"
PRINTED = "00CB3FFF 05 5C035FC109 00"


def test_verify() -> None:
    keys = ScriptedKeys()
    card = new_card(keys)
    assert card.send(VERIFY) == "9000"
    [request] = keys.requests
    assert isinstance(request, VerifyPasscode)
    assert (request.key_ref, request.passcode) == (0x80, b"123456")
    assert len(request.request_id) == 16


def test_wrong_pins_are_counted_and_block() -> None:
    card = new_card(ScriptedKeys())
    assert [card.send(WRONG) for _ in range(3)] == ["63C2", "63C1", "6983"]
    assert card.send(VERIFY) == "6983"
    assert card.send(STATUS) == "6983"


def test_a_right_pin_restores_the_tries() -> None:
    card = new_card(ScriptedKeys())
    assert [card.send(apdu) for apdu in (WRONG, VERIFY, LOGOUT, STATUS)] == [
        "63C2", "9000", "9000", "63C3",
    ]  # fmt: skip


def test_status_of_a_verified_pin_asks_nobody() -> None:
    keys = ScriptedKeys()
    card = new_card(keys)
    assert card.send(STATUS) == "63C3"
    assert card.send(STATUS + "00") == "63C3"  # as clients send it that always give Le
    assert all(isinstance(request, PasscodeStatus) for request in keys.requests)
    card.send(VERIFY)
    keys.requests.clear()
    assert card.send(STATUS) == "9000"
    assert keys.requests == []


@pytest.mark.parametrize(
    ("tries", "sw"), [(0, "6983"), (1, "63C1"), (10, "63CA"), (15, "63CF"), (200, "63CF")]
)
def test_tries_left(tries: int, sw: str) -> None:
    for command in (STATUS, VERIFY, CHANGE, CHANGE_PUK, RESET):
        assert new_card(CannedKeys(TriesLeft(tries))).send(command) == sw


@pytest.mark.parametrize("ends", [WRONG, LOGOUT])
def test_what_ends_the_verification(ends: str) -> None:
    card = new_card(ScriptedKeys())
    card.send(VERIFY)
    card.send(ends)
    assert card.send(SIGN) == "6982"
    assert card.send(PRINTED) == "6982"


def test_a_wrong_puk_ends_the_verification() -> None:
    """Part 2, 3.2.3: the PIN's security status is set to FALSE."""
    card = new_card(ScriptedKeys())
    card.send(VERIFY)
    assert card.send("002C0080 10 3837363534333231 363534333231FFFF") == "63C2"
    assert card.send(SIGN) == "6982"


@pytest.mark.parametrize(
    ("what", "pin"),
    [
        ("five digits", "3132333435FFFFFF"),
        ("none", "FFFFFFFFFFFFFFFF"),
        ("a letter", "3132333435413738"),
        ("padding within", "313233343536FF38"),
        ("other padding", "3132333435360000"),
        ("Arabic-Indic digits", "D9A1D9A2D9A3D9A4"),
    ],
)
def test_a_malformed_pin_costs_no_try(what: str, pin: str) -> None:
    """Part 2, 2.4.3 and 3.2.1.1: 6A80, and nothing is compared."""
    keys = ScriptedKeys()
    card = new_card(keys)
    good = "313233343536FFFF"
    assert card.send(f"00200080 08 {pin}") == "6A80", what
    assert card.send(f"00240080 10 {pin} {good}") == "6A80", what
    assert card.send(f"00240080 10 {good} {pin}") == "6A80", what
    assert card.send(f"002C0080 10 3132333435363738 {pin}") == "6A80", what
    assert all(isinstance(request, PasscodeStatus) for request in keys.requests)


@pytest.mark.parametrize("length", [1, 6, 7, 9, 15, 17, 24])
def test_passcodes_of_another_length(length: int) -> None:
    card = new_card(ScriptedKeys())
    data = "31" * length
    for header in ("00200080", "00240080", "00240081", "002C0080"):
        assert card.send(f"{header} {length:02X} {data}") == "6A80"


@pytest.mark.parametrize(
    ("command", "sw"),
    [
        ("00200180", "6A86"),
        ("00208080", "6A86"),
        ("00200000", "6A88"),
        ("00200081", "6A88"),
        ("00200096", "6A88"),
        ("0020FF81", "6A88"),
        ("0020FF80 08 313233343536FFFF", "6700"),
        ("00240180 10 313233343536FFFF 313233343536FFFF", "6A86"),
        ("00240000 10 313233343536FFFF 313233343536FFFF", "6A88"),
        ("00240080", "6A80"),
        ("002C0180 10 3132333435363738 313233343536FFFF", "6A86"),
        ("002C0081 10 3132333435363738 3132333435363738", "6A88"),
        ("002C0080", "6A80"),
    ],
)
def test_parameters(command: str, sw: str) -> None:
    assert new_card(ScriptedKeys()).send(command) == sw


def test_change_of_the_pin() -> None:
    keys = ScriptedKeys(b"signature")
    card = new_card(keys)
    assert card.send(CHANGE) == "9000"
    request = keys.requests[0]
    assert isinstance(request, ChangePasscode)
    assert (request.key_ref, request.old, request.new) == (0x80, b"123456", b"65432178")
    assert card.send(SIGN).endswith("9000")  # part 2, 3.2.2: the status becomes TRUE
    assert card.send(VERIFY) == "63C2"


def test_change_of_the_puk() -> None:
    keys = ScriptedKeys()
    card = new_card(keys)
    assert card.send(CHANGE_PUK) == "9000"
    request = keys.requests[0]
    assert isinstance(request, ChangePasscode)
    assert (request.key_ref, request.old, request.new) == (0x81, b"12345678", b"87654321")
    assert card.send(SIGN) == "6982"  # the PUK's proof is not the PIN's


def test_reset_of_the_pin() -> None:
    keys = ScriptedKeys()
    card = new_card(keys)
    for _ in range(3):
        card.send(WRONG)
    assert card.send(RESET) == "9000"
    request = keys.requests[-1]
    assert isinstance(request, ResetPasscode)
    assert (request.key_ref, request.puk, request.new) == (0x80, b"12345678", b"654321")
    assert card.send(SIGN) == "6982"  # part 2, 3.2.3: the status is not changed
    assert card.send(WRONG) == "9000"  # which is the right one now


@pytest.mark.parametrize("command", [CHANGE_PUK, RESET])
def test_a_new_proof_replaces_the_one_that_the_keystore_dropped(command: str) -> None:
    keys = CannedKeys(Verified(b"old"), Verified(b"new"), b"signature")
    card = new_card(keys)
    card.send(VERIFY)
    assert card.send(command) == "9000"
    assert card.send(SIGN).endswith("9000")
    use = keys.requests[-1]
    assert isinstance(use, UseKey)
    assert use.proof == b"new"


@pytest.mark.parametrize("command", [STATUS, VERIFY, CHANGE, CHANGE_PUK, RESET])
@pytest.mark.parametrize("refusal", Refusal)
def test_refusals(command: str, refusal: Refusal) -> None:
    sw = new_card(CannedKeys(refusal)).transmit(bytes.fromhex(command))
    expected = {
        Refusal.DENIED: "6985",
        Refusal.EXPIRED: "6985",
        Refusal.CANCELLED: "6985",
        Refusal.MALFORMED: "6A80",
        Refusal.FULL: "6A84",
        Refusal.UNAVAILABLE: "6400",
        Refusal.UNKNOWN_KEY: "6A88",
        Refusal.PASSCODE_NEEDED: "6F00",  # no answer to a question about a passcode
    }
    assert sw.hex().upper() == expected[refusal]


@pytest.mark.parametrize("refusal", Refusal)
def test_a_refusal_leaves_the_status_as_it_was(refusal: Refusal) -> None:
    """Nobody compared anything: part 2, 3.2.1.1 asks so of 6A80."""
    card = new_card(CannedKeys(Verified(PROOF), refusal))
    card.send(VERIFY)
    card.send(VERIFY)
    assert card.send(STATUS) == "9000"


def test_never_6982_for_a_refusal() -> None:
    """OpenSC would verify its cached PIN again and resend: the phone would ring twice."""
    assert SW.SECURITY_STATUS_NOT_SATISFIED not in REFUSAL_SW.values()


@given(pin=st.text("0123456789", min_size=6, max_size=8))
def test_any_pin_arrives_without_its_padding(pin: str) -> None:
    keys = CannedKeys(TriesLeft(2))
    new_card(keys).transmit(bytes.fromhex("0020008008") + pin.encode().ljust(8, b"\xff"))
    [request] = keys.requests
    assert isinstance(request, VerifyPasscode)
    assert request.passcode == pin.encode()


@given(puk=st.binary(min_size=8, max_size=8))
def test_any_eight_bytes_are_a_puk(puk: bytes) -> None:
    """Part 2, 2.4.3."""
    keys = CannedKeys(TriesLeft(2))
    new_card(keys).transmit(bytes.fromhex("002C008010") + puk + b"654321\xff\xff")
    [request] = keys.requests
    assert isinstance(request, ResetPasscode)
    assert request.puk == puk


def test_each_request_has_an_id_of_its_own() -> None:
    keys = ScriptedKeys()
    card = new_card(keys)
    for _ in range(5):
        card.send(VERIFY)
    ids = {request.request_id for request in keys.requests}
    assert len(ids) == 5


class Recorder:
    """Remembers what the requests look like in a log or a traceback."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def perform(self, request: KeyRequest) -> KeyResult:
        self.seen.append(repr(request))
        return Verified(PROOF)


def test_no_passcode_is_ever_shown() -> None:
    keys = Recorder()
    application = PivApplication(sample_image(), CountedRandom())
    card = DrivenCard(Card([application], b"\x3b\x00"), keys)
    for command in (VERIFY, CHANGE, CHANGE_PUK, RESET):
        card.send(command)
    shown = " ".join([*keys.seen, repr(vars(application)), repr(vars(card.card))])
    shown = re.sub(r"at 0x[0-9a-f]+", "", shown)  # addresses hold any digits by chance
    for secret in ("123456", "654321", "12345678", "87654321", "proof of"):
        assert secret not in shown


# The global PIN (part 1, 3.3.2; part 2, 2.4.2 and 3.2.1)

VERIFY_GLOBAL = "00200000 08 3131323233333434"


@pytest.mark.parametrize(
    ("features", "discovery"),
    [
        (Features(), encode.discovery(global_pin=True)),
        (WITH_GLOBAL_PIN, encode.discovery()),
        (WITH_GLOBAL_PIN, None),
        (WITH_GLOBAL_PIN, b""),
        (WITH_GLOBAL_PIN, b"\x5f\x2f\x00"),
        (WITH_GLOBAL_PIN, b"\x5f\x2f\x02\x60"),
    ],
)
def test_profile_and_discovery_object_have_to_allow_it(
    features: Features, discovery: bytes | None
) -> None:
    objects = {} if discovery is None else {int(ObjectTag.DISCOVERY): discovery}
    image = replace(sample_image(features=features), objects=objects)
    for command in (
        VERIFY_GLOBAL,
        "00200000",
        "0020FF00",
        "00240000 10 3131323233333434 3635343332313738",
    ):
        assert new_card(image=image).send(command) == "6A88"


def test_it_is_verified_and_used() -> None:
    keys = ScriptedKeys(b"signature")
    card = new_card(keys, features=WITH_GLOBAL_PIN)
    assert card.send(VERIFY_GLOBAL) == "9000"
    [request] = keys.requests
    assert isinstance(request, VerifyPasscode)
    assert (request.key_ref, request.passcode) == (0x00, b"11223344")
    assert card.send(SIGN).endswith("9000")
    use = keys.requests[-1]
    assert isinstance(use, UseKey)
    assert use.proof == GLOBAL_PROOF


def test_pin_always_takes_the_proof_of_the_pin_just_verified() -> None:
    keys = ScriptedKeys(b"one", b"two")
    card = new_card(keys, features=WITH_GLOBAL_PIN)
    for command, proof in ((VERIFY_GLOBAL, GLOBAL_PROOF), (VERIFY, PROOF)):
        card.send(VERIFY)
        card.send(VERIFY_GLOBAL)
        card.send(command)
        assert card.send(SIGN.replace("9A", "9C")).endswith("9000")
        use = keys.requests[-1]
        assert isinstance(use, UseKey)
        assert use.proof == proof


def test_an_administrator_can_shut_it_out() -> None:
    """What counts is the discovery object as it is now."""
    features = replace(WITH_GLOBAL_PIN, management_algorithm=0x08)
    card = new_card(ScriptedKeys(), features=features)
    card.send(VERIFY_GLOBAL)
    assert card.send(PRINTED).endswith("9000")
    administer(card)
    discovery = tlv.encode(0x7E, encode.discovery())
    put = bytes.fromhex("00DB3FFF") + bytes((len(discovery),)) + discovery
    assert card.transmit(put) == b"\x90\x00"
    assert card.send(PRINTED) == "6982"
    assert card.send(VERIFY_GLOBAL) == "6A88"


@pytest.mark.parametrize("command", [CHANGE, CHANGE_PUK, RESET])
def test_a_new_proof_is_that_of_all_verified_pins(command: str) -> None:
    """The keystore drops all proofs of a card when one of its passcodes changes."""
    keys = CannedKeys(Verified(b"old"), Verified(b"new"), b"signature")
    card = new_card(keys, features=WITH_GLOBAL_PIN)
    card.send(VERIFY_GLOBAL)
    assert card.send(command) == "9000"
    assert card.send("00200000") == "9000"
    assert card.send(SIGN).endswith("9000")
    use = keys.requests[-1]
    assert isinstance(use, UseKey)
    assert use.proof == b"new"


def test_a_proof_that_is_taken_no_more_ends_all_verification() -> None:
    keys = CannedKeys(Verified(b"1"), Verified(b"2"), Refusal.PASSCODE_NEEDED)
    card = new_card(keys, features=WITH_GLOBAL_PIN)
    card.send(VERIFY)
    card.send(VERIFY_GLOBAL)
    assert card.send(SIGN) == "6982"
    assert card.send(PRINTED) == "6982"


@pytest.mark.parametrize(
    ("result", "sw"),
    [
        (TriesLeft(0), "6983"),
        (TriesLeft(1), "6A80"),
        (Refusal.UNAVAILABLE, "6A80"),
        (Refusal.UNKNOWN_KEY, "6A80"),
    ],
)
def test_a_malformed_passcode_of_a_blocked_counter(result: KeyResult, sw: str) -> None:
    """Part 2, 3.2.1 to 3.2.3: 6983 comes first; the counter of a reset is the PUK's."""
    for command, counted in (
        ("00200080 08 31323334353637FE", 0x80),
        ("00200000 08 31323334353637FE", 0x00),
        ("00240080 10 313233343536FFFF 31323334353637FE", 0x80),
        ("00240081 0F 3132333435363738 31323334353637", 0x81),
        ("002C0080 10 3132333435363738 31323334353637FE", 0x81),
    ):
        keys = CannedKeys(result)
        assert new_card(keys, features=WITH_GLOBAL_PIN).send(command) == sw
        [request] = keys.requests
        assert isinstance(request, PasscodeStatus)
        assert request.key_ref == counted
