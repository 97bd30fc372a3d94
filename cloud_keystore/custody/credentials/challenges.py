"""Challenges for passkeys that log in. The keystore keeps none of them, and knows its own by their
code.
"""

from __future__ import annotations

from datetime import datetime
from hmac import compare_digest

from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.model.clock import Random
from cloud_keystore.model.errors import TokenRejected
from cloud_keystore.model.rights.log_ins import DRAWN_BYTES, Challenge, ChallengeUse

LATE = "this has taken longer than five minutes, or was sent before: begin again"


def new(seal: Seal, use: ChallengeUse, who: str, now: datetime, random: Random) -> bytes:
    """A challenge for a use, and for whoever or whatever it is made for."""
    made = Challenge(now, random(DRAWN_BYTES), b"")
    return made.coded + _code(seal, made, use, who)


def checked(seal: Seal, raw: bytes, use: ChallengeUse, who: str, now: datetime) -> Challenge:
    """A challenge of ours, for this use and whoever it was made for; raises TokenRejected."""
    found = Challenge.parse(raw)
    if found is None or not compare_digest(found.code, _code(seal, found, use, who)):
        raise TokenRejected(LATE)
    if not found.is_fresh(now):
        raise TokenRejected(LATE)
    return found


def _code(seal: Seal, challenge: Challenge, use: ChallengeUse, who: str) -> bytes:
    said = "\0".join(("challenge", use.value, who))
    return seal.derive(said, challenge.coded)
