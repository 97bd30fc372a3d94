"""APDUs, key requests and data objects in words; whatever is in them, the words stay short."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from card_os import tlv
from card_os.keys import KeyRequest
from card_os.trace.lines import HEADER, Line, read_all
from cloudcard_tools.trace.explain import (
    certificates,
    data_objects,
    entries,
    key_words,
    names,
    words,
)
from cloudcard_tools.trace.explain.entries import Entry, Kind
from support.trace_lines import key_requests, lines

HOSTILE = "\x1b[2J\u202e</title><script>"


def told(text: str) -> list[Entry]:
    return list(entries.read(read_all([HEADER, *text.split("\n")]), slow=100_000))


def details(command: str, response: str) -> list[str]:
    return list(told(f"> {command}\n< {response}")[1].details)


def certificate(subject: str, issuer: str = "An authority") -> bytes:
    key = generate_private_key(SECP256R1())
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2051, 2, 3, tzinfo=UTC))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("00a4040c05a000000308", "SELECT P1-P2 040C (PIV, no answer wanted)"),
        ("00a4040207a0000005272001", "SELECT P1-P2 0402 (Yubico OTP, the next one)"),
        ("01a40400021234", "SELECT on channel 1 P1-P2 0400 (another application)"),
        ("00700001", "MANAGE CHANNEL P1-P2 0001 (open 1)"),
        ("00708000", "MANAGE CHANNEL P1-P2 8000 (close this one)"),
        ("0020ff80", "VERIFY P1-P2 FF80 (80 PIN, log out)"),
        ("00200080", "VERIFY P1-P2 0080 (80 PIN, its status)"),
        ("00cb3fff055c035fc10d00", "GET DATA P1-P2 3FFF (retired certificate 1)"),
        ("00cb3fff055c035fffff00", "GET DATA P1-P2 3FFF (notes of Yubico's tools 5FFFFF)"),
        ("00cb3fff055c0301020300", "GET DATA P1-P2 3FFF (object 10203)"),
        ("00f6ff82", "MOVE KEY P1-P2 FF82 (82 retired key 1, erase)"),
        ("00f69582", "MOVE KEY P1-P2 9582 (82 retired key 1, to 95 retired key 20)"),
        ("00fa0503", "SET TRIES P1-P2 0503 (PIN 5, PUK 3)"),
        ("00875504", "GENERAL AUTHENTICATE P1-P2 5504 (04 secure messaging, algorithm 55)"),
        ("0c201180", "VERIFY P1-P2 1180 (under secure messaging)"),
        ("00990000", "instruction 99 P1-P2 0000"),
        ("00a4040009a0", "SELECT, lengths wrong: 00A4040009A0"),
        ("00", "no command, lengths wrong: 00"),
    ],
)
def test_commands(command: str, said: str) -> None:
    (entry, *_) = told(f"> {command}")
    assert entry.text == said


@pytest.mark.parametrize(
    ("sw", "said"),
    [
        (0x9000, "ok"),
        (0x63C0, "0 tries left"),
        (0x6100, "more to fetch: at least 256"),
        (0x6C00, "wrong Le: 256 bytes are there"),
        (0x6A87, "Lc does not go with P1-P2"),
        (0x1234, "not one of this card"),
    ],
)
def test_status_words(sw: int, said: str) -> None:
    assert names.status(sw) == said


def test_data_objects_are_named_by_what_was_asked_for() -> None:
    assert details("00cb3fff055c035fc10c00", "530bc10101c20100f30161fe009000")[1:] == [
        "  C1 keys with a certificate on the card, 1 byte 01 (1)",
        "  C2 keys with a certificate elsewhere, 1 byte 00 (0)",
        "  F3 address of the certificates, 1 byte 61 (a)",
        "  FE error detection, 0 bytes",
    ]
    assert details("00f7009a00", "0101110202030103010105010106020503" + "9000") == [
        "01 algorithm, 1 byte 11 (ECC-P256)",
        "02 policies, 2 bytes 0301 (PIN always, touch never)",
        "03 origin, 1 byte 01 (made here)",
        "05 factory's, 1 byte 01 (as from the factory)",
        "06 tries, 2 bytes 0503 (3 of 5 left)",
    ]
    assert details("00cb3fff035c017e00", "7e125f2f026010" + "4f0ba0000003080000100001009000") == [
        "7E discovery object, 18 bytes",
        "  5F2F PIN usage policy, 2 bytes 6010 (PIN, global PIN, PIN preferred)",
        "  4F AID, 11 bytes A000000308000010000100 (PIV)",
    ]
    assert details("00fd000000", "0507009000") == ["050700 (5.7.0)"]
    assert details("00200080", "63c2") == []


def test_an_answer_in_pieces_is_decoded_when_it_is_whole() -> None:
    all_told = told("> 00cb3fff055c035fc10c04\n< 5308c1016106\n> 00c0000006\n< 01c20100fe009000")
    assert list(all_told[1].details) == ["5308C101 (a part)"]
    assert list(all_told[3].details) == [
        "(10 bytes in all)",
        "53 contents, 8 bytes",
        "  C1 keys with a certificate on the card, 1 byte 01 (1)",
        "  C2 keys with a certificate elsewhere, 1 byte 00 (0)",
        "  FE error detection, 0 bytes",
    ]
    other = told("> 00cb3fff055c035fc10c04\n< 5308c1016106\n> 00fd000000\n< 0507009000")
    assert list(other[3].details) == ["050700 (5.7.0)"]


def test_a_command_in_pieces_is_decoded_when_it_is_whole() -> None:
    all_told = told("> 10db3fff055c035fc102\n< 9000\n> 00db3fff0553033401aa\n< 9000")
    assert all_told[0].text == "PUT DATA (a part) P1-P2 3FFF (CHUID)"
    assert all_told[2].text == "PUT DATA P1-P2 3FFF (CHUID)"
    assert list(all_told[2].details) == [
        "(10 bytes in all)",
        "5C tag list, 3 bytes 5FC102 (CHUID)",
        "53 contents, 3 bytes",
        "  34 GUID, 1 byte AA",
    ]
    broken = told("> 10db3fff055c035fc102\n< 9000\n@ reset\n> 00db3fff0553033401aa\n< 9000")
    assert "(10 bytes in all)" not in broken[3].details


def test_hidden_data_is_called_so() -> None:
    (entry, *_) = told("> 0020008008303030303030ffff")
    assert list(entry.details) == ["303030303030FFFF (a passcode, hidden)"]


def test_times_and_totals() -> None:
    text = "= one\n> 0020008000\n~ 150000\n? status 80\n~ 90\n! tries 3 3 no\n< 63c3\n"
    text += "= two\n~ 5000000\n> 00fd000000\n< 0507009000"
    all_told = told(text)
    slow = [each for each in all_told if each.slow]
    assert [(each.text, each.who.value) for each in slow] == [
        ("how many tries the PIN has left", "card")
    ]
    totals = [each.text for each in all_told if each.kind is Kind.TOTAL]
    assert totals == [
        "1 command in 150 ms: card 150 ms, key service 90 µs; 1 slow",
        "1 command in 5 s: reader 5 s",
        "in all: 2 commands in 5.15 s: reader 5 s, card 150 ms, key service 90 µs; 1 slow",
    ]


def test_whose_a_certificate_is() -> None:
    der = certificate("Ada")
    assert certificates.owner(der) == "CN=Ada; issued by CN=An authority; until 2051-02-03"
    assert certificates.owner(gzip.compress(der)) == certificates.owner(der)
    assert "signed by itself" in certificates.owner(certificate("Ada", "Ada"))
    value = tlv.encode(0x53, tlv.encode(0x70, der), b"\x71\x01\x00\xfe\x00")
    said = details("00cb3fff055c035fc10500", value.hex() + "9000")
    assert said[1].startswith("  70 certificate, ")
    assert said[1].endswith("(CN=Ada; issued by CN=An authority; until 2051-02-03)")
    assert len(said) == 4


def test_names_of_anybody_bring_no_control_characters() -> None:
    said = certificates.owner(certificate(HOSTILE))
    assert said.isprintable()
    assert said.startswith("CN=.[2J.</title><script>")
    assert len(certificates.owner(certificate("x" * 60, "y" * 60))) < 250


def test_what_unpacks_to_too_much_is_not_unpacked() -> None:
    assert certificates.owner(gzip.compress(bytes(10_000_000))) == ""


@given(st.binary(max_size=300))
def test_bytes_of_any_kind_are_told_in_printable_words(data: bytes) -> None:
    assert certificates.owner(data).isprintable()
    command = words.parsed(data)
    objects, said = words.Interpreter().received(data, data), ""
    if command is not None:
        explanation = words.piv(command)
        said = words.decoded(data, explanation.received)[1]
        objects += words.decoded(command.data, explanation.sent)[0]
    assert said.isprintable()
    assert all(data_objects.row(each).isprintable() for _, each in data_objects.rows(objects))


def test_data_objects_without_end_are_cut() -> None:
    assert len(data_objects.decode(b"\x80\x00" * 30_000)) == data_objects.MOST_OBJECTS
    deep = b""
    for _ in range(200):
        deep = tlv.encode(0x30, deep)
    (outer,) = data_objects.decode(deep)
    assert len(list(data_objects.rows([outer]))) <= data_objects.DEEPEST + 1


@given(key_requests())
def test_every_request_has_words(asked: KeyRequest) -> None:
    said = key_words.asked(asked)
    assert said.isprintable()
    assert 0 < len(said) < 300


@given(st.lists(lines(), max_size=12))
def test_every_trace_can_be_told(listed: Iterable[Line]) -> None:
    every = list(entries.read(enumerate(listed, 2), slow=0))
    assert every[-1].kind is Kind.TOTAL
    for each in every:
        assert all(line.isprintable() for line in each.details)
        assert each.at >= 0
