"""What the API tells of people and cards. What a later version tells besides is passed over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Self, cast

TIMES = frozenset({"created", "expires"})


class _Told:
    """A value that is made of a JSON object."""

    @classmethod
    def of(cls, told: Mapping[str, object]) -> Self:
        """Take what the class knows of what was told."""
        given = {each.name: told[each.name] for each in fields(cls) if each.name in told}  # type: ignore[arg-type]
        for name in TIMES & given.keys():
            given[name] = datetime.fromisoformat(cast("str", given[name]))
        return cls(**given)


@dataclass(frozen=True, slots=True)
class Person(_Told):
    """A person. `version` is known of those who were asked for one by one."""

    id: str
    uuid12: str
    name: str
    email: str
    phone: str
    upn: str
    sid: str
    organisation_id: str
    profile: str
    state: str
    created: datetime
    cards: tuple[str, ...] = ()  # serial numbers
    version: str = ""


@dataclass(frozen=True, slots=True)
class Invitation(_Told):
    """A one-time token, by which a phone is enrolled."""

    token: str
    expires: datetime

    def __repr__(self) -> str:
        return f"Invitation(expires={self.expires!r})"


@dataclass(frozen=True, slots=True)
class Card(_Told):
    """A card."""

    serial: str
    user_id: str
    user_name: str
    profile: str
    state: str
    passcode: str
    organisation_id: str
    created: datetime
    expires: datetime
