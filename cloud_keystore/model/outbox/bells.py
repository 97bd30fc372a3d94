"""Bells: where the browser of a device takes rings, by which its holder learns that something waits
while the page is closed (Web Push, RFC 8030). Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.fields import hosts
from cloud_keystore.model.outbox.webhooks import HTTPS, place

# Push services of browsers: of Google, Mozilla, Apple and Microsoft
KNOWN = ("fcm.googleapis.com", "push.services.mozilla.com", "push.apple.com", "notify.windows.com")
LONGEST_ENDPOINT = 1024  # Microsoft's are the longest
SECRET_BYTES = 16  # that the browser has drawn (RFC 8291, 3.2)
POINT_BYTES = 65  # a public key of P-256, uncompressed
LEASE_TIME = timedelta(minutes=1)  # of whoever rings
QUIET_TIME = timedelta(seconds=5)  # after a ring; what is asked for within is told of afterwards
FIRST_PAUSE = timedelta(seconds=2)  # after the first failure; doubled up to the longest pause
LONGEST_PAUSE = timedelta(minutes=1)  # requests wait for two


@dataclass(frozen=True, slots=True)
class PushTerms:
    """By which push services pages are rung."""

    services: frozenset[str] = frozenset(KNOWN)  # domains: the hosts' names end with them
    inside: frozenset[str] = frozenset()  # further hosts, which can be of the keystore's network

    def __post_init__(self) -> None:
        for each in self.services:
            if hosts.domain(each) != each or "." not in each:
                raise InvalidInput(
                    f"{each!r} is no domain of push services: give one such as push.example.org"
                )
        for each in self.inside:
            if hosts.domain(each) != each and hosts.number(each) is None:
                raise InvalidInput(
                    f"{each!r} is no host of a push service: give its name, or its IP address"
                )


@dataclass(frozen=True, slots=True)
class Address:
    """Where rings go, and what encrypts them for the browser alone. Who has all of it can ring."""

    endpoint: str = field(repr=False)
    public_key: bytes = field(repr=False)  # an uncompressed point
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Bell:
    """What is known of the bell of a device, besides its address, which is sealed."""

    device_id: str
    user_id: str
    host: str
    create_time: datetime
    rung_time: datetime  # of the newest request of which it was rung
    asked_time: datetime  # and of which it is to be rung now
    tries: int
    next_time: datetime  # of the next try, or when the lease ends
    end_time: datetime | None = None


def checked(address: Address, terms: PushTerms) -> str:
    """The host of an address: of one of the push services, by the end of its name, or one that is
    named itself. Raises InvalidInput.
    """
    host, port, _ = place(address.endpoint, LONGEST_ENDPOINT)
    known = any(host == each or host.endswith(f".{each}") for each in terms.services)
    if host not in terms.inside and not (known and port == HTTPS and hosts.domain(host) == host):
        raise InvalidInput(
            "this browser takes its rings from a service that the keystore does not call: the "
            "administrator can allow it (cloudcard serve --push-service)"
        )
    if len(address.public_key) != POINT_BYTES or len(address.secret) != SECRET_BYTES:
        raise InvalidInput("these are not the keys of a browser: open the page again")
    return host


def pause(tries: int) -> timedelta:
    """How long to wait after so many failures in a row."""
    return min(FIRST_PAUSE * (1 << min(tries - 1, 8)), LONGEST_PAUSE)
