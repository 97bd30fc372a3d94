"""Webhooks: addresses at which API clients are told what has happened. Pure.

What is sent, and its signature, are those of Standard Webhooks 1.0 (standardwebhooks.com).
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum, unique
from hashlib import sha256
from hmac import digest

from cloud_keystore.model.clock import Random
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.fields import hosts
from cloud_keystore.model.journal import Entry, Kind
from cloud_keystore.model.outbox.notifications import State

MOST_OF_CLIENT = 10
MOST_OF_ALL = 200  # whenever something happens, all are looked at
LONGEST_URL = 512
SECRET_BYTES = 32
PREFIX = "whsec_"  # as Standard Webhooks writes a secret
OLD_SECRET_TIME = timedelta(days=1)  # for which what is sent has the signature of the one before
LEASE_TIME = timedelta(minutes=5)  # of whoever sends a portion
FIRST_PAUSE = timedelta(seconds=5)  # after the first failure; then four times as long each time
LONGEST_PAUSE = timedelta(hours=1)
LAST_TRY = 77  # three days after the first
DISABLE_TIME = timedelta(days=5)  # without any success
JITTER = 0.2  # of a pause, so that those that failed together do not come back together
HTTPS = 443
_URL = re.compile(
    r"https://(?P<host>[a-z0-9.-]+|\[[0-9a-f:.]+\])(:(?P<port>\d{1,5}))?(?P<target>[/?][!-\"$-~]*)?",
    re.ASCII | re.IGNORECASE,
)

# What API clients can be told of. Single uses of keys are not among it: there are too many.
TOLD = frozenset(
    {
        Kind.USER_ADDED,
        Kind.USER_CHANGED,
        Kind.USER_CLOSED,
        Kind.PHONE_VERIFIED,
        Kind.IDENTITY_INVITED,
        Kind.IDENTITY_ENROLLED,
        Kind.IDENTITY_REMOVED,
        Kind.CARD_ORDERED,
        Kind.CARD_FAILED,
        Kind.CARD_ISSUED,
        Kind.CARD_CANCELLED,
        Kind.CARD_ACTIVATED,
        Kind.CARD_COMPLETED,
        Kind.CARD_SUSPENDED,
        Kind.CARD_RESUMED,
        Kind.CARD_REPLACED,
        Kind.CARD_RENEWED,
        Kind.CARD_MOVED,
        Kind.CARD_REVOKED,
        Kind.CARD_RESET,
        Kind.PASSCODE_SET,
        Kind.PASSCODE_BLOCKED,
        Kind.PASSCODE_UNBLOCKED,
        Kind.UNLOCK_ASKED,
        Kind.WINDOWS_ACCOUNT_ADDED,
        Kind.WINDOWS_ACCOUNT_ACTIVATED,
        Kind.WINDOWS_ACCOUNT_CHANGED,
        Kind.WINDOWS_ACCOUNT_REMOVED,
        Kind.ALERT_RAISED,
        Kind.ALERT_ACKNOWLEDGED,
    }
)
# What of an entry is told: identifiers alone, because other details can be personal.
_SUBJECTS = ("user_id", "card_id", "device_id", "workstation_id")


@unique
class WebhookState(StrEnum):
    """The state of a webhook."""

    ACTIVE = "active"
    DISABLED = "disabled"  # nothing was taken there for days
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Webhook:
    """An address at which an API client is told of things. Its secret is kept apart, sealed."""

    id: str
    client_id: str
    url: str
    kinds: tuple[str, ...]  # of what it is told; empty: of everything
    state: WebhookState
    why: str  # nothing is taken there
    failures: int  # since the last success
    create_time: datetime
    next_time: datetime  # not before which something is sent there
    failing_since: datetime | None = None
    old_until: datetime | None = None  # until when the secret before is still used
    end_time: datetime | None = None

    def wants(self, kind: str) -> bool:
        """Whether it is told of a kind of thing."""
        return not self.kinds or kind in self.kinds


@dataclass(frozen=True, slots=True)
class Delivery:
    """One thing that a webhook is told."""

    id: str
    webhook_id: str
    kind: str
    facts: str  # JSON: identifiers of what it is about
    state: State
    why: str  # it has failed or waits again, or was cancelled
    tries: int
    create_time: datetime  # when it happened
    next_time: datetime  # of the next try, or when the lease ends
    end_time: datetime | None = None


def new_secret(random: Random) -> bytes:
    """Draw a secret, by which a client knows what is from its keystore."""
    return random(SECRET_BYTES)


def secret_text(secret: bytes) -> str:
    """A secret as its client gets it."""
    return PREFIX + base64.b64encode(secret).decode()


def signatures(secrets: Iterable[bytes], own_id: str, seconds: int, body: bytes) -> str:
    """The signatures of what is sent at a time, one for each secret."""
    signed = f"{own_id}.{seconds}.".encode() + body
    made = (base64.b64encode(digest(each, signed, sha256)).decode() for each in secrets)
    return " ".join(f"v1,{each}" for each in made)


def facts_of(entry: Entry) -> str:
    """What is told of an entry, as JSON."""
    known = {name: getattr(entry, name) for name in _SUBJECTS}
    known["alert"] = entry.details.get("alert")
    return json.dumps({name: value for name, value in known.items() if value}, sort_keys=True)


def body(kind: str, time: datetime, facts: Mapping[str, str]) -> bytes:
    """What is sent."""
    at = time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    said = {"type": kind, "timestamp": at, "data": dict(facts)}
    return json.dumps(said, separators=(",", ":")).encode()


def pause(failures: int, drawn: bytes) -> timedelta:
    """How long to wait after so many failures, by some random bytes."""
    plain = min(FIRST_PAUSE * (1 << 2 * min(failures - 1, 8)), LONGEST_PAUSE)
    share = int.from_bytes(drawn) / (1 << 8 * len(drawn))
    return plain * (1 + JITTER * (2 * share - 1))


def kinds(wanted: Iterable[str]) -> tuple[str, ...]:
    """The kinds of things of which a webhook is to be told, by name; raises InvalidInput."""
    named = sorted(set(wanted))
    for each in named:
        if each not in TOLD:
            known = ", ".join(sorted(TOLD))
            raise InvalidInput(f"{each[:64]!r} is nothing that is told: give one of {known}")
    return tuple(named)


def address(url: str, inside: Collection[str]) -> str:
    """The address of a webhook: https, and of the internet, unless its host is one of those that
    can be inside. Raises InvalidInput.
    """
    host, _, _ = place(url)
    numeric = hosts.number(host)
    named = hosts.domain(host) is not None and "." in host
    if host not in inside and not (named if numeric is None else hosts.is_public(numeric)):
        raise InvalidInput(
            "the address of a webhook is one of the internet: the keystore's administrator can "
            "allow others (cloudcard serve --webhook-host)"
        )
    return url


def place(url: str, longest: int = LONGEST_URL) -> tuple[str, int, str]:
    """Host, port and target of an address; raises InvalidInput."""
    found = _URL.fullmatch(url) if len(url) <= longest else None
    port = int(found["port"] or HTTPS) if found else 0
    if found is None or not 0 < port < 65536:
        raise InvalidInput(
            f"the address begins with https://, has no user and no fragment in it, and at most "
            f"{longest} characters"
        )
    target = found["target"] or "/"
    host = found["host"].removeprefix("[").removesuffix("]").lower()
    return host, port, target if target.startswith("/") else f"/{target}"
