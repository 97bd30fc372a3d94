"""No secret of a command is left, however the command is cut, and whatever came before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from card_os import tlv
from card_os.apdu import Command
from card_os.piv.names import ObjectTag
from card_os.piv.secrets import secrets_of, without_secrets
from card_os.trace.redaction import Redaction
from support.fakes import sample_image

OK, REFUSED = b"\x90\x00", b"\x69\x82"
SECRET = bytes(range(0xC1, 0xE1))
DIGITS = b"83476192"

PUT, IMPORT, SET_KEY = b"\xdb\x3f\xff", b"\xfe\x11\x9a", b"\xff\xff\xff"
CHANGE = b"\x24\x00\x80"
NOTE = tlv.encode(0x53, tlv.encode(0x88, tlv.encode(0x89, SECRET)))
SECRETIVE: Sequence[tuple[bytes, bytes]] = (
    (PUT, bytes.fromhex("5C035FC109") + NOTE),
    (PUT, bytes.fromhex("5C035FC109") + tlv.encode(0x53, SECRET + bytes(200))),
    (PUT, bytes.fromhex("5C035FC123") + tlv.encode(0x53, tlv.encode(0x99, SECRET))),
    (IMPORT, tlv.encode(0x06, SECRET) + b"\xaa\x01\x02"),
    (IMPORT, tlv.encode(0x01, SECRET * 4) + tlv.encode(0x02, SECRET * 4)),
    (IMPORT, SECRET),  # no data objects: the key as it is
    (IMPORT, tlv.encode(0xAA, SECRET)),  # where a policy is expected
    (SET_KEY, b"\x0c\x9b\x20" + SECRET),
    (CHANGE, DIGITS + DIGITS[::-1]),
)
BEFORE = (
    b"\x10\xdb\x3f\xff\x0a" + bytes.fromhex("5C035FC10253047001AA"),
    b"\x10\xdb\x3f\xff\x02\x5c\x03",
    b"\x10\xfe\x11\x9a\x02\xaa\x7f",
    b"\x10\xfe\x11\x9a\x0c\x06\x20" + SECRET[:10],
    b"\x10\xff\xff\xff\x02\x0c\x9b",
    b"\x10\x24\x00\x80\x01\x31",
    b"\x10\xdb\x3f\xff",
    b"\x00\xa4\x04\x00\x00",
    b"\x10",
    b"",
)


def chained(header: bytes, data: bytes, cuts: Sequence[int]) -> list[bytes]:
    ends = [*sorted({cut % len(data) for cut in cuts}), len(data)]
    parts = [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    classes = [0x10] * (len(parts) - 1) + [0x00]
    return [
        bytes((cla, *header)) + length(part) + part
        for cla, part in zip(classes, parts, strict=True)
    ]


def length(part: bytes) -> bytes:
    """As a command has it: short, extended, or not at all."""
    if len(part) > 255:
        return b"\0" + len(part).to_bytes(2)
    return bytes((len(part),)) if part else b""


def leaks(written: Sequence[bytes]) -> bool:
    """Whether three bytes that follow each other in a secret do so in what is written."""
    joined = b"".join(written)
    windows = [
        secret[at : at + 3]
        for secret in (SECRET, DIGITS, DIGITS[::-1])
        for at in range(len(secret))
    ]
    return any(len(window) == 3 and window in joined for window in windows)


@given(
    which=st.sampled_from(SECRETIVE),
    cuts=st.lists(st.integers(0, 300), max_size=6),
    before=st.lists(st.tuples(st.sampled_from(BEFORE), st.booleans()), max_size=3),
)
def test_a_secret_is_hidden_in_any_parts_after_anything(
    which: tuple[bytes, bytes], cuts: list[int], before: list[tuple[bytes, bool]]
) -> None:
    redaction = Redaction(secrets_of)
    written = []
    for apdu, accepted in before:
        written.append(redaction.command(apdu))
        redaction.answered(OK if accepted else REFUSED)
    for apdu in chained(*which, cuts):
        hidden = redaction.command(apdu)
        assert len(hidden) == len(apdu)
        assert hidden[:4] == apdu[:4]
        redaction.answered(OK)
        written.append(hidden[5:])
    assert not leaks(written)


@given(which=st.sampled_from(SECRETIVE), cuts=st.lists(st.integers(1, 300), min_size=1, max_size=4))
def test_a_command_that_is_refused_and_sent_anew_is_hidden_as_before(
    which: tuple[bytes, bytes], cuts: list[int]
) -> None:
    first, *_ = parts = chained(*which, cuts)
    fresh, used, after_reset = Redaction(secrets_of), Redaction(secrets_of), Redaction(secrets_of)
    used.command(first)
    used.answered(REFUSED)
    after_reset.command(first)
    after_reset.reset()
    expected = [fresh.command(part) for part in parts]
    assert [used.command(part) for part in parts] == expected
    assert [after_reset.command(part) for part in parts] == expected


def test_channels_have_their_own_parts() -> None:
    redaction = Redaction(secrets_of)
    first, last = chained(*SECRETIVE[0], [4])
    redaction.command(first)
    redaction.command(b"\x01\xa4\x04\x00\x00")
    assert SECRET[:4] not in redaction.command(last)


@pytest.mark.parametrize(("cuts", "kept"), [([], 2), ([1], 2), ([2, 3], 2)])
def test_policies_and_lengths_stay(cuts: list[int], kept: int) -> None:
    data = tlv.encode(0x06, SECRET) + b"\xaa\x01\x02\xab\x01\x03"
    redaction = Redaction(secrets_of)
    hidden = b"".join(redaction.command(part)[5:] for part in chained(IMPORT, data, cuts))
    assert hidden == data[:kept] + b"0" * len(SECRET) + data[-6:]


def test_a_secret_begun_anew_among_other_parts_is_hidden() -> None:
    redaction = Redaction(secrets_of)
    redaction.command(BEFORE[0])
    parts = [redaction.command(part) for part in chained(*SECRETIVE[0], [1, 3])]
    assert not leaks(parts)


def test_other_objects_stay() -> None:
    data = bytes.fromhex("5C035FC102") + tlv.encode(0x53, SECRET)
    (apdu,) = chained(PUT, data, [])
    assert Redaction(secrets_of).command(apdu) == apdu


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_any_bytes_are_taken(apdus: list[bytes]) -> None:
    redaction = Redaction(secrets_of)
    for apdu in apdus:
        assert len(redaction.command(apdu)) == len(apdu)


def test_an_image_shows_what_is_printed_and_no_secret() -> None:
    image = sample_image()
    assert without_secrets(image) == image
    printed = {
        ObjectTag.PRINTED_INFORMATION: tlv.encode(0x88, tlv.encode(0x89, SECRET)),
        ObjectTag.PAIRING_CODE: tlv.encode(0x01, DIGITS),
    }
    shown = without_secrets(replace(image, objects={**image.objects, **printed}))
    assert not leaks([shown.objects[tag] for tag in printed])
    assert {tag: len(shown.objects[tag]) for tag in printed} == {
        tag: len(value) for tag, value in printed.items()
    }


def test_a_command_without_data_is_taken_as_it_is() -> None:
    for raw in ("00200080", "0020008000", "00CB3FFF00"):
        apdu = bytes.fromhex(raw)
        assert Redaction(secrets_of).command(apdu) == apdu
        assert bytes(Command.parse(apdu)) == apdu
