"""A card in a reader, over PKCS#11: its certificate for logging in, and signatures by its key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import pkcs11
from asn1crypto.algos import DSASignature
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from pkcs11.exceptions import (
    DeviceRemoved,
    PinIncorrect,
    PinLocked,
    PKCS11Error,
    TokenNotPresent,
)
from pkcs11.types import SignMixin

from cloudcard_tools.shared.failures import Failure

MECHANISMS: Mapping[tuple[pkcs11.KeyType, str], pkcs11.Mechanism] = {
    (pkcs11.KeyType.RSA, "sha1"): pkcs11.Mechanism.SHA1_RSA_PKCS,
    (pkcs11.KeyType.RSA, "sha256"): pkcs11.Mechanism.SHA256_RSA_PKCS,
    (pkcs11.KeyType.EC, "sha1"): pkcs11.Mechanism.ECDSA_SHA1,
    (pkcs11.KeyType.EC, "sha256"): pkcs11.Mechanism.ECDSA_SHA256,
}


class CardGone(Failure):
    """The card is not in the reader any more."""

    reason = "CARD_REMOVED"


@dataclass(frozen=True, slots=True)
class Card:
    """A card whose PIN was given."""

    slots: Callable[[], Iterable[pkcs11.Slot]]
    """Those with cards, now."""
    token: pkcs11.Token
    certificate: bytes
    """DER, of the key for authentication."""
    sign: Callable[[bytes], bytes]

    def require_there(self) -> None:
        """Raise CardGone if the card was removed."""
        if not self._is_there():
            raise CardGone("the card is not in the reader any more")

    def _is_there(self) -> bool:
        """Whether the very card is still in its reader. The list of slots is what libraries look at
        readers for; of a token they tell what they knew.
        """
        try:
            tokens = [each.get_token() for each in self.slots()]
        except PKCS11Error:
            return False
        return any(each.serial == self.token.serial for each in tokens)


@contextmanager
def opened(module: str, pin: str, digest: str) -> Iterator[Card]:
    """The first card in a reader with a key for authentication. Raises Failure."""
    try:
        library = pkcs11.lib(module)
        tokens = list(library.get_tokens())
    except (PKCS11Error, RuntimeError, OSError) as error:
        raise Failure(f"{module} cannot be used: {error or type(error).__name__}") from None
    if not tokens:
        raise Failure("no card is in a reader: put one in, or look with `cloudcard doctor`")
    token = tokens[0]
    try:
        with token.open(user_pin=pin) as session:
            yield _card(partial(library.get_slots, token_present=True), token, session, digest)
    except PinIncorrect:
        raise Failure("the PIN is wrong") from None
    except PinLocked:
        raise Failure("the PIN is blocked: unlock it on the phone, or ask your RA") from None
    except (DeviceRemoved, TokenNotPresent):
        raise CardGone("the card was removed from the reader") from None
    except PKCS11Error as error:
        raise Failure(f"the card refuses: {error or type(error).__name__}") from None


def _card(
    slots: Callable[[], Iterable[pkcs11.Slot]],
    token: pkcs11.Token,
    session: pkcs11.Session,
    digest: str,
) -> Card:
    wanted = {pkcs11.Attribute.CLASS: pkcs11.ObjectClass.CERTIFICATE}
    # All at once: a session has one search at a time.
    for each in list(session.get_objects(wanted)):
        der = bytes(each[pkcs11.Attribute.VALUE])
        if not _authenticates(der):
            continue
        key = session.get_key(pkcs11.ObjectClass.PRIVATE_KEY, id=each[pkcs11.Attribute.ID])
        if not isinstance(key, SignMixin):
            continue
        kind, sign_raw = key.key_type, partial(key.sign, mechanism=MECHANISMS[key.key_type, digest])
        return Card(slots, token, der, partial(_signed, sign_raw, kind))
    raise Failure("the card has no key for authentication")


def _signed(sign: Callable[[bytes], bytes], kind: pkcs11.KeyType, content: bytes) -> bytes:
    """A signature as certificates have it: of an elliptic curve in DER."""
    value = sign(content)
    return bytes(DSASignature.from_p1363(value).dump()) if kind is pkcs11.KeyType.EC else value


def _authenticates(der: bytes) -> bool:
    """Whether a certificate is for logging in, as that of key 9A is."""
    try:
        found = {each.oid: each.value for each in x509.load_der_x509_certificate(der).extensions}
    except ValueError:
        return False
    usage, purposes = found.get(x509.KeyUsage.oid), found.get(x509.ExtendedKeyUsage.oid)
    return (
        isinstance(usage, x509.KeyUsage)
        and usage.digital_signature
        and isinstance(purposes, x509.ExtendedKeyUsage)
        and ExtendedKeyUsageOID.CLIENT_AUTH in purposes
    )
