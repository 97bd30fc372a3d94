"""The loop that takes letters from the outbox to a mail server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from cloud_keystore.mail import delivering
from cloud_keystore.mail.delivering import MOST_TELLS, Delivering
from cloud_keystore.mail.letters import Letter
from cloud_keystore.mail.sending import Tried
from cloud_keystore.model.errors import StorageUnavailable
from cloud_keystore.model.outbox.notifications import Outcome

LETTERS = [Letter(str(number), 1, "ada@example.org", "Hello", "", "") for number in range(3)]


@dataclass
class Outbox:
    """Gives out portions; what is told can fail, and so can giving out."""

    portions: list[list[Letter]]
    failures: int = 0
    told: list[tuple[str, Outcome]] = field(default_factory=list)

    def take(self) -> list[Letter]:
        if not self.portions:
            raise StorageUnavailable("custody is starting again")
        return self.portions.pop(0)

    def tell(self, notification_id: str, _tries: int, outcome: Outcome, _why: str) -> None:
        if self.failures:
            self.failures -= 1
            raise StorageUnavailable("custody is starting again")
        self.told.append((notification_id, outcome))


@dataclass
class Server:
    """Takes everything."""

    taken: Callable[[Letter], None] = lambda _: None
    ended: int = 0

    async def send(self, letter: Letter) -> Tried:
        self.taken(letter)
        return Tried(Outcome.TAKEN)

    async def end_portion(self) -> None:
        self.ended += 1


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivering, "LOOK_SECONDS", 0.001)


def deliver(outbox: Outbox, server: Server) -> int:
    async def once() -> int:
        return await Delivering(outbox, server).deliver(asyncio.Event())

    return asyncio.run(once())


def test_a_portion_is_sent_and_told() -> None:
    outbox, server = Outbox([[*LETTERS]]), Server()
    assert deliver(outbox, server) == 3
    assert outbox.told == [(each.notification_id, Outcome.TAKEN) for each in LETTERS]
    assert server.ended == 1


def test_what_was_sent_is_told_when_custody_is_back() -> None:
    outbox = Outbox([[LETTERS[0]]], failures=MOST_TELLS - 1)
    deliver(outbox, Server())
    assert outbox.told == [("0", Outcome.TAKEN)]


def test_nobody_waits_for_ever_for_custody() -> None:
    outbox, server = Outbox([[*LETTERS]], failures=MOST_TELLS), Server()
    with pytest.raises(StorageUnavailable):
        deliver(outbox, server)
    assert (outbox.told, server.ended) == ([], 1)


def test_who_is_told_to_stop_finishes_one_letter_and_gives_back_the_others() -> None:
    async def stopped() -> Outbox:
        stop = asyncio.Event()
        outbox, server = Outbox([[*LETTERS]]), Server(lambda _: stop.set())
        await Delivering(outbox, server).keep_delivering(stop)
        return outbox

    outcomes = [outcome for _, outcome in asyncio.run(stopped()).told]
    assert outcomes == [Outcome.TAKEN, Outcome.UNTRIED, Outcome.UNTRIED]


def test_a_failure_ends_no_delivery() -> None:
    """The outbox is not there at first."""

    async def patient() -> list[str]:
        stop, taken = asyncio.Event(), list[str]()

        def take(letter: Letter) -> None:
            taken.append(letter.notification_id)
            stop.set()

        outbox = Outbox([])
        working = asyncio.create_task(Delivering(outbox, Server(take)).keep_delivering(stop))
        await asyncio.sleep(0.01)
        outbox.portions.append([LETTERS[0]])
        await working
        return taken

    assert asyncio.run(patient()) == ["0"]
