"""Which keys commit their holder to content: each of their uses is asked for on its own. Pure."""

from __future__ import annotations

from functools import lru_cache

from cryptography import x509

from card_os.piv.names import KeyRef
from cloud_keystore.model.cards import Key


def commits(key: Key) -> bool:
    """Whether the key signs content for its holder: the digital signature key, and any whose
    certificate says content commitment, also called non-repudiation (RFC 5280, 4.2.1.3).
    """
    return key.key_ref == KeyRef.SIGNATURE or (bool(key.certificate) and _says_so(key.certificate))


@lru_cache(maxsize=1024)
def _says_so(certificate: bytes) -> bool:
    """A certificate that cannot be read is taken to say so: then more is asked, not less."""
    try:
        loaded = x509.load_der_x509_certificate(certificate)
        usage = loaded.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return False
    except (ValueError, x509.DuplicateExtension):
        return True
    return usage.content_commitment
