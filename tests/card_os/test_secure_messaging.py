"""Secure messaging against a client of its own (SP 800-73-5 part 2, 4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from card_os.administration import CardKey
from card_os.apdu import Command
from card_os.keys import KeyRequest, KeyResult, Refusal, UseKey, Verified, advance
from card_os.piv.image import CardImage
from card_os.piv.names import ObjectTag
from card_os.secure_messaging import SecureMessaging, SessionKeys
from card_os.status import CardError
from card_os.uses import KeyUse
from support.fakes import (
    GUID,
    RSA_KEYS,
    CannedKeys,
    DrivenCard,
    RefusingKeys,
    ScriptedKeys,
    new_card,
    sample_image,
)
from support.secure_host import CS2, CS7, CURVE, Broken, Host, certificate, fetch, secret_of, tlv
from support.strategies import likely_apdus

GET_CHUID = bytes.fromhex("5C035FC102")
GET_LARGE = bytes.fromhex("5C035FC108")
GET_PRINTED = bytes.fromhex("5C035FC109")
PIN = b"123456\xff\xff"
LARGE = bytes(range(256)) * 49  # the size of the largest object of PIV
RSA_TEMPLATE = tlv("7C", tlv("82"), tlv("81", bytes(256)))
CARD_KEYS = {suite: ec.generate_private_key(curve) for suite, curve in CURVE.items()}


class AgreeingKeys(ScriptedKeys):
    """Agrees with key 04, and has a script for all else."""

    def perform(self, request: KeyRequest) -> KeyResult:
        match request:
            case UseKey(key_ref=0x04, algorithm=suite, input=point):
                self.requests.append(request)
                return secret_of(CARD_KEYS[suite], point)
        return super().perform(request)


def secure_image(suite: int) -> CardImage:
    image = sample_image({**RSA_KEYS, 0x04: CardKey(suite)})
    return replace(
        image,
        objects={**image.objects, ObjectTag.FACIAL_IMAGE: LARGE},
        verifiable_certificate=certificate(suite, GUID, CARD_KEYS[suite].public_key()),
    )


def secure_card(suite: int = CS2, *results: KeyResult) -> DrivenCard:
    return new_card(AgreeingKeys(*results), secure_image(suite))


@pytest.fixture(params=[CS2, CS7], ids=["CS2", "CS7"])
def suite(request: pytest.FixtureRequest) -> int:
    param: int = request.param
    return param


@pytest.fixture
def card(suite: int) -> Iterator[DrivenCard]:
    card = secure_card(suite, b"signature")
    yield card
    assert card.card.fault is None


@pytest.fixture
def host(suite: int, card: DrivenCard) -> Host:
    host = Host(suite, card.transmit)
    host.establish()
    return host


def test_keys_are_established_and_confirmed(suite: int) -> None:
    card = secure_card(suite)
    cvc = Host(suite, card.transmit).establish()
    assert cvc == secure_image(suite).verifiable_certificate
    assert isinstance(card.keys, AgreeingKeys)
    (request,) = card.keys.requests
    assert isinstance(request, UseKey)
    assert (request.use, request.key_ref, request.algorithm) == (KeyUse.AGREE, 0x04, suite)
    assert request.proof == b""


@pytest.mark.parametrize("result", [Verified(b"proof"), bytes(31), bytes(33)])
def test_shared_secrets_of_another_kind_are_a_bug(result: KeyResult) -> None:
    keys = CannedKeys(result)
    card = new_card(keys, secure_image(CS2))
    with pytest.raises(Broken, match="6f00"):
        Host(CS2, card.transmit).establish()
    assert "does not answer the request" in str(card.card.fault)


def test_a_host_that_could_remember_is_not_remembered(suite: int) -> None:
    """Step C2: the low half of the control byte is ignored, but goes into the keys."""
    host = Host(suite, secure_card(suite).transmit)
    host.establish(control=0x0F)
    assert host.send("CB3FFF", GET_CHUID)[1] == 0x9000


def test_a_whole_session(host: Host, card: DrivenCard) -> None:
    data, sw = host.send("CB3FFF", GET_CHUID)
    assert (data, sw) == (bytes.fromhex(card.send("00CB3FFF 05 5C035FC102 00"))[:-2], 0x9000)
    assert host.send("200080", le=False) == (b"", 0x63C3)
    assert host.send("CB3FFF", GET_PRINTED) == (b"", 0x6982)
    assert host.send("200080", b"654321\xff\xff", le=False) == (b"", 0x63C2)
    assert host.send("200080", PIN, le=False) == (b"", 0x9000)
    assert host.send("CB3FFF", GET_PRINTED)[1] == 0x9000
    assert host.send("240080", PIN + b"654321\xff\xff", le=False) == (b"", 0x9000)
    data, sw = host.send("87079A", RSA_TEMPLATE)
    assert (data, sw) == (tlv("7C", tlv("82", b"signature")), 0x9000)


def test_a_large_object_comes_whole(host: Host) -> None:
    host.send("200080", PIN, le=False)
    assert host.send("CB3FFF", GET_LARGE) == (tlv("53", LARGE), 0x9000)


def test_a_large_object_in_one_extended_response(host: Host) -> None:
    host.send("200080", PIN, le=False)
    head = bytes.fromhex("CB3FFF")
    field = host.wrap(head, GET_LARGE)
    apdu = b"\x0c" + head + b"\x00" + len(field).to_bytes(2) + field + b"\x00\x00"
    assert host.unwrap(host.transmit(apdu)) == (tlv("53", LARGE), 0x9000)


def test_plain_commands_in_between_change_nothing(host: Host, card: DrivenCard) -> None:
    """Only protected messages are counted (part 2, 4.2.2)."""
    host.send("CB3FFF", GET_CHUID)
    assert card.send("00CB3FFF 03 5C017E 00").endswith("9000")
    assert card.send("00A40400 05 A000000308 00").endswith("9000")
    assert card.send("00200080") == "63C3"
    assert host.send("CB3FFF", GET_CHUID)[1] == 0x9000


def test_the_status_of_the_pin_is_one_for_plain_and_protected(host: Host, card: DrivenCard) -> None:
    host.send("200080", PIN, le=False)
    assert card.send("00CB3FFF 05 5C035FC109 00").endswith("9000")


def test_an_interrupted_chain_has_no_effect(host: Host, card: DrivenCard) -> None:
    head = bytes.fromhex("87079A")
    before = host.sent
    first, *_ = host.apdus(head, host.wrap(head, RSA_TEMPLATE))
    assert card.transmit(first) == b"\x90\x00"
    assert card.send("00CB3FFF 03 5C017E 00").endswith("9000")
    host.sent = before
    assert host.send("200080", PIN, le=False) == (b"", 0x9000)
    assert host.send("87079A", RSA_TEMPLATE)[1] == 0x9000


def test_a_chain_is_protected_as_a_whole(host: Host, card: DrivenCard) -> None:
    """Part 2, 4.2."""
    head = bytes.fromhex("87079A")
    first, last = host.apdus(head, host.wrap(head, RSA_TEMPLATE))
    assert card.transmit(first) == b"\x90\x00"
    assert card.transmit(bytes((last[0] & ~0x0C,)) + last[1:]) == b"\x68\x83"
    assert card.send("1087079A 03 7C0882") == "9000"
    assert card.transmit(first) == b"\x68\x83"


def lost(card: DrivenCard, host: Host) -> bool:
    """Whether the session keys are gone."""
    head = bytes.fromhex("CB3FFF")
    (apdu,) = host.apdus(head, host.wrap(head, GET_CHUID))
    return card.transmit(apdu) == b"\x69\x82"


def test_a_replayed_command_is_refused(host: Host, card: DrivenCard) -> None:
    head = bytes.fromhex("200080")
    (apdu,) = host.apdus(head, host.wrap(head, PIN, le=False))
    assert host.unwrap(card.transmit(apdu)) == (b"", 0x9000)
    assert card.transmit(apdu) == b"\x69\x88"
    assert lost(card, host)


def test_a_reordered_command_is_refused(host: Host, card: DrivenCard) -> None:
    head = bytes.fromhex("CB3FFF")
    (_first,) = host.apdus(head, host.wrap(head, GET_CHUID))
    (second,) = host.apdus(head, host.wrap(head, GET_LARGE))
    assert card.transmit(second) == b"\x69\x88"
    assert lost(card, host)


def test_a_suppressed_response_is_noticed_by_the_host(host: Host, card: DrivenCard) -> None:
    head = bytes.fromhex("CB3FFF")
    (first,) = host.apdus(head, host.wrap(head, GET_CHUID))
    (second,) = host.apdus(head, host.wrap(head, GET_CHUID))
    card.transmit(first)
    with pytest.raises(Broken):
        host.unwrap(fetch(card.transmit, card.transmit(second)))


def test_a_session_of_one_card_is_nothing_to_another(host: Host, suite: int) -> None:
    other = secure_card(suite)
    Host(suite, other.transmit).establish()
    head = bytes.fromhex("CB3FFF")
    (apdu,) = host.apdus(head, host.wrap(head, GET_CHUID))
    assert other.transmit(apdu) == b"\x69\x88"


@given(data=st.data())
def test_no_bit_can_be_changed(data: st.DataObject) -> None:
    card = secure_card()
    host = Host(CS2, card.transmit)
    host.establish()
    head = bytes.fromhex("CB3FFF")
    field = host.wrap(head, GET_CHUID)
    bit = data.draw(st.integers(0, 8 * len(field) - 1))
    changed = (int.from_bytes(field) ^ (1 << bit)).to_bytes(len(field))
    (apdu,) = host.apdus(head, changed)
    assert card.transmit(apdu) in (b"\x69\x87", b"\x69\x88")
    assert lost(card, host)


@pytest.mark.parametrize("header", ["200080", "CB3FFE", "CB3EFF", "240080"])
def test_no_header_can_be_changed(header: str, host: Host, card: DrivenCard) -> None:
    field = host.wrap(bytes.fromhex("CB3FFF"), GET_CHUID)
    (apdu,) = host.apdus(bytes.fromhex(header), field)
    assert card.transmit(apdu) == b"\x69\x88"


@pytest.mark.parametrize(
    ("what", "field", "sw"),
    [
        ("nothing", "", "6987"),
        ("no checksum", "8703010203", "6987"),
        ("plain data", "5C035FC102", "6987"),
        ("no data objects", "87", "6988"),
        ("short checksum", "8E07" + "00" * 7, "6988"),
        ("long checksum", "8E10" + "00" * 16, "6988"),
        ("checksum first", "8E08" + "00" * 8 + "970100", "6988"),
        ("twice", "8E08" + "00" * 8 + "8E08" + "00" * 8, "6988"),
        ("something else", "810100" + "8E08" + "00" * 8, "6988"),
    ],
)
def test_malformed_protection(what: str, field: str, sw: str, host: Host, card: DrivenCard) -> None:
    lc = f"{len(field) // 2:02X}" if field else ""
    assert card.send(f"0CCB3FFF {lc} {field} 00") == sw, what
    assert lost(card, host)


PADDED = PIN + b"\x80" + bytes(7)


@pytest.mark.parametrize(
    ("what", "field"),
    [
        ("no indicator", lambda host: tlv("87", host.encipher(PADDED))),
        ("another indicator", lambda host: tlv("87", b"\x02", host.encipher(PADDED))),
        ("no blocks", lambda _: tlv("87", b"\x01")),
        ("half a block", lambda host: tlv("87", b"\x01", host.encipher(PADDED)[:8])),
        ("no padding", lambda host: tlv("87", b"\x01", host.encipher(PIN * 2))),
        ("zeros", lambda host: tlv("87", b"\x01", host.encipher(bytes(16)))),
        ("too much padding", lambda host: tlv("87", b"\x01", host.encipher(PADDED + bytes(16)))),
        ("Le of three bytes", lambda _: tlv("97", bytes(3))),
        ("Le of none", lambda _: tlv("97")),
        ("two of them", lambda _: 2 * tlv("97", b"\x00")),
        ("another order", lambda host: tlv("97", b"\0") + tlv("87", b"\1", host.encipher(PADDED))),
        ("something else", lambda _: tlv("81", PIN)),
    ],
)
def test_malformed_objects_under_a_right_checksum(
    what: str, field: Callable[[Host], bytes], host: Host, card: DrivenCard
) -> None:
    head = bytes.fromhex("200080")
    (apdu,) = host.apdus(head, host.sealed(head, field(host)))
    assert card.transmit(apdu) == b"\x69\x88", what
    assert lost(card, host)


@pytest.mark.parametrize(
    "command",
    [
        "0C2C0080 0A 8E08 0000000000000000 00",
        "0CDB3FFF 0A 8E08 0000000000000000 00",
        "0CA40400 0A 8E08 0000000000000000 00",
        "0CC00000 00",
        "0C700000 01",
        "0C872704 0A 8E08 0000000000000000 00",
        "04CB3FFF 03 5C017E 00",
        "08CB3FFF 03 5C017E 00",
        "0C550000",
    ],
)
def test_what_cannot_be_protected(command: str, host: Host, card: DrivenCard) -> None:
    """Part 2, 4.2 names four commands; all others are errors of secure messaging."""
    assert card.send(command) == "6882"
    assert lost(card, host)


@pytest.mark.parametrize("command", ["0CCB3FFF 05 5C", "1CCB3FFF 03 5C017E"])
def test_any_failed_protected_command_ends_the_session(
    command: str, host: Host, card: DrivenCard
) -> None:
    assert card.send(command) in ("6700", "6884")
    assert lost(card, host)


@pytest.mark.parametrize("how", ["reset", "power_on"])
def test_a_reset_ends_the_session(how: str, host: Host, card: DrivenCard) -> None:
    {"reset": card.card.reset, "power_on": card.card.power_on}[how]()
    assert lost(card, host)


def test_a_new_establishment_ends_the_session_even_if_it_fails(
    host: Host, card: DrivenCard
) -> None:
    """Part 2, 4.3."""
    assert card.send(f"0087{host.suite:02X}04 02 7C00 00") == "6A80"
    assert lost(card, host)


def test_a_new_establishment_makes_new_keys(host: Host) -> None:
    old = host.enc
    host.send("CB3FFF", GET_CHUID)
    host.establish()
    assert host.enc != old
    assert host.send("CB3FFF", GET_CHUID)[1] == 0x9000


def test_hanging_up_during_a_protected_command_ends_the_session(
    host: Host, card: DrivenCard
) -> None:
    head = bytes.fromhex("200080")
    (apdu,) = host.apdus(head, host.wrap(head, PIN, le=False))
    exchange = card.card.exchange(apdu)
    next(exchange)
    exchange.close()
    assert lost(card, host)


def test_a_bug_during_a_protected_command_ends_the_session(suite: int) -> None:
    card = secure_card(suite, Refusal.DENIED)
    host = Host(suite, card.transmit)
    host.establish()
    host.send("200080", PIN, le=False)
    head = bytes.fromhex("200080")
    (apdu,) = host.apdus(head, host.wrap(head, PIN, le=False))
    exchange = card.card.exchange(apdu)
    next(exchange)
    assert advance(exchange, b"no answer to a VERIFY") == b"\x6f\x00"
    assert lost(card, host)


def test_a_refusal_is_told_under_protection(suite: int) -> None:
    card = secure_card(suite, Refusal.DENIED, b"signature")
    host = Host(suite, card.transmit)
    host.establish()
    host.send("200080", PIN, le=False)
    assert host.send("87079A", RSA_TEMPLATE) == (b"", 0x6985)
    assert host.send("87079A", RSA_TEMPLATE)[1] == 0x9000


def test_channels_have_keys_of_their_own(host: Host, card: DrivenCard, suite: int) -> None:
    assert card.send("0070000001") == "019000"
    head = bytes.fromhex("CB3FFF")
    other = Host(suite, card.transmit, cla=0x01)
    (apdu,) = other.apdus(head, host.wrap(head, GET_CHUID))
    assert card.transmit(apdu) == b"\x69\x82"  # keys of channel 0 open nothing here
    other.establish()
    assert other.send("CB3FFF", GET_CHUID)[1] == 0x9000
    host.sent = bytes(16)
    assert host.send("CB3FFF", GET_CHUID)[1] == 0x9000
    assert other.send("CB3FFF", GET_CHUID)[1] == 0x9000


def test_a_channel_opened_from_another_has_its_pin_but_not_its_keys(
    card: DrivenCard, suite: int
) -> None:
    assert card.send("0070000001") == "019000"
    host = Host(suite, card.transmit, cla=0x01)
    host.establish()
    host.send("200080", PIN, le=False)
    assert card.send("0170000001") == "029000"
    assert card.send("02CB3FFF 05 5C035FC109 00").endswith("9000")
    head = bytes.fromhex("CB3FFF")
    copied = Host(suite, card.transmit, 0x02, host.enc, host.mac, host.rmac)
    (apdu,) = copied.apdus(head, copied.wrap(head, GET_CHUID))
    assert card.transmit(apdu) == b"\x69\x82"
    assert host.send("CB3FFF", GET_CHUID)[1] == 0x9000


POINT = CARD_KEYS[CS2].public_key().public_numbers()
X_Y = POINT.x.to_bytes(32) + POINT.y.to_bytes(32)


WRONG_POINTS = {
    "control byte": b"\x10" + bytes(8) + b"\x04" + X_Y,
    "not on the curve": bytes(9) + b"\x04" + X_Y[:-1] + bytes((X_Y[-1] ^ 1,)),
    "compressed": bytes(9) + bytes((2 + (POINT.y & 1),)) + X_Y[:32],
    "infinity": bytes(9) + b"\x00",
    "cut short": bytes(9) + b"\x04" + X_Y[:-1],
    "too long": bytes(9) + b"\x04" + X_Y + b"\x00",
    "no point": bytes(9),
    "nothing": b"",
}


@pytest.mark.parametrize("what", WRONG_POINTS)
def test_what_the_card_does_not_agree_with(what: str) -> None:
    """Steps C3 and C4; the key is not used."""
    template = tlv("7C", tlv("81", WRONG_POINTS[what]), tlv("82"))
    card = secure_card()
    assert card.send(f"00872704 {len(template):02X} {template.hex()} 00") == "6A80"
    assert isinstance(card.keys, AgreeingKeys)
    assert card.keys.requests == []


@pytest.mark.parametrize(
    ("what", "command", "sw"),
    [
        ("the other suite", "00872E04 02 7C00 00", "6A86"),
        ("an algorithm of other keys", "00871104 02 7C00 00", "6A86"),
        ("no template", "00872704 00", "6700"),
        ("no response asked for", "00872704 04 7C028100 00", "6A80"),
        ("two challenges", "00872704 08 7C06810081008200 00", "6A80"),
        ("not a template", "00872704 02 3000 00", "6A80"),
        ("malformed template", "00872704 02 7C10 00", "6A80"),
    ],
)
def test_what_establishes_nothing(what: str, command: str, sw: str) -> None:
    assert secure_card().send(command) == sw, what


@pytest.mark.parametrize(
    ("refusal", "sw"),
    [
        (Refusal.MALFORMED, "6A80"),
        (Refusal.DENIED, "6985"),
        (Refusal.UNKNOWN_KEY, "6A86"),
        (Refusal.UNAVAILABLE, "6400"),
    ],
)
def test_a_refused_agreement(refusal: Refusal, sw: str) -> None:
    card = secure_card().card
    opening = Host(CS2, lambda _: b"").opening(ec.generate_private_key(CURVE[CS2]))
    exchange = card.exchange(opening)
    next(exchange)
    answer = advance(exchange, refusal)
    assert isinstance(answer, bytes)
    assert answer.hex().upper() == sw


def test_a_secret_of_another_length_is_a_bug() -> None:
    card = secure_card().card
    exchange = card.exchange(Host(CS2, bytes).opening(ec.generate_private_key(CURVE[CS2])))
    next(exchange)
    assert advance(exchange, bytes(31)) == b"\x6f\x00"
    assert isinstance(card.fault, TypeError)


@pytest.mark.parametrize("missing", ["key", "certificate"])
def test_a_card_without_key_or_certificate_has_no_secure_messaging(missing: str) -> None:
    image = secure_image(CS2)
    image = replace(
        image,
        keys=RSA_KEYS if missing == "key" else image.keys,
        verifiable_certificate=b"" if missing == "certificate" else image.verifiable_certificate,
    )
    card = new_card(image=image)
    opening = Host(CS2, card.transmit).opening(ec.generate_private_key(CURVE[CS2]))
    assert card.transmit(opening) == b"\x6a\x86"
    assert card.send("0CCB3FFF 0A 8E08 0000000000000000 00") == "6882"
    assert "800127" not in card.send("00A40400 05 A000000308 00")


def test_select_announces_the_suite(suite: int, card: DrivenCard) -> None:
    """Part 2, 3.1.1: 27 or 2E, never both."""
    template = card.send("00A40400 05 A000000308 00")
    assert f"8001{suite:02X}" in template
    assert f"8001{CS2 + CS7 - suite:02X}" not in template


@given(data=st.binary(max_size=70), sw=st.integers(0, 0xFFFF), size=st.sampled_from([16, 32]))
def test_both_ends_understand_each_other(data: bytes, sw: int, size: int) -> None:
    """Three messages each way, any data."""
    keys = SessionKeys(b"m" * size, b"e" * size, b"r" * size)
    card, host = SecureMessaging(keys), Host(CS2, bytes, 0, keys.enc, keys.mac, keys.rmac)
    header = bytes.fromhex("87079A")
    for le in (True, False, True):
        command = Command(0x0C, *header, host.wrap(header, data, le=le), 256)
        plain, card = card.unwrap(command)
        assert plain == Command(0x00, *header, data, 256 if le else 0)
        response, card = card.wrap(data, sw)
        assert host.unwrap(response + b"\x90\x00") == (data, sw)


@given(data=st.binary(max_size=60))
def test_any_data_field_is_a_command_or_an_error(data: bytes) -> None:
    secure = SecureMessaging(SessionKeys(bytes(16), bytes(16), bytes(16)))
    with pytest.raises(CardError) as caught:
        secure.unwrap(Command(0x0C, 0xCB, 0x3F, 0xFF, data))
    assert caught.value.sw in (0x6987, 0x6988)


@given(apdus=st.lists(likely_apdus() | st.binary(max_size=300), max_size=12))
def test_any_bytes_are_answered(apdus: list[bytes]) -> None:
    card = new_card(RefusingKeys(), secure_image(CS2))
    for apdu in apdus:
        assert len(card.transmit(apdu)) >= 2
        assert card.card.fault is None


def test_keys_are_not_shown() -> None:
    secure = SecureMessaging(SessionKeys(b"secret mac", b"secret enc", b"secret rmac"))
    assert "secret" not in repr(secure)


def test_why_a_command_failed_is_known_although_its_response_is_protected(
    host: Host, card: DrivenCard
) -> None:
    assert host.send("CB3FFF", GET_PRINTED) == (b"", 0x6982)
    assert "PIN" in card.card.last_error
    assert host.send("CB3FFF", GET_CHUID)[1] == 0x9000
    assert card.card.last_error == ""
