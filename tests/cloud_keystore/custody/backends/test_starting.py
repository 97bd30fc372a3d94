"""Which backends a service has, by its configuration."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from card_os.piv.names import Algorithm
from cloud_keystore.config import Token
from cloud_keystore.custody.backends import starting
from cloud_keystore.custody.backends.pkcs11 import Pool, TokenKeys, realm
from cloud_keystore.custody.backends.pkcs11_worker import TokenAddress
from cloud_keystore.custody.backends.software import SoftwareKeys
from cloud_keystore.custody.backends.starting import new_keys, token_keys
from cloud_keystore.custody.sealing.seal import Seal, SealingKeyError
from cloud_keystore.model.cards import PKCS11, SOFTWARE, Sealed
from cloud_keystore.model.errors import KeyBackendUnavailable
from private_keys import libcrypto

SEAL = Seal(b"\x07" * 32, os.urandom)
KEY_ID = "01890000-0000-7000-8000-000000000001"


@pytest.fixture
def token(tmp_path: Path) -> Token:
    """The configuration of one."""
    pin_file = tmp_path / "pin"
    pin_file.write_text("648219\r\n")
    pin_file.chmod(0o600)
    return Token(Path("/lib/token.so"), "cards", pin_file, workers=3)


def test_a_service_without_a_token_has_software_keys_alone() -> None:
    assert token_keys(None, SEAL) is None
    keys = new_keys(SEAL, None, SOFTWARE)
    assert list(keys.backends) == [SOFTWARE]
    assert isinstance(keys.backends[SOFTWARE], SoftwareKeys)
    assert isinstance(keys.make(KEY_ID, Algorithm.ECC_P256).private, Sealed)


def test_a_service_that_cannot_use_rsa_keys_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libcrypto, "load", lambda _: None)
    libcrypto.library.cache_clear()
    with pytest.raises(KeyBackendUnavailable, match="OpenSSL 3 or later") as refusal:
        new_keys(SEAL, None, SOFTWARE)
    assert refusal.value.__cause__ is None


def test_a_service_with_a_token_uses_the_keys_of_both() -> None:
    held = TokenKeys(Pool(TokenAddress("", "", "", ""), 1), SEAL)
    keys = new_keys(SEAL, held, PKCS11)
    assert set(keys.backends) == {SOFTWARE, PKCS11}
    assert keys.backends[PKCS11] is held
    assert keys.new == PKCS11


def test_the_token_is_logged_in_to_as_configured(
    token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[tuple[TokenAddress, int]] = []

    def start(address: TokenAddress, workers: int) -> Pool:
        begun.append((address, workers))
        return Pool(address, workers)

    monkeypatch.setattr(starting.Pool, "start", start)
    held = token_keys(token, SEAL)
    assert held is not None
    assert held.seal is SEAL
    assert begun == [(TokenAddress("/lib/token.so", "cards", realm(SEAL), "648219"), 3)]


def test_a_pin_file_that_is_no_text_is_refused(token: Token) -> None:
    token.pin_file.write_bytes(b"\xff\xfe")
    with pytest.raises(SealingKeyError, match="does not hold a PIN: write it as text") as refusal:
        token_keys(token, SEAL)
    assert refusal.value.__cause__ is None


def test_each_keystore_has_a_realm_of_its_own() -> None:
    """Two keystores that share a token see only their own keys there."""
    assert realm(SEAL) == realm(Seal(b"\x07" * 32, os.urandom))
    assert realm(SEAL) != realm(Seal(b"\x08" * 32, os.urandom))
    assert realm(SEAL) == "cloudcard 6da030ee0a8d2cc0"  # as tokens have it that were used before
