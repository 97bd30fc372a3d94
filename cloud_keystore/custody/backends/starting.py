"""Starts the backends of a service, as configured."""

from __future__ import annotations

from cloud_keystore.config import Token
from cloud_keystore.custody.backends.keys import Backend, Keys
from cloud_keystore.custody.backends.pkcs11 import Pool, realm, token_address
from cloud_keystore.custody.backends.pkcs11 import TokenKeys as TokenKeys
from cloud_keystore.custody.backends.software import SoftwareKeys
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.model.cards import PKCS11, SOFTWARE
from cloud_keystore.model.errors import KeyBackendUnavailable
from private_keys import libcrypto
from private_keys.libcrypto import NoLibcrypto


def token_keys(token: Token | None, seal: Seal) -> TokenKeys | None:
    """Log in to the token, if one is configured.

    Raises SealingKeyError if the PIN file cannot be used, KeyBackendUnavailable if the token
    cannot.
    """
    if token is None:
        return None
    return TokenKeys(Pool.start(token_address(token, realm(seal)), token.workers), seal)


def new_keys(seal: Seal, token: TokenKeys | None, new: str) -> Keys:
    """Return the backends by name; the one called `new` makes new keys.

    Raises KeyBackendUnavailable if RSA keys cannot be used here.
    """
    try:
        libcrypto.library()
    except NoLibcrypto as error:
        raise KeyBackendUnavailable(str(error)) from None
    backends: dict[str, Backend] = {SOFTWARE: SoftwareKeys(seal)}
    if token is not None:
        backends[PKCS11] = token
    return Keys(backends, new)
