"""OpenSC's programs: what they see of a card, and its passcodes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from card_os import atr
from card_os.piv.names import AID, Algorithm
from cloudcard_tools.demo.programs import must, run
from cloudcard_tools.shared import pcsc
from support.authority import Authority
from support.system_cards import (
    ALGORITHMS,
    OPENSC_IDS,
    PIN,
    PUK,
    RSA,
    LocalCard,
    inserted,
    on_cards,
)

NEW_PIN, WRONG_PIN, WRONG_PUK = "654321", "000000", "00000000"


def tool(card: LocalCard, name: str, *arguments: str) -> str:
    """Run one of OpenSC's programs at the card; raises StepFailed."""
    return must([name, "--reader", str(card.slot), *arguments])


def refused(card: LocalCard, *arguments: str) -> str:
    """Run pkcs15-tool where it has to fail; what it says."""
    ended = run(["pkcs15-tool", "--reader", str(card.slot), *arguments])
    assert ended.code != 0
    return ended.errors


def tries_left(client: pcsc.Client, card: LocalCard) -> int:
    """What the card answers to a VERIFY without a PIN."""
    with client.connect(card.slot) as connected:
        connected.reset()
        answer = connected.transmit(bytes.fromhex("00200080"))
    assert answer[0] == 0x63
    return answer[1] & 0x0F


@pytest.fixture
def own_card(virtual_readers: pcsc.Client, authority: Authority) -> Iterator[LocalCard]:
    """A card that the test may change, in the slot that the others leave free."""
    with inserted(virtual_readers, Algorithm.ECC_P256, authority, slot=1) as card:
        yield card


@on_cards(*ALGORITHMS)
def test_opensc_tool_knows_a_piv_card(card: LocalCard) -> None:
    assert re.search(
        rf"{card.slot}\s+Yes\s+Virtual PCD 00 0{card.slot}", must(["opensc-tool", "-l"])
    )
    said = bytes.fromhex(tool(card, "opensc-tool", "--atr").replace(":", ""))
    assert said == atr.for_application(AID[:-2])
    assert "Personal Identity Verification Card" in tool(card, "opensc-tool", "--name")


@on_cards(*ALGORITHMS)
def test_its_serial_number_is_the_guid(card: LocalCard) -> None:
    for name in ("opensc-tool", "piv-tool"):
        octets = re.search(r"^(?:[0-9A-F]{2} ){16}", tool(card, name, "--serial"), re.M)
        assert octets
        assert bytes.fromhex(octets[0]) == card.image.guid


@on_cards(*ALGORITHMS)
def test_a_card_without_a_master_file_says_so(card: LocalCard) -> None:
    ended = run(["opensc-tool", "--reader", str(card.slot), "--list-files"])
    assert "File not found" in ended.output + ended.errors


@on_cards(*ALGORITHMS)
def test_pkcs15_tool_finds_keys_and_certificates(card: LocalCard) -> None:
    listed = tool(card, "pkcs15-tool", "--dump")
    kind = "RSA" if card.algorithm in RSA else "EC"
    for key_ref in card.certificates:
        assert re.search(
            rf"Private {kind} Key.*?Key ref\s+: {key_ref} .*?ID\s+: {OPENSC_IDS[key_ref]}\n",
            listed,
            re.DOTALL,
        )
    assert listed.count(f"Private {kind} Key") == len(card.certificates)
    assert listed.count("X.509 Certificate [") == len(card.certificates)
    assert f"Serial number  : {card.image.guid.hex()}" in listed


@on_cards(*ALGORITHMS)
def test_pkcs15_tool_reads_certificates_and_public_keys(card: LocalCard) -> None:
    for key_ref, certificate in card.certificates.items():
        read = tool(card, "pkcs15-tool", "--read-certificate", OPENSC_IDS[key_ref])
        assert x509.load_pem_x509_certificate(_pem(read)) == certificate
        public = certificate.public_key()
        read = tool(card, "pkcs15-tool", "--read-public-key", OPENSC_IDS[key_ref])
        assert _pem(read) == public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        read = tool(card, "pkcs15-tool", "--read-ssh-key", OPENSC_IDS[key_ref])
        assert public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode() in read


@on_cards(*ALGORITHMS)
def test_pkcs11_tool_reads_certificates_without_a_pin(card: LocalCard, tmp_path: Path) -> None:
    listed = card.pkcs11("--list-objects", "--type", "cert")
    assert listed.count("Certificate Object") == len(card.certificates)
    for key_ref, certificate in card.certificates.items():
        path = tmp_path / f"{key_ref:02X}.der"
        card.pkcs11(
            *("--read-object", "--type", "cert", "--id", OPENSC_IDS[key_ref]),
            *("--output-file", path),
        )
        assert path.read_bytes() == certificate.public_bytes(Encoding.DER)


@on_cards(*ALGORITHMS)
def test_all_private_keys_are_seen_after_the_pin(card: LocalCard) -> None:
    listing = ("--list-objects", "--type", "privkey")
    before = card.pkcs11(*listing)
    assert before.count("Private Key Object") == before.count("CARD AUTH key") == 1
    listed = card.pkcs11("--login", "--pin", PIN, *listing)
    assert listed.count("Private Key Object") == len(card.certificates)
    signature = listed.split("SIGN key")[1].split("Private Key Object")[0]
    assert "always authenticate" in signature


@on_cards(*ALGORITHMS)
def test_the_token_is_named_and_numbered_by_the_card(card: LocalCard) -> None:
    listed = must(["pkcs11-tool", "--module", "opensc-pkcs11.so", "--list-slots"])
    assert f"serial num         : {card.image.guid.hex()[-16:]}" in listed
    assert "token flags        : login required" in listed


@on_cards(*ALGORITHMS)
def test_pkcs11_tool_finds_nothing_wrong(card: LocalCard) -> None:
    ended = run(["pkcs11-tool", "--module", "opensc-pkcs11.so", "--login", "--pin", PIN, "--test"])
    assert [line for line in ended.errors.splitlines() if "ERR" in line] == []
    assert "No errors" in ended.output
    tested = ended.output.count(": OK") + ended.output.count("\nOK\n")
    assert tested >= (27 if card.algorithm in RSA else 4)
    assert set(card.used) >= ({0x9A, 0x9C, 0x9D} if card.algorithm in RSA else set())


def test_a_wrong_pin_costs_a_try_and_the_right_one_gives_them_back(
    own_card: LocalCard, virtual_readers: pcsc.Client
) -> None:
    verify = ("--verify-pin", "--pin")
    for left in (2, 1):
        assert "PIN code or key incorrect" in refused(own_card, *verify, WRONG_PIN)
        assert tries_left(virtual_readers, own_card) == left
    tool(own_card, "pkcs15-tool", *verify, PIN)
    assert tries_left(virtual_readers, own_card) == 3


def test_the_holder_changes_the_pin(own_card: LocalCard) -> None:
    tool(own_card, "pkcs15-tool", "--change-pin", "--pin", PIN, "--new-pin", NEW_PIN)
    refused(own_card, "--verify-pin", "--pin", PIN)
    tool(own_card, "pkcs15-tool", "--verify-pin", "--pin", NEW_PIN)


def test_a_wrong_pin_changes_nothing(own_card: LocalCard) -> None:
    refused(own_card, "--change-pin", "--pin", WRONG_PIN, "--new-pin", NEW_PIN)
    tool(own_card, "pkcs15-tool", "--verify-pin", "--pin", PIN)


def test_the_puk_unblocks_the_pin(own_card: LocalCard) -> None:
    for _ in range(3):
        refused(own_card, "--verify-pin", "--pin", WRONG_PIN)
    assert "blocked" in refused(own_card, "--verify-pin", "--pin", PIN).lower()
    refused(own_card, "--unblock-pin", "--puk", WRONG_PUK, "--new-pin", NEW_PIN)
    tool(own_card, "pkcs15-tool", "--unblock-pin", "--puk", PUK, "--new-pin", NEW_PIN)
    tool(own_card, "pkcs15-tool", "--verify-pin", "--pin", NEW_PIN)


def test_pkcs11_tool_changes_the_pin_too(own_card: LocalCard) -> None:
    own_card.pkcs11("--login", "--pin", PIN, "--change-pin", "--new-pin", NEW_PIN)
    own_card.pkcs11("--login", "--pin", NEW_PIN, "--list-objects")
    refused(own_card, "--verify-pin", "--pin", PIN)


def _pem(output: str) -> bytes:
    """The PEM block in what a program printed."""
    return ("-----BEGIN" + output.split("-----BEGIN", 1)[1]).encode()
