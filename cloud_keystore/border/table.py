"""What can be asked over the border: methods of use cases, who may ask, and their types."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TypeAlias, get_type_hints

from cloud_keystore.model.people import Role

BRIEF_SECONDS = 2.5


class Free(Enum):
    """Access that does not depend on a role."""

    NOBODY = auto()  # it needs no caller
    ANY = auto()  # any identity


NOBODY, ANY = Free.NOBODY, Free.ANY


@dataclass(frozen=True, slots=True)
class Each:
    """Access to a method that takes many requests, and gives each outcome, of the type `outcome`,
    to its argument `done`.
    """

    access: Role | Free
    outcome: type


Access: TypeAlias = Role | Free | Each


@dataclass(frozen=True, slots=True)
class Entry:
    """One method."""

    name: str  # "field.method"
    access: Role | Free
    signature: inspect.Signature  # without `self`
    parameters: Mapping[str, type]  # those that cross the border, by name
    result: type
    outcome: type | None = None  # of each request, if there are many
    seconds: float | None = None  # after which nobody waits for it any longer

    @property
    def needs_caller(self) -> bool:
        """Whether a caller's certificate has to be given."""
        return self.access is not NOBODY

    @property
    def role(self) -> Role | None:
        """The role that the caller needs; None for any."""
        return self.access if isinstance(self.access, Role) else None


def entries(
    use_cases: type, table: Mapping[str, Access], brief: Collection[str] = ()
) -> Mapping[str, Entry]:
    """The entries of a table, whose names are "field.method" of the dataclass `use_cases`. Nobody
    waits for long for the methods of the fields `brief`.
    """
    fields = {each.name for each in dataclasses.fields(use_cases)}
    types = get_type_hints(use_cases)
    made: dict[str, Entry] = {}
    for name, access in table.items():
        field, _, method = name.partition(".")
        if field not in fields:
            raise ValueError(f"{use_cases.__name__} has no {field}")
        entry = _entry(name, access, getattr(types[field], method))
        made[name] = replace(entry, seconds=BRIEF_SECONDS) if field in brief else entry
    return made


def _entry(name: str, access: Access, method: object) -> Entry:
    if not callable(method):
        raise TypeError(f"{name} is no method")
    _, *given = inspect.signature(method).parameters.values()
    hints = get_type_hints(method)
    crossing = {
        each.name: hints[each.name]
        for each in given
        # What is called back stays on its side.
        if each.name not in ("keep", "done")
    }
    return Entry(
        name,
        access.access if isinstance(access, Each) else access,
        inspect.Signature(given),
        crossing,
        hints["return"],
        access.outcome if isinstance(access, Each) else None,
    )
