"""Roles that organisations define for themselves, beside the built-in ones."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.rights.roles import RIGHTS, Right

LONGEST_NAME = 40
MOST_ROLES = 100  # of one organisation
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class CustomRole:
    """A role that operators can have in the organisation that has defined it, and below it."""

    id: str
    name: str
    organisation_id: str
    rights: frozenset[Right]
    create_time: datetime
    end_time: datetime | None = None  # when it was deleted


def role_name(name: str) -> str:
    """The name of a role to be defined; raises InvalidInput."""
    if len(name) > LONGEST_NAME or not _NAME.fullmatch(name):
        raise InvalidInput(
            f"name has to be of at most {LONGEST_NAME} characters: words of a to z and 0 to 9 with "
            "hyphens between them, such as ward-clerk"
        )
    if name in RIGHTS:
        raise InvalidInput(f"name is that of a built-in role: give another one than {name}")
    return name


def role_rights(names: Collection[str]) -> frozenset[Right]:
    """The rights of a role to be defined. Raises InvalidInput for an unknown one, and without the
    right to view: what somebody does not see does not exist for them.
    """
    known = {each.value: each for each in Right}
    for each in names:
        if each not in known:
            raise InvalidInput(f"rights has {each!r}: use some of {', '.join(known)}")
    rights = frozenset(known[each] for each in names)
    if Right.VIEW not in rights:
        raise InvalidInput("rights lacks 'view': without it, the others are of no use")
    return rights


def spelled(rights: Collection[Right]) -> str:
    """Rights as rows and the journal have them."""
    return " ".join(each for each in Right if each in rights)


def parsed(text: str) -> frozenset[Right]:
    """The rights of a row. Those of a later version are left out."""
    named = set(text.split())
    return frozenset(each for each in Right if each.value in named)
