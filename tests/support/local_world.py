"""Local cards for tests: RSA keys take long to make, so those that are not changed are shared."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import cache

from card_os.administration import Administrator, AnswerChallenge, RequestChallenge
from card_os.keys import KeyResult, UseKey, Verified, VerifyPasscode
from card_os.piv.names import Algorithm
from card_os.piv.sizes import FACTORY_PIN
from card_os.uses import KeyUse
from reader_bridge.local import management_key
from reader_bridge.local.card import LocalCard
from reader_bridge.local.keys import LocalKeys, Save
from reader_bridge.local.making import new_card
from reader_bridge.local.profiles import PROFILES

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ID = bytes(16)


def card(profile: str = "plain", algorithm: Algorithm = Algorithm.ECC_P256) -> LocalCard:
    """One card of each kind; a value, so that tests may share it."""
    return _made(profile, algorithm)


@cache
def _made(profile: str, algorithm: Algorithm) -> LocalCard:
    return new_card(PROFILES[profile], algorithm, os.urandom, NOW)


def keys(
    profile: str = "plain", algorithm: Algorithm = Algorithm.ECC_P256, save: Save | None = None
) -> LocalKeys:
    """Its key service, as after the card was made."""
    if save is None:
        return LocalKeys(card(profile, algorithm), os.urandom)
    return LocalKeys(card(profile, algorithm), os.urandom, save)


def passcode_proof(keys: LocalKeys) -> bytes:
    verified = keys.perform(VerifyPasscode(ID, 0x80, FACTORY_PIN))
    assert isinstance(verified, Verified)
    return verified.proof


def administrator_proof(keys: LocalKeys) -> bytes:
    algorithm, key = keys.card.management_algorithm, keys.card.management_key
    assert algorithm is not None
    sent = keys.perform(RequestChallenge(algorithm, enciphered=False))
    assert isinstance(sent, bytes)
    response = management_key.encipher(algorithm, key, sent)
    administrator = keys.perform(AnswerChallenge(algorithm, response))
    assert isinstance(administrator, Administrator)
    return administrator.proof


def use(keys: LocalKeys, key_use: KeyUse, key_ref: int, data: bytes) -> KeyResult:
    """Use a key after the right PIN."""
    key = keys.card.keys.get(key_ref)
    algorithm = key.algorithm if key is not None else Algorithm.ECC_P256
    return keys.perform(UseKey(ID, key_use, key_ref, algorithm, data, passcode_proof(keys)))
