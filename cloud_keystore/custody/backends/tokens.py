"""How a token is reached: the PIN comes from a file that is its owner's alone."""

from __future__ import annotations

from cloud_keystore.config import Token
from cloud_keystore.custody.backends.pkcs11_worker import TokenAddress
from cloud_keystore.custody.sealing.seal import SealingKeyError, read_secret


def token_address(token: Token, realm: str) -> TokenAddress:
    """The address with its PIN; raises SealingKeyError for the file of it."""
    try:
        pin = read_secret(token.pin_file).rstrip(b"\r\n").decode()
    except UnicodeDecodeError:
        raise SealingKeyError(f"{token.pin_file} does not hold a PIN: write it as text") from None
    return TokenAddress(str(token.module), token.label, realm, pin)
