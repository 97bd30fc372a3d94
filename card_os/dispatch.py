"""From a command to its handler: an application is a table of instructions and a state.

A row has a parser and a handler. The parser turns a command into a value of its own type and checks
P1-P2 before anything else; the handler receives the state and that value.
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

# Of a parser's errors, those that do not depend on the data.
ABOUT_HEADER = (
    SW.INS_NOT_SUPPORTED,
    SW.FUNCTION_NOT_SUPPORTED,
    SW.INCORRECT_P1P2,
    SW.REFERENCE_DATA_NOT_FOUND,
)


@dataclass(frozen=True, slots=True)
class Row(Generic[State]):
    """The parser and handler of one instruction; `row` makes one."""

    parse: Callable[[Command], object]
    handle: Callable[[State, Command], Reply]
    chained: bool = False  # accepts command chaining
    protected: bool = False  # accepts secure messaging


def row(
    parse: Callable[[Command], Parsed],
    handle: Callable[[State, Parsed], Reply],
    *,
    chained: bool = False,
    protected: bool = False,
) -> Row[State]:
    """The row of an instruction: `parse` checks its commands and `handle` answers them."""
    return Row(parse, lambda state, command: handle(state, parse(command)), chained, protected)


@dataclass(frozen=True, slots=True)
class Table(Generic[State]):
    """The rows of an application, by instruction and class."""

    interindustry: Mapping[int, Row[State]]
    proprietary: Mapping[int, Mapping[int, Row[State]]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    """By class byte without channel and chaining: 80 stands for 80 to 83 and 90 to 93."""

    def find(self, header: Command) -> Row[State]:
        """The row of a command. Raises 6E00 for an unknown class and 6D00 if there is no row."""
        rows = self.of_class(header) if header.is_proprietary else self.interindustry
        found = rows.get(header.ins)
        if found is None:
            raise CardError(SW.INS_NOT_SUPPORTED, "no such instruction")
        return found

    def of_class(self, header: Command) -> Mapping[int, Row[State]]:
        """The rows of a proprietary class. Raises 6E00 if the application does not have it."""
        rows = self.proprietary.get(header.base_class)
        if rows is None:
            raise CardError(SW.CLA_NOT_SUPPORTED, "the application has no such class")
        return rows


class Selection(Generic[State]):
    """An application as it is selected on one channel: its table, and a state of the channel's own.

    Handlers change the state. Their changes remain if they raise CardError, and are undone after a
    bug. A copy of the state must therefore be independent of it: keep values in it, not mutable
    containers.
    """

    def __init__(self, table: Table[State], state: State) -> None:
        self.table = table
        self.state = state
        self._before = state

    def begin(self) -> None:
        """Start a command: save the state to which `roll_back` returns."""
        self._before = copy(self.state)

    def roll_back(self) -> None:
        """Undo every change of the state since `begin`."""
        self.state = self._before

    def duplicate(self) -> Self:
        """A selection for another channel, with a copy of the state."""
        other = copy(self)
        other.state = copy(self.state)
        return other

    @property
    def secure_messaging(self) -> SecureMessaging | None:
        """Always None; `card_os.protection` has a selection with secure messaging."""
        return None

    @property
    def protected_error(self) -> str:
        """Always empty, as no command is protected."""
        return ""

    def end_secure_messaging(self) -> None:
        """Do nothing: there are no session keys."""

    def check_protection(self, header: Command) -> None:
        """Raise 6882: there is no secure messaging."""
        del header
        raise CardError(SW.SECURE_MESSAGING_NOT_SUPPORTED, "the application has none")

    def check_class(self, header: Command) -> None:
        """Raise 6E00 for a proprietary class that the table does not have."""
        self.table.of_class(header)

    def check(self, header: Command) -> None:
        """Raise an error if class, instruction or P1-P2 is wrong; the data is not examined."""
        found = self.table.find(header)
        try:
            found.parse(replace(header, data=b"", ne=0))
        except CardError as error:
            if error.sw in ABOUT_HEADER:
                raise

    def can_chain(self, header: Command) -> bool:
        """Whether a command can come in parts. Raises 6E00 and 6D00 as `Table.find` does."""
        return self.table.find(header).chained

    def process(self, command: Command, number: int) -> Reply:
        """Response data, or the exchange that ends with it; the command's `number` is not used."""
        del number
        return self.answer(command)

    def answer(self, command: Command) -> Reply:
        """The reply of the command's handler."""
        return self.table.find(command).handle(self.state, command)
