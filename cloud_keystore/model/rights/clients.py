"""API clients: programs that call the REST API, each with a token of its own. Pure."""

from __future__ import annotations

import base64
import re
from datetime import timedelta
from hashlib import sha256

from cloud_keystore.model.clock import Random

LIFETIME = timedelta(days=365)  # of a token, unless its end is given
LONGEST_LIFETIME = timedelta(days=5 * 366)
SECRET_BYTES = 32
PREFIX = "ccapi_"  # by which programs that look for secrets in files find one
_FORM = re.compile(PREFIX + r"[A-Za-z0-9_-]{43}", re.ASCII)
# Hashed with the token: other identities are known by the hash of their certificate, and nobody can
# give a certificate, which is no secret, as a token.
_PURPOSE = b"cloudcard API client\0"


def new_token(random: Random) -> str:
    """Draw a token, which its client keeps secret."""
    return PREFIX + base64.urlsafe_b64encode(random(SECRET_BYTES)).decode().rstrip("=")


def token_sha256(text: str) -> bytes | None:
    """What the keystore keeps of a token; None for a text that is no token."""
    if _FORM.fullmatch(text) is None:
        return None
    return sha256(_PURPOSE + text.encode()).digest()
