"""Which keys commit their holder to content. Each of their uses needs an approval. Pure."""

from __future__ import annotations

from functools import lru_cache

from cryptography import x509

from card_os.piv.names import KeyRef
from card_os.uses import PinPolicy
from cloud_keystore.model.cards import Key


def commits(key: Key) -> bool:
    """Whether the key signs content for its holder: the digital signature key, and any key whose
    certificate has content commitment, also called non-repudiation (RFC 5280, 4.2.1.3).
    """
    return key.key_ref == KeyRef.SIGNATURE or (bool(key.certificate) and _says_so(key.certificate))


def asks_for_pin(key: Key) -> PinPolicy:
    """When the key asks for the PIN: a key that commits its holder does so, even if its own policy
    is never to ask.
    """
    asked = key.asks_for_pin
    return PinPolicy.ALWAYS if asked is PinPolicy.NEVER and commits(key) else asked


@lru_cache(maxsize=1024)
def _says_so(certificate: bytes) -> bool:
    """Whether the certificate has content commitment, or cannot be read: in doubt, the stricter
    rule holds.
    """
    try:
        loaded = x509.load_der_x509_certificate(certificate)
        usage = loaded.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return False
    except (ValueError, x509.DuplicateExtension):
        return True
    return usage.content_commitment
