"""Mail that OpenSSL encrypts to the card and signs with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from card_os.piv.names import KeyRef
from support.authority import Authority
from support.openssl_engine import openssl, uri
from support.system_cards import ALGORITHMS, PIN, LocalCard, on_cards

MAIL = b"To: ada@example.org\r\nSubject: lunch\r\n\r\nAt one?\r\n"
ENGINE = ("-engine", "pkcs11", "-keyform", "engine")


@pytest.fixture
def mail(tmp_path: Path) -> Path:
    path = tmp_path / "mail"
    path.write_bytes(MAIL)
    return path


@on_cards(*ALGORITHMS)
def test_mail_to_the_card_is_decrypted(card: LocalCard, mail: Path, tmp_path: Path) -> None:
    recipient = card.write_certificate(KeyRef.KEY_MANAGEMENT, tmp_path)
    encrypted, decrypted = tmp_path / "encrypted", tmp_path / "decrypted"
    encrypting = ("-in", mail, "-out", encrypted, "-recip", recipient)
    assert openssl(tmp_path, "cms", "-encrypt", "-binary", "-aes256", *encrypting).code == 0
    assert MAIL not in encrypted.read_bytes()
    before = len(card.used)
    ended = openssl(
        tmp_path,
        *("cms", "-decrypt", "-binary", "-in", encrypted, "-out", decrypted),
        *("-recip", recipient, *ENGINE, "-inkey", uri(KeyRef.KEY_MANAGEMENT)),
    )
    assert ended.code == 0, ended.errors
    assert decrypted.read_bytes() == MAIL
    assert card.used[before:] == [KeyRef.KEY_MANAGEMENT]


@pytest.mark.parametrize("key_ref", [KeyRef.AUTHENTICATION, KeyRef.SIGNATURE], ids=["9A", "9C"])
@on_cards(*ALGORITHMS)
def test_mail_is_signed(
    card: LocalCard, authority: Authority, mail: Path, tmp_path: Path, key_ref: KeyRef
) -> None:
    """Before it uses 9C, OpenSSL asks for the PIN once more."""
    signed, read = tmp_path / "signed", tmp_path / "read"
    before = len(card.used)
    ended = openssl(
        tmp_path,
        *("cms", "-sign", "-binary", "-md", "sha256", "-in", mail, "-out", signed),
        *("-signer", card.write_certificate(key_ref, tmp_path), *ENGINE, "-inkey", uri(key_ref)),
        stdin=PIN + "\n" if key_ref is KeyRef.SIGNATURE else "",
    )
    assert ended.code == 0, ended.errors
    assert card.used[before:] == [key_ref]
    ended = openssl(
        tmp_path,
        *("cms", "-verify", "-binary", "-in", signed, "-out", read),
        *("-CAfile", authority.write(tmp_path), "-purpose", "any"),
    )
    assert "Verification successful" in ended.errors
    assert read.read_bytes() == MAIL


@on_cards(*ALGORITHMS)
def test_9c_signs_nothing_without_the_pin_anew(card: LocalCard, mail: Path, tmp_path: Path) -> None:
    signed = tmp_path / "signed"
    signer = card.write_certificate(KeyRef.SIGNATURE, tmp_path)
    before = len(card.used)
    ended = openssl(
        tmp_path,
        *("cms", "-sign", "-binary", "-md", "sha256", "-in", mail, "-out", signed),
        *("-signer", signer, *ENGINE, "-inkey", uri(KeyRef.SIGNATURE)),
    )
    assert ended.code != 0
    assert card.used[before:] == []
