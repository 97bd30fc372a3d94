"""The limits of one process. Each replica has its own, so n replicas allow n times as much."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import MappingProxyType

from cloud_keystore.model.actors import ActorKind
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.surveys.answers import ASK_AGAIN

MOST_SPARE_KEYS = 1000  # of each kind
MOST_DAYS = 3650  # that a report looks ahead


@dataclass(frozen=True, slots=True)
class Rate:
    """A token bucket: it allows `burst` calls at once, and `per_second` calls in the long run."""

    per_second: float
    burst: float


# A rate holds for an identity (by role), for what it does with a card, or for a network address.
RATES: Mapping[str, Rate] = MappingProxyType(
    {
        "workstation": Rate(50, 500),
        "device": Rate(20, 100),
        "operator": Rate(50, 500),
        "auditor": Rate(20, 200),
        "client": Rate(50, 500),
        "card": Rate(50, 500),  # calls of one identity that name the card
        "passcode": Rate(5, 50),  # passcodes that it tries on one card, before any is compared
        "enrolment": Rate(1, 30),  # tokens tried, per address
        "status": Rate(20, 200),  # questions about certificates, per address
        "status-all": Rate(100, 500),  # those of all addresses together
        "rest": Rate(100, 1000),  # calls of the REST API, per address, before it is known whose
        "web": Rate(50, 1000),  # requests of browsers, per address
        "renewal": Rate(0.01, 10),  # new certificates for an identity
        # Entries of the journal that an identity causes, by all processes together; they are
        # counted in the database.
        "journal-workstation": Rate(0.2, 10_000),
        "journal-device": Rate(0.05, 2_000),
        "journal-operator": Rate(1, 100_000),
        "journal-auditor": Rate(0.1, 5_000),
        "journal-client": Rate(1, 100_000),
    }
)
# Those that bound the journal, by whom they hold for
BUDGETS: Mapping[ActorKind, str] = MappingProxyType(
    {
        ActorKind.WORKSTATION: "journal-workstation",
        ActorKind.DEVICE: "journal-device",
        ActorKind.OPERATOR: "journal-operator",
        ActorKind.AUDITOR: "journal-auditor",
        ActorKind.CLIENT: "journal-client",
    }
)
# Refusals of the last day count, and a session of half a day looks for requests that are repeated.
LEAST_DAYS = 2
# Whoever has answered is not asked again for so long, which only the answer tells.
LEAST_SURVEY_DAYS = ASK_AGAIN // timedelta(days=1)
_FORM = re.compile(r"([a-z-]+)=(\d+(?:\.\d+)?)/(\d+)", re.ASCII)


_NUMBER = re.compile(r"([a-z]+)=(\d+(?:\.\d+)?)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one process accepts. A call beyond a limit is refused at once, with a time to retry."""

    rates: Mapping[str, Rate] = field(default_factory=lambda: RATES)
    under_way: int = 20_000  # calls, waiting ones included
    message_seconds: float = 10.0  # within which a call that has begun has to bring its message
    begun_of_one: int = 1_000  # calls of one identity that have not brought it yet
    streams: int = 15_000  # waiting calls of all callers
    streams_of_one: int = 500  # waiting calls of one identity
    watched: int = 100_000  # operations that wait over streams, of all callers
    watched_of_one: int = 1_000  # and of one identity
    calls: int = 1_000  # use cases that wait for a thread
    threads: int = 32  # on which use cases run
    connections: int = 15_000  # at each port
    connections_of_address: int = 2_000  # an IPv4 address, or a /64 of IPv6
    strangers_of_address: int = 200  # those that have not brought a call yet
    connections_of_one: int = 64  # of one identity
    free_mebibytes: float = 256  # of the disk, below which nothing is begun; of SQLite alone
    keep_days: float = 7  # for which rows of what is over are kept
    survey_days: float = 730  # for which feedback of staff and answers of holders are kept
    leavers: int = 50  # people whom one directory closes within an hour, by all processes together
    looks: int = 8  # database queries of streams at once; the other threads are for calls


def _keeping(limits: Limits, days: float) -> Limits:
    """Raises InvalidInput for less than LEAST_DAYS."""
    if days < LEAST_DAYS:
        raise InvalidInput(f"keep={days:g} is too short: keep what is over for {LEAST_DAYS} days")
    return replace(limits, keep_days=days)


def _keeping_surveys(limits: Limits, days: float) -> Limits:
    """Raises InvalidInput for less than LEAST_SURVEY_DAYS, or more than MOST_DAYS."""
    if not LEAST_SURVEY_DAYS <= days <= MOST_DAYS:
        raise InvalidInput(
            f"survey={days:g}: keep feedback and answers for {LEAST_SURVEY_DAYS} to {MOST_DAYS} "
            "days"
        )
    return replace(limits, survey_days=days)


# Limits that are one number, by the name under which they are set.
NUMBERS: Mapping[str, Callable[[Limits, float], Limits]] = MappingProxyType(
    {
        "message": lambda limits, number: replace(limits, message_seconds=number),
        "free": lambda limits, number: replace(limits, free_mebibytes=number),
        "keep": _keeping,
        "survey": _keeping_surveys,
        "begun": lambda limits, number: replace(limits, begun_of_one=int(number)),
        "leavers": lambda limits, number: replace(limits, leavers=int(number)),
    }
)


def with_limits(limits: Limits, texts: Iterable[str]) -> Limits:
    """Set limits from texts "name=per_second/burst" and "name=number"; raises InvalidInput for any
    other text.
    """
    rates = dict(limits.rates)
    for text in texts:
        rate, number = _FORM.fullmatch(text), _NUMBER.fullmatch(text)
        if rate is not None and rate[1] in rates and float(rate[2]) > 0 and int(rate[3]) > 0:
            rates[rate[1]] = Rate(float(rate[2]), int(rate[3]))
        elif number is not None and number[1] in NUMBERS and float(number[2]) > 0:
            limits = NUMBERS[number[1]](limits, float(number[2]))
        else:
            raise InvalidInput(
                f"{text!r} is no limit: write name=per_second/burst, such as workstation=100/1000; "
                f"names are {', '.join(rates)}; or name=number, such as message=10; names are "
                f"{', '.join(NUMBERS)}"
            )
    return replace(limits, rates=rates)


def budgets(rates: Mapping[str, Rate]) -> Mapping[ActorKind, Rate]:
    """The rates that bound the journal, by kind of actor."""
    return MappingProxyType({kind: rates[name] for kind, name in BUDGETS.items()})
