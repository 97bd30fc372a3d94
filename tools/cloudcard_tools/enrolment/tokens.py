"""Enrolment tokens, and the keystore that issued one."""

from __future__ import annotations

import base64
import binascii
import hmac
import ssl
from hashlib import sha256

from cloudcard_tools.shared.failures import Failure, OutOfReach
from cloudcard_tools.shared.reaching import connected, split, unreachable

ENROLMENT_HOST = "enrolment.cloudcard.invalid"


class NoToken(Failure):
    """What was given is no enrolment token."""

    reason = "NO_TOKEN"


class WrongKeystore(Failure):
    """Somebody else is where the token's keystore should be."""

    reason = "WRONG_KEYSTORE"


def parse_token(text: str) -> tuple[bytes, bytes, str]:
    """Fingerprint of the enrolment certificate, secret, and address."""
    prefix, _, rest = text.strip().partition(".")
    body, _, address = rest.partition("@")
    try:
        raw = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    except (binascii.Error, ValueError):
        raw = b""
    if prefix != "cc1" or len(raw) != 48 or not _is_address(address):
        raise NoToken(
            "this is not an enrolment token: it looks like cc1.…@host:port; copy the whole of it"
        )
    return raw[:32], raw[32:], address


def _is_address(text: str) -> bool:
    try:
        host, port = split(text)
    except ValueError:
        return False
    return bool(host) and 0 < port <= 0xFFFF


def pinned_certificate(address: str, fingerprint: bytes) -> bytes:
    """Fetch the enrolment port's certificate (PEM) and check it against the token's fingerprint."""
    host, port = split(address)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # The fingerprint is checked instead.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with connected(host, port) as opened, context.wrap_socket(opened) as session:
            der = session.getpeercert(binary_form=True) or b""
    except ssl.SSLError as error:
        said = (error.reason or "it hangs up").lower().replace("_", " ")
        raise OutOfReach(
            f"what listens at {address} does not speak TLS ({said}): is this the token of a "
            "keystore, and is its address still right?",
            "NOT_A_KEYSTORE",
        ) from None
    except OSError as error:
        raise unreachable(address, error) from None
    if not hmac.compare_digest(sha256(der).digest(), fingerprint):
        raise WrongKeystore(
            f"{address} is not the keystore that issued this token: do not go on, ask for help"
        )
    return ssl.DER_cert_to_PEM_cert(der).encode()
