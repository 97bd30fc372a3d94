"""The caller's TLS client certificate, by which it is known."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cloud_keystore.model.errors import IdentityRejected
from cloud_keystore.model.fields.software import LONGEST_SAID
from cloud_keystore.rpc.refusals import Context


def certificate_sha256(context: Context) -> bytes:
    """SHA-256 of the client's certificate, which TLS has checked against the transport CA; raises
    IdentityRejected if there is none.
    """
    pem = b"".join(context.auth_context().get("x509_pem_cert", ()))
    if not pem:
        raise IdentityRejected("no client certificate: enrol first")
    return _fingerprint(pem)


def user_agent(context: Context) -> str:
    """What the client says of itself, or the beginning of it; empty if it says nothing."""
    for name, value in context.invocation_metadata() or ():
        if name == "user-agent":
            return str(value)[:LONGEST_SAID]
    return ""


@lru_cache(maxsize=1024)
def _fingerprint(pem: bytes) -> bytes:
    return sha256(x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)).digest()
