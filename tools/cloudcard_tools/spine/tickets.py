"""The functions of the Ticket API that programs on workstations call, over an agent that has a
ticket or none. Their names and errors are those of the API.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum, unique

VERSION = "cloudcard 1"


@unique
class TicketError(IntEnum):
    """Errors of the older generation, and two of the newer one."""

    NONE = 0x0
    NOT_INITIALISED = 0x1
    NO_AGENT = 0x2
    NO_TICKET = 0x3
    PIN_BLOCKED = 0x80200004
    USER_ABORT = 0x80400001


MEANINGS: Mapping[TicketError, str] = {
    TicketError.NONE: "no error",
    TicketError.NOT_INITIALISED: "call Initialize first",
    TicketError.NO_AGENT: "no agent runs here",
    TicketError.NO_TICKET: "nobody is logged in",
    TicketError.PIN_BLOCKED: "the PIN is blocked",
    TicketError.USER_ABORT: "the user has cancelled",
}


@dataclass(slots=True)
class TicketApi:
    """What a program sees of an agent. Nothing raises: a program asks for the last error."""

    find: Callable[[], str]
    """The ticket; empty if nobody is logged in."""
    log_in: Callable[[], TicketError]
    """Log somebody in."""
    leave: Callable[[], None]
    """What happens when the card is removed."""
    _is_ready: bool = False
    _error: TicketError = TicketError.NONE

    def initialize(self) -> bool:
        """Initialize."""
        self._is_ready, self._error = True, TicketError.NONE
        return True

    def finalize(self) -> None:
        """Finalize."""
        self._is_ready = False

    def get_ga_version(self) -> str:
        """GetGAVersion."""
        return VERSION

    def get_ticket(self) -> str:
        """getTicket: the ticket; if there is none, somebody is asked to log in."""
        return self._ticket(logs_in=True)

    def get_ticket_no_auth(self) -> str:
        """getTicketNoAuth: the ticket, if there is one. Nobody is asked."""
        return self._ticket(logs_in=False)

    def get_new_ticket(self) -> str:
        """getNewTicket: another ticket; the one before has ended."""
        if self._is_ready and self.find():
            self.leave()
        return self._ticket(logs_in=True)

    def destroy_ticket(self) -> bool:
        """destroyTicket, which does what the removal of the card does."""
        if not self._is_ready:
            self._error = TicketError.NOT_INITIALISED
            return False
        self.leave()
        self._error = TicketError.NONE
        return True

    def get_last_error(self) -> int:
        """getLastError."""
        return int(self._error)

    def get_error_description(self) -> str:
        """getErrorDescription."""
        return MEANINGS[self._error]

    def is_terminal_service_session(self) -> bool:
        """isTerminalServiceSession: never, here."""
        return False

    def _ticket(self, *, logs_in: bool) -> str:
        if not self._is_ready:
            self._error = TicketError.NOT_INITIALISED
            return ""
        found, self._error = self.find(), TicketError.NONE
        if not found and logs_in:
            self._error = self.log_in()
            found = self.find() if self._error is TicketError.NONE else ""
        if not found and self._error is TicketError.NONE:
            self._error = TicketError.NO_TICKET
        return found
