"""Card profiles that organisations define, there and below: variants of built-in ones, under names
of their own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.fields.software import version_field
from cloud_keystore.model.fields.texts import text_field
from cloud_keystore.model.profiles import PROFILES, CardProfile

BASES = ("v1", "v2")  # whose cards are counted apart, so that variants of a base are too
LONGEST_NAME = 40
LONGEST_SERIES = 32
LONGEST_PREFIX = 8  # digits, half of a serial number
MOST_PROFILES = 100  # of one organisation
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Terms:
    """What a profile says of new cards; None, in a change, keeps what it has said."""

    series: str | None = None  # what people call its cards, such as "Series 8"
    oldest_client: str | None = None  # version of the holder's app; empty: any
    serial_prefix: str | None = None  # empty: the base's
    validity_days: int | None = None  # 0: the base's


@dataclass(frozen=True, slots=True)
class CustomProfile:
    """A profile of cards for the organisation that has defined it, and for those below it."""

    id: str
    name: str
    organisation_id: str
    base: str  # of which its cards are
    series: str
    oldest_client: str
    serial_prefix: str
    validity_days: int
    create_time: datetime
    revision: int = 1
    end_time: datetime | None = None  # when it was deleted

    @property
    def card_profile(self) -> CardProfile:
        """What a new card is made of: its base, under other numbers and for another time."""
        return replace(
            PROFILES[self.base],
            serial_prefix=self.serial_prefix,
            validity_days=self.validity_days,
        )


def profile_name(name: str) -> str:
    """The name of a profile to be defined; raises InvalidInput."""
    if len(name) > LONGEST_NAME or not _NAME.fullmatch(name):
        raise InvalidInput(
            f"name has to be of at most {LONGEST_NAME} characters: words of a to z and 0 to 9 with "
            "hyphens between them, such as series-8"
        )
    if name in PROFILES:
        raise InvalidInput(f"name is that of a built-in profile: give another one than {name}")
    return name


def base_named(name: str) -> CardProfile:
    """The built-in profile of which a variant is; raises InvalidInput."""
    if name not in BASES:
        raise InvalidInput(f"base is {name!r}: use one of {', '.join(BASES)}")
    return PROFILES[name]


def with_terms(profile: CustomProfile, terms: Terms) -> CustomProfile:
    """A profile with what terms say of it; raises InvalidInput."""
    base, changed = base_named(profile.base), profile
    if terms.series is not None:
        series = text_field("series", terms.series, LONGEST_SERIES)
        changed = replace(changed, series=series)
    if terms.oldest_client is not None:
        oldest = version_field("oldest_client", terms.oldest_client)
        changed = replace(changed, oldest_client=oldest)
    if terms.serial_prefix is not None:
        prefix = terms.serial_prefix.strip() or base.serial_prefix
        changed = replace(changed, serial_prefix=_prefix(prefix, base))
    if terms.validity_days is not None:
        days = terms.validity_days or base.validity_days
        if not 1 <= days <= base.validity_days:
            raise InvalidInput(f"validity_days has to be 1 to {base.validity_days}, or 0 for that")
        changed = replace(changed, validity_days=days)
    return changed


def _prefix(prefix: str, base: CardProfile) -> str:
    """How serial numbers begin. They stay those of the base, as reports know them by."""
    digits = prefix.isascii() and prefix.isdigit() and len(prefix) <= LONGEST_PREFIX
    if not digits or not prefix.startswith(base.serial_prefix):
        raise InvalidInput(
            f"serial_prefix has to be of at most {LONGEST_PREFIX} digits that begin with "
            f"{base.serial_prefix}, as those of all cards of the base {base.name} do"
        )
    return prefix
