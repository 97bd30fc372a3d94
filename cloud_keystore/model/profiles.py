"""The table of card profiles: what a new card is made of, and what it can do.

Cards keep the name of their profile, so no profile is ever removed from the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from card_os.piv import rules
from card_os.piv.algorithms import CAN_DO, INTEROPERABLE
from card_os.piv.names import Algorithm, Cipher, CipherSuite, KeyRef
from card_os.uses import KeyUse
from cloud_keystore.model import certificates
from cloud_keystore.model.certificates import CertificateProfile
from cloud_keystore.model.errors import InvalidInput

TWO_YEARS = 730


@dataclass(frozen=True, slots=True)
class KeyTemplate:
    """One key of a profile, and its certificate."""

    key_ref: int
    algorithm: Algorithm
    certificate: CertificateProfile


@dataclass(frozen=True, slots=True)
class CardProfile:
    """What a new card is made of, and what it can do. The defaults are meant for production."""

    name: str
    title: str  # for people
    serial_prefix: str
    keys: tuple[KeyTemplate, ...]
    series: int = 9  # of the corresponding physical cards: 9 are those with PIV
    validity_days: int = TWO_YEARS
    secure_messaging: CipherSuite | None = None  # None: there is no key 04
    algorithms: frozenset[Algorithm] = INTEROPERABLE  # of keys that the card generates
    management: Cipher | None = None
    """The cipher of key 9B. None: there is no such key, so nobody can administer the card through
    a reader."""
    management_ciphers: frozenset[Cipher] = frozenset(Cipher) - {Cipher.TDEA}
    """The ciphers of management keys that an administrator may set."""
    global_pin: bool = False
    extensions: bool = False
    """Whether the card has Yubico's instructions, and its keys all uses of their algorithm."""
    factory_passcodes: bool = False  # publicly known PIN and PUK, in use at once
    developer: bool = False
    """Whether other authorities than those of cards in production certify its cards, so that nobody
    trusts them. A profile with secrets that are known to all has to."""

    def has_passcode(self, key_ref: int) -> bool:
        """Whether the card has this passcode."""
        return key_ref in (KeyRef.PIN, KeyRef.PUK) or (
            key_ref == KeyRef.GLOBAL_PIN and self.global_pin
        )

    def allowed_uses(self, key_ref: int, algorithm: Algorithm) -> frozenset[KeyUse]:
        """Return the uses of a key that a holder can be asked to approve.

        They are those of the standard; with the extensions, all uses of the algorithm.
        """
        if self.extensions and key_ref != KeyRef.SECURE_MESSAGING:
            return CAN_DO[algorithm]
        return rules.uses(key_ref, algorithm)


def _establishment(algorithm: Algorithm) -> KeyTemplate:
    agrees = KeyUse.AGREE in CAN_DO[algorithm]
    certificate = certificates.AGREEMENT if agrees else certificates.ENCIPHERMENT
    return KeyTemplate(KeyRef.KEY_MANAGEMENT, algorithm, certificate)


def _without_signature(algorithm: Algorithm) -> tuple[KeyTemplate, ...]:
    return (
        KeyTemplate(KeyRef.AUTHENTICATION, algorithm, certificates.LOGON),
        _establishment(algorithm),
        KeyTemplate(KeyRef.CARD_AUTHENTICATION, algorithm, certificates.CARD),
    )


def _all_four(
    algorithm: Algorithm, signature: CertificateProfile = certificates.SIGNING
) -> tuple[KeyTemplate, ...]:
    return (
        *_without_signature(algorithm),
        KeyTemplate(KeyRef.SIGNATURE, algorithm, signature),
    )


PROFILES: Mapping[str, CardProfile] = {
    profile.name: profile
    for profile in (
        CardProfile(
            name="v1",
            title="Authentication only: holds no key for signatures",
            serial_prefix="110",
            keys=_without_signature(Algorithm.RSA_2048),
        ),
        CardProfile(
            name="v2",
            title="Authentication and advanced electronic signatures",
            serial_prefix="150",
            keys=_all_four(Algorithm.RSA_2048, certificates.ADVANCED_SIGNATURE),
        ),
        CardProfile(
            name="developer",
            title="For developers: administered by Yubico's tools, its secrets known to all",
            serial_prefix="190",
            keys=_all_four(Algorithm.ECC_P256),
            algorithms=frozenset(Algorithm),
            management=Cipher.AES_192,
            management_ciphers=frozenset(Cipher),  # older tools know only TDEA
            extensions=True,
            factory_passcodes=True,
            developer=True,
        ),
        CardProfile(
            name="rsa2048",
            title="PIV with RSA-2048",
            serial_prefix="100",
            keys=_all_four(Algorithm.RSA_2048),
        ),
        CardProfile(
            name="rsa3072",
            title="PIV with RSA-3072",
            serial_prefix="100",
            keys=_all_four(Algorithm.RSA_3072),
        ),
        CardProfile(
            name="p256",
            title="PIV with P-256",
            serial_prefix="100",
            keys=_all_four(Algorithm.ECC_P256),
        ),
        CardProfile(
            name="p384",
            title="PIV with P-384",
            serial_prefix="100",
            keys=_all_four(Algorithm.ECC_P384),
        ),
        CardProfile(
            name="sm-cs2",
            title="PIV with P-256 and secure messaging of 128 bits",
            serial_prefix="100",
            keys=_all_four(Algorithm.ECC_P256),
            secure_messaging=CipherSuite.CS2,
        ),
        CardProfile(
            name="sm-cs7",
            title="PIV with P-384 and secure messaging of 192 bits",
            serial_prefix="100",
            keys=_all_four(Algorithm.ECC_P384),
            secure_messaging=CipherSuite.CS7,
        ),
        CardProfile(
            name="global-pin",
            title="PIV with P-256, opened by a global PIN too",
            serial_prefix="100",
            keys=_all_four(Algorithm.ECC_P256),
            global_pin=True,
        ),
    )
}
DEFAULT_PROFILE = "v2"


def profile_named(name: str) -> CardProfile:
    """The profile of a name, in whatever case; the default one for an empty name. Raises
    InvalidInput.
    """
    found = PROFILES.get(name.strip().lower() or DEFAULT_PROFILE)
    if found is None:
        raise InvalidInput(f"there is no profile {name!r}: use one of {', '.join(PROFILES)}")
    return found
