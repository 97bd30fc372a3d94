"""The profiles of local cards. None is ever removed, because a card's file names its profile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from card_os.piv.image import Features
from card_os.piv.names import Algorithm, Cipher, CipherSuite


@dataclass(frozen=True, slots=True)
class Profile:
    """What a new card contains and can do."""

    name: str
    title: str  # for people
    features: Features = field(default_factory=Features)
    keys: bool = True  # made with the card, and certified
    suite: int | None = None  # of key 04; None: no secure messaging


EVERYTHING = frozenset(int(algorithm) for algorithm in Algorithm)

PROFILES: Mapping[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile("plain", "keys with certificates"),
        Profile(
            "developer",
            "empty; Yubico's tools administer it (yubico-piv-tool, ykman)",
            Features(EVERYTHING, Cipher.AES_192, extensions=True),
            keys=False,
        ),
        Profile("global-pin", "plain, opened by a global PIN too", Features(global_pin=True)),
        Profile("sm-cs2", "plain, with secure messaging of P-256", suite=CipherSuite.CS2),
        Profile("sm-cs7", "plain, with secure messaging of P-384", suite=CipherSuite.CS7),
    )
}
