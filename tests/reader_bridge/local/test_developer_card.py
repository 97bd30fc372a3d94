"""A local card for developers in commands and responses: it answers as a YubiKey of version 5.7
does.
"""

from __future__ import annotations

import pytest
from cryptography import x509

from card_os import piv, tlv
from card_os.administration import AttestKey, GenerateKey, ImportKey, SetManagementKey
from card_os.apdu import Command
from card_os.piv.names import ATTESTATION_CERTIFICATE, Algorithm, Cipher
from card_os.piv.sizes import FACTORY_MANAGEMENT_KEY
from card_os.testing import CountedRandom, DrivenCard
from card_os.uses import PinPolicy
from reader_bridge.local.keys import LocalKeys
from support.fakes import administer
from support.local_world import administrator_proof, keys

PIN, PUK = "313233343536FFFF", "3132333435363738"
VERIFY = f"00200080 08 {PIN}"
BAD_PASSCODES = ["31FFFFFFFFFFFFFF", "3132330034353637", "FFFFFFFFFFFFFFFF", "3132333435FFFFFF"]


@pytest.fixture
def service() -> LocalKeys:
    return keys("developer")


@pytest.fixture
def card(service: LocalKeys) -> DrivenCard:
    made = DrivenCard(piv.new_card(service.image, CountedRandom()), service)
    assert administer(made, FACTORY_MANAGEMENT_KEY, Cipher.AES_192) == b"\x90\x00"
    return made


def metadata(card: DrivenCard, key_ref: int) -> dict[int, bytes]:
    answer = bytes.fromhex(card.send(f"00F700{key_ref:02X} 00"))
    assert answer.endswith(b"\x90\x00")
    return dict(tlv.decode(answer[:-2]))


def import_p256(card: DrivenCard, key_ref: int) -> str:
    scalar = tlv.encode(0x06, bytes(range(1, 33)))
    return card.transmit(bytes(Command(0x00, 0xFE, 0x11, key_ref, scalar))).hex().upper()


@pytest.mark.parametrize("new", BAD_PASSCODES)
def test_no_odd_passcode_is_set(card: DrivenCard, new: str) -> None:
    """The old passcode was right: no try is spent, and it stays."""
    for command in (
        f"00240080 10 {PIN} {new}",
        f"00240081 10 {PUK} {new}",
        f"002C0080 10 {PUK} {new}",
    ):
        assert card.send(command) == "6A80"
    assert card.send(VERIFY) == "9000"
    assert metadata(card, 0x81)[0x06] == b"\3\3"


def test_passcodes_may_have_letters(card: DrivenCard) -> None:
    letters = b"a1-Z~ \xff\xff".hex()
    assert card.send(f"00240080 10 {PIN} {letters}") == "9000"
    assert card.send(f"00200080 08 {letters}") == "9000"
    assert card.send(f"00240081 10 {PUK} {letters}") == "9000"
    assert card.send(f"002C0080 10 {letters} {PIN}") == "9000"
    assert card.send(VERIFY) == "9000"


def test_new_numbers_of_tries_leave_the_factorys_passcodes(card: DrivenCard) -> None:
    card.send(VERIFY)
    assert card.send("00FA0004") == "6A86"
    assert card.send("00FA0504") == "9000"
    assert card.send(VERIFY) == "9000"
    assert metadata(card, 0x80)[0x05] == b"\1"


@pytest.mark.parametrize("data", ["0A9B00", "0A9B17" + "11" * 23, "0C9B18" + "11" * 24, "00", ""])
def test_no_odd_management_key_is_set(card: DrivenCard, data: str) -> None:
    command = Command(0x00, 0xFF, 0xFF, 0xFF, bytes.fromhex(data))
    assert card.transmit(bytes(command)).hex().upper() == "6A80"
    assert metadata(card, 0x9B)[0x05] == b"\1"


def test_the_factorys_management_key_is_told(card: DrivenCard) -> None:
    factory = f"0A9B18{FACTORY_MANAGEMENT_KEY.hex()}"
    assert metadata(card, 0x9B)[0x05] == b"\1"
    assert card.send(f"00FFFFFF 1B 0A9B18{'31' * 23}32") == "9000"
    assert metadata(card, 0x9B)[0x05] == b"\0"
    assert card.send(f"00FFFFFF 1B {factory}") == "9000"
    assert metadata(card, 0x9B)[0x05] == b"\1"


def test_a_moved_key_keeps_its_policies(card: DrivenCard) -> None:
    assert import_p256(card, 0x9A) == "9000"
    assert metadata(card, 0x9A)[0x02] == b"\2\1"
    assert card.send("00F69C9A") == "9000"
    assert metadata(card, 0x9C)[0x02] == b"\2\1"
    card.send(VERIFY)
    sign = "0087119C 0A 7C08 8200 8104DEADBEEF 00"
    assert [card.send(sign)[-4:] for _ in range(2)] == ["9000", "9000"]


@pytest.mark.parametrize("key_ref", [0x9A, 0x9C, 0x9D, 0x9E, 0x82])
def test_every_key_agrees(card: DrivenCard, key_ref: int) -> None:
    assert import_p256(card, key_ref) == "9000"
    point = metadata(card, key_ref)[0x04][2:].hex()
    card.send(VERIFY)
    agree = card.send(f"008711{key_ref:02X} 47 7C45 8200 8541 {point} 00")
    assert agree.startswith("7C228220")
    assert agree.endswith("9000")


def test_rsa_1024_is_made_and_used(card: DrivenCard) -> None:
    assert card.send("0047009E 05 AC03800106 00").startswith("7F49818881818")
    sign = tlv.encode(0x7C, tlv.encode(0x82), tlv.encode(0x81, b"\0\1" + b"\xff" * 126))
    answer = card.transmit(bytes(Command(0x00, 0x87, 0x06, 0x9E, sign, 256)))
    assert answer.startswith(bytes.fromhex("7C8183828180"))


def test_which_keys_are_not_attested(card: DrivenCard) -> None:
    assert card.send("00F99A00") == "6A82"
    import_p256(card, 0x9A)
    assert card.send("00F99A00") == "6A80"


def test_what_an_attestation_says(card: DrivenCard, service: LocalKeys) -> None:
    """In the extensions that Yubico documents (developers.yubico.com, "PIV attestation")."""
    card.send("0047009C 08 AC06800111 AA0101 00")
    made = service.perform(AttestKey(0x9C))
    assert isinstance(made, bytes)
    attestation = x509.load_der_x509_certificate(made)
    authority = dict(tlv.decode(service.image.objects[ATTESTATION_CERTIFICATE]))[0x70]
    attestation.verify_directly_issued_by(x509.load_der_x509_certificate(authority))
    said = {
        each.oid.dotted_string: each.value.value
        for each in attestation.extensions
        if isinstance(each.value, x509.UnrecognizedExtension)
    }
    serial = said.pop("1.3.6.1.4.1.41482.3.7")
    assert serial[0] == 0x02
    assert int.from_bytes(serial[2:]) == int.from_bytes(bytes.fromhex(card.send("00F80000"))[:4])
    assert said == {
        "1.3.6.1.4.1.41482.3.3": bytes.fromhex(card.send("00FD0000"))[:3],
        "1.3.6.1.4.1.41482.3.8": bytes((PinPolicy.NEVER, 1)),
        "1.3.6.1.4.1.41482.3.9": b"\0",
    }


@pytest.mark.parametrize("tag", ["5F0000", "5F0001", "5FC104", "5FFFFF"])
def test_notes_under_any_tag(card: DrivenCard, tag: str) -> None:
    assert card.send(f"00DB3FFF 0A 5C03{tag} 5303010203") == "9000"
    assert card.send(f"00CB3FFF 05 5C03{tag} 00") == "53030102039000"
    assert card.send("00DB3FFF 0A 5C03600000 5303010203") == "6A81"


def test_another_algorithm_than_the_keys(card: DrivenCard) -> None:
    import_p256(card, 0x9E)
    assert card.send("0087149E 0A 7C08 8200 8104DEADBEEF 00") == "6A80"
    assert card.send("0087039B 04 7C028100 00") == "6A80"


def test_changes_are_as_the_image_says(service: LocalKeys) -> None:
    """What a change says and what a new reader is told agree, for each way to a key."""
    proof, image = administrator_proof(service), service.image
    for request in (
        GenerateKey(proof, 0x9C, Algorithm.X25519),
        ImportKey(proof, 0x9A, Algorithm.ECC_P256, bytes(range(1, 33))),
        SetManagementKey(proof, Cipher.AES_256, bytes(range(32))),
        SetManagementKey(proof, Cipher.AES_192, FACTORY_MANAGEMENT_KEY),
    ):
        changed = service.perform(request)
        image = image.after(changed)  # type: ignore[arg-type]
        assert image == service.image
