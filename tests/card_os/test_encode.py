"""Contents of data objects (SP 800-73-5 part 1, 3 and appendix A)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from card_os import tlv
from card_os.piv.issuing import encode
from card_os.piv.names import ObjectTag
from support.fakes import GUID


def elements(contents: bytes) -> dict[int, bytes]:
    return dict(tlv.decode(contents))


def test_chuid() -> None:
    contents = encode.chuid(GUID, "20301231", b"signature")
    assert elements(contents) == {
        0x30: encode.NON_FEDERAL_FASC_N,
        0x34: GUID,
        0x35: b"20301231",
        0x3E: b"signature",
        0xFE: b"",
    }
    assert [tag for tag, _ in tlv.decode(contents)] == [0x30, 0x34, 0x35, 0x3E, 0xFE]


def test_the_signature_covers_all_of_the_chuid_but_itself() -> None:
    """Part 1, 3.1.2.1."""
    signed = encode.chuid(GUID, "20301231", b"signature")
    covered = encode.chuid_covered(GUID, "20301231")
    assert signed.replace(tlv.encode(0x3E, b"signature"), b"") == covered


def test_the_fasc_n_is_not_federal() -> None:
    """TIG SCEPACS, 2.1: 40 characters of four bits, least significant first, and odd parity."""
    bits = f"{int.from_bytes(encode.NON_FEDERAL_FASC_N):0200b}"
    characters = [bits[at : at + 5] for at in range(0, 200, 5)]
    *said, check = (int(character[3::-1], 2) for character in characters)
    assert all(character.count("1") % 2 for character in characters)
    start, separator, end = 0xB, 0xD, 0xF
    assert said[:6] == [start, 9, 9, 9, 9, separator]  # agency code 9999
    assert said[-1] == end
    parity = 0
    for value in said:
        parity ^= value
    assert parity == check


def test_ccc() -> None:
    fields = elements(encode.ccc(GUID))
    empty = dict.fromkeys((0xF3, 0xF6, 0xF7, 0xFA, 0xFB, 0xFC, 0xFD, 0xFE), b"")
    assert fields == {
        0xF0: bytes.fromhex("A000000116FF02") + GUID[:14],
        0xF1: b"\x21",
        0xF2: b"\x21",
        0xF4: b"\0",
        0xF5: b"\x10",
        **empty,
    }
    assert list(fields) == [
        0xF0, 0xF1, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xFA, 0xFB, 0xFC, 0xFD, 0xFE,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("on_card", "off_card", "url", "expected"),
    [
        (0, 0, "", "C10100C20100FE00"),
        (5, 0, "", "C10105C20100FE00"),
        (5, 3, "http://a/b", "C10105C20103F30A687474703A2F2F612F62FE00"),
        (20, 0, "http://a/b", "C10114C20100F30A687474703A2F2F612F62FE00"),
    ],
)
def test_key_history(on_card: int, off_card: int, url: str, expected: str) -> None:
    """Part 1, 3.3.3."""
    assert encode.key_history(on_card, off_card, url).hex().upper() == expected


@pytest.mark.parametrize(
    ("on_card", "off_card", "url"),
    [(21, 0, ""), (10, 11, "u"), (-1, 0, ""), (0, 1, ""), (0, 0, "u")],
)
def test_key_histories_that_cannot_be(on_card: int, off_card: int, url: str) -> None:
    with pytest.raises(ValueError, match="retired keys"):
        encode.key_history(on_card, off_card, url)


def test_printed_information() -> None:
    contents = encode.printed_information(
        "Zoë Łukasiewicz-Þorsteinsson", "Staff", "20300131", "4" * 30, "cloudcard", ("Ward 7", "")
    )
    assert elements(contents) == {
        0x01: b"Zoe ?ukasiewicz-?orsteinsson",
        0x02: b"Staff",
        0x04: b"2030JAN31",
        0x05: b"4" * 20,
        0x06: b"cloudcard",
        0x07: b"Ward 7",
        0xFE: b"",
    }


def test_what_is_longer_than_its_field_is_cut() -> None:
    """Part 1, table 14."""
    long = "x" * 200
    fields = elements(encode.printed_information(long, long, "20300131", long, long, (long, long)))
    assert {tag: len(value) for tag, value in fields.items()} == {
        0x01: 125, 0x02: 20, 0x04: 9, 0x05: 20, 0x06: 15, 0x07: 20, 0x08: 20, 0xFE: 0,
    }  # fmt: skip


@pytest.mark.parametrize("gzipped", [False, True])
def test_certificate(gzipped: bool) -> None:
    assert elements(encode.certificate(b"der", gzipped=gzipped)) == {
        0x70: b"der",
        0x71: bytes((gzipped,)),
        0xFE: b"",
    }


def test_security_object() -> None:
    """Part 1, 3.1.7."""
    groups = {2: ObjectTag.PRINTED_INFORMATION, 1: ObjectTag.CCC, 16: ObjectTag.CHUID}
    assert elements(encode.security_object(groups, b"signed")) == {
        0xBA: bytes.fromhex("01DB00 023001 103000"),
        0xBB: b"signed",
        0xFE: b"",
    }


@pytest.mark.parametrize(
    ("encoder", "why"),
    [
        (lambda: encode.chuid(GUID[1:], "20301231"), "GUID has 15 bytes"),
        (lambda: encode.chuid(GUID, "20301231", fasc_n=b""), "FASC-N has 0 bytes"),
        (lambda: encode.chuid(GUID, "2030-12-31"), "no date"),
        (lambda: encode.chuid(GUID, "20301331"), "no date"),
        (lambda: encode.chuid(GUID, "20301200"), "no date"),
        (lambda: encode.chuid(GUID, "２０３０１２３１"), "no date"),  # noqa: RUF001
        (lambda: encode.printed_information("n", "a", "20300031", "1", "i"), "no date"),
        (lambda: encode.chuid(GUID, "2030010"), "no date"),
        (lambda: encode.chuid(GUID, "203001011"), "no date"),
        (lambda: encode.chuid(GUID, "20301301"), "no date"),
        (lambda: encode.chuid(GUID, "20300132"), "no date"),
        (lambda: encode.chuid(GUID, "20300100"), "no date"),
        (lambda: encode.ccc(b""), "GUID has 0 bytes"),
        (lambda: encode.security_object({0: ObjectTag.CCC}, b""), "data group 0"),
        (lambda: encode.security_object({17: ObjectTag.CCC}, b""), "data group 17"),
        (lambda: encode.security_object({1: 0x53}, b""), "data object 53"),
    ],
)
def test_what_does_not_fit_is_refused(encoder: Callable[[], bytes], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        encoder()


def test_every_day_of_a_year_is_a_date() -> None:
    for day in ("20300101", "20301231"):
        assert elements(encode.chuid(GUID, day))[0x35] == day.encode()
