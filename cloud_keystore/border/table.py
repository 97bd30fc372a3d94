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


@dataclass(frozen=True, slots=True)
class Proven:
    """Access for whoever has logged in lately; the use cases have `prove`."""

    access: Role


Access: TypeAlias = Role | Free | Each | Proven


@dataclass(frozen=True, slots=True)
class Method:
    """One method."""

    name: str  # "field.method"
    access: Role | Free
    signature: inspect.Signature  # without `self`
    parameters: Mapping[str, type]  # those that cross the border, by name
    result: type
    outcome: type | None = None  # of each request, if there are many
    needs_proof: bool = False  # whether the caller has to have logged in lately
    seconds: float | None = None  # after which nobody waits for it any longer

    @property
    def needs_caller(self) -> bool:
        """Whether a caller's certificate has to be given."""
        return self.access is not NOBODY

    @property
    def role(self) -> Role | None:
        """The role that the caller needs; None for any."""
        return self.access if isinstance(self.access, Role) else None


def methods(
    use_cases: type, table: Mapping[str, Access], brief: Collection[str] = ()
) -> Mapping[str, Method]:
    """The methods of a table, whose names are "field.method" of the dataclass `use_cases`. Nobody
    waits for long for the methods of the fields `brief`.
    """
    fields = {each.name for each in dataclasses.fields(use_cases)}
    types = get_type_hints(use_cases)
    made: dict[str, Method] = {}
    for name, access in table.items():
        field, _, method = name.partition(".")
        if field not in fields:
            raise ValueError(f"{use_cases.__name__} has no {field}")
        asked = _method(name, access, getattr(types[field], method))
        made[name] = replace(asked, seconds=BRIEF_SECONDS) if field in brief else asked
    return made


def _method(name: str, access: Access, method: object) -> Method:
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
    return Method(
        name,
        access.access if isinstance(access, Each | Proven) else access,
        inspect.Signature(given),
        crossing,
        hints["return"],
        access.outcome if isinstance(access, Each) else None,
        isinstance(access, Proven),
    )
