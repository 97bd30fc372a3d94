"""From a command to its handler: an application is a table of instructions and a state.

A row has a parser and a handler. The parser makes of a command a value of its own type, and raises
what is wrong with P1-P2 before all else; the handler is told the state and that value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Generic, Self, TypeAlias, TypeVar

from card_os.apdu import Command
from card_os.keys import Exchange
from card_os.secure_messaging import SecureMessaging
from card_os.status import SW, CardError

State = TypeVar("State")
Parsed = TypeVar("Parsed")

Reply: TypeAlias = bytes | Exchange  # response data, or the exchange that ends with it

# What a parser may say of a command whose data cannot be read.
ABOUT_HEADER = (
    SW.INS_NOT_SUPPORTED,
    SW.FUNCTION_NOT_SUPPORTED,
    SW.INCORRECT_P1P2,
    SW.REFERENCE_DATA_NOT_FOUND,
)


@dataclass(frozen=True, slots=True)
class Row(Generic[State]):
    """What answers an instruction; `row` makes one."""

    parse: Callable[[Command], object]
    handle: Callable[[State, Command], Reply]
    chained: bool = False  # may come in parts
    protected: bool = False  # may come under secure messaging


def row(
    parse: Callable[[Command], Parsed],
    handle: Callable[[State, Parsed], Reply],
    *,
    chained: bool = False,
    protected: bool = False,
) -> Row[State]:
    """The row of an instruction whose commands `parse` checks and `handle` answers."""
    return Row(parse, lambda state, command: handle(state, parse(command)), chained, protected)


@dataclass(frozen=True, slots=True)
class Table(Generic[State]):
    """Which row answers an instruction."""

    interindustry: Mapping[int, Row[State]]
    proprietary: Mapping[int, Mapping[int, Row[State]]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    """By class byte, without channel and chaining: 80 stands for 80 to 83 and 90 to 93."""

    def find(self, header: Command) -> Row[State]:
        """The row of a command. Raises 6E00 for its class, 6D00 for its instruction."""
        rows = self.of_class(header) if header.is_proprietary else self.interindustry
        found = rows.get(header.ins)
        if found is None:
            raise CardError(SW.INS_NOT_SUPPORTED, "no such instruction")
        return found

    def of_class(self, header: Command) -> Mapping[int, Row[State]]:
        """The rows of a proprietary class. Raises 6E00."""
        rows = self.proprietary.get(header.base_class)
        if rows is None:
            raise CardError(SW.CLA_NOT_SUPPORTED, "the application has no such class")
        return rows


class Selection(Generic[State]):
    """An application as it is selected on one channel: its table, and a state of the channel's own.

    Handlers change the state. What one has done stays done where it raises CardError, and is taken
    back after a bug: so a state holds values, and no containers that change.
    """

    def __init__(self, table: Table[State], state: State) -> None:
        self.table = table
        self.state = state
        self._before = state

    def begin(self) -> None:
        """Start a command, to whose beginning `roll_back` goes back."""
        self._before = copy(self.state)

    def roll_back(self) -> None:
        """Take back what has happened to the state since `begin`."""
        self.state = self._before

    def duplicate(self) -> Self:
        """The same for another channel: as selected, with a copy of the state."""
        other = copy(self)
        other.state = copy(self.state)
        return other

    @property
    def secure_messaging(self) -> SecureMessaging | None:
        """There is none; `card_os.protection` has a selection with it."""
        return None

    def end_secure_messaging(self) -> None:
        """There is none to end."""

    def check_protection(self, header: Command) -> None:
        """Raise 6882: there is no secure messaging."""
        del header
        raise CardError(SW.SECURE_MESSAGING_NOT_SUPPORTED, "the application has none")

    def check_class(self, header: Command) -> None:
        """Raise 6E00 for a proprietary class that the table does not have."""
        self.table.of_class(header)

    def check(self, header: Command) -> None:
        """Raise what is wrong with class, instruction or P1-P2; data is not looked at."""
        found = self.table.find(header)
        try:
            found.parse(replace(header, data=b"", ne=0))
        except CardError as error:
            if error.sw in ABOUT_HEADER:
                raise

    def can_chain(self, header: Command) -> bool:
        """Whether a command may come in parts. Raises 6E00 and 6D00."""
        return self.table.find(header).chained

    def process(self, command: Command, number: int) -> Reply:
        """Response data, or the exchange that ends with it; `number` is the command's."""
        del number
        return self.answer(command)

    def answer(self, command: Command) -> Reply:
        """What the handler of a command replies."""
        return self.table.find(command).handle(self.state, command)
