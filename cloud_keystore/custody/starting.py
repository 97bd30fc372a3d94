"""The backends that a service was told of."""

from __future__ import annotations

from cloud_keystore.config import Token
from cloud_keystore.custody.backends import PKCS11, SOFTWARE, Backend, Keys
from cloud_keystore.custody.pkcs11_keys import TokenKeys, realm
from cloud_keystore.custody.pkcs11_pool import Pool
from cloud_keystore.custody.pkcs11_worker import TokenAddress
from cloud_keystore.custody.sealing import Seal, SealingKeyError, read_secret
from cloud_keystore.custody.software_keys import SoftwareKeys
from cloud_keystore.model.clock import Random


def token_keys(token: Token | None, seal: Seal) -> TokenKeys | None:
    """Log in to the token, if there is to be one; the PIN comes from a file that is its owner's.

    Raises SealingKeyError for the file, KeyBackendUnavailable for the token.
    """
    if token is None:
        return None
    try:
        pin = read_secret(token.pin_file).rstrip(b"\r\n").decode()
    except UnicodeDecodeError:
        raise SealingKeyError(f"{token.pin_file} does not hold a PIN: write it as text") from None
    address = TokenAddress(str(token.module), token.label, realm(seal), pin)
    return TokenKeys(Pool(address, token.workers), seal)


def new_keys(seal: Seal, random: Random, token: TokenKeys | None, new: str) -> Keys:
    """The backends by name; `new` makes new keys."""
    backends: dict[str, Backend] = {SOFTWARE: SoftwareKeys(seal, random)}
    if token is not None:
        backends[PKCS11] = token
    return Keys(backends, new)
