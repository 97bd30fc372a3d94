"""The functions that programs on workstations call for a ticket."""

from __future__ import annotations

from dataclasses import dataclass, field

from cloudcard_tools.spine.tickets import MEANINGS, TicketApi, TicketError


@dataclass
class Agent:
    """An agent that logs somebody in, or does not."""

    result: TicketError = TicketError.NONE
    tickets: list[str] = field(default_factory=list)
    made: int = 0

    def find(self) -> str:
        return self.tickets[-1] if self.tickets else ""

    def log_in(self) -> TicketError:
        if self.result is TicketError.NONE:
            self.made += 1
            self.tickets.append(f"ticket {self.made}")
        return self.result

    def api(self) -> TicketApi:
        return TicketApi(self.find, self.log_in, self.tickets.clear)


def test_nothing_is_told_before_initialize_and_after_finalize() -> None:
    agent = Agent(tickets=["ticket"])
    api = agent.api()
    for _ in range(2):
        assert api.get_ticket() == api.get_ticket_no_auth() == api.get_new_ticket() == ""
        assert not api.destroy_ticket()
        assert api.get_last_error() == TicketError.NOT_INITIALISED
        assert agent.tickets == ["ticket"]
        assert api.initialize()
        assert api.get_ticket() == "ticket"
        api.finalize()


def test_a_ticket_is_asked_for_or_only_looked_for() -> None:
    agent = Agent()
    api = agent.api()
    api.initialize()
    assert api.get_ticket_no_auth() == ""
    assert api.get_last_error() == TicketError.NO_TICKET
    assert agent.made == 0
    assert api.get_ticket() == "ticket 1"
    assert api.get_ticket_no_auth() == "ticket 1"
    assert api.get_new_ticket() == "ticket 2"
    assert agent.tickets == ["ticket 2"]
    assert api.get_last_error() == TicketError.NONE
    assert not api.is_terminal_service_session()
    assert api.get_ga_version()


def test_a_destroyed_ticket_is_that_of_a_removed_card() -> None:
    agent = Agent(tickets=["ticket"])
    api = agent.api()
    api.initialize()
    assert api.destroy_ticket()
    assert api.get_ticket_no_auth() == ""


def test_errors_have_the_numbers_of_the_api() -> None:
    """And each has words."""
    for error, number in (
        (TicketError.PIN_BLOCKED, 0x80200004),
        (TicketError.USER_ABORT, 0x80400001),
    ):
        api = Agent(result=error).api()
        api.initialize()
        assert api.get_ticket() == ""
        assert api.get_last_error() == number
        assert api.get_error_description() == MEANINGS[error]
    assert set(MEANINGS) == set(TicketError)
