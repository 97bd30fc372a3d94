"""Webhooks are told at the same time, each one thing after another, and what was not goes back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from cloud_keystore.mail.sending import Tried
from cloud_keystore.mail.webhooks.informing import Informing
from cloud_keystore.mail.webhooks.signing import Signed
from cloud_keystore.model.errors import StorageUnavailable
from cloud_keystore.model.outbox.notifications import Outcome


@dataclass
class Outbox:
    """What is due, and what became of it."""

    due: list[Signed]
    fails: int = 0
    told: dict[str, Outcome] = field(default_factory=dict)

    def take(self) -> Sequence[Signed]:
        some, self.due = self.due, []
        return some

    def tell(self, delivery_id: str, tries: int, outcome: Outcome, why: str) -> None:
        if self.fails:
            self.fails -= 1
            raise StorageUnavailable("the database is busy: try again")
        assert (tries, bool(why)) == (1, outcome is Outcome.LATER)
        self.told[delivery_id] = outcome


@dataclass
class Caller:
    """Webhooks of which some take nothing."""

    gone: str = ""
    called: list[str] = field(default_factory=list)
    waits: asyncio.Event | None = None

    async def call(self, signed: Signed) -> Tried:
        self.called.append(signed.delivery_id)
        if signed.webhook_id == self.gone:
            return Tried(Outcome.LATER, "there was no answer in time")
        if self.waits is not None:
            await self.waits.wait()
        return Tried(Outcome.TAKEN)


def due(*ids: str) -> list[Signed]:
    """One thing for each identifier, whose first letter is that of the webhook."""
    return [Signed(each, each[0], 1, "https://hr.example.org/", 0, "", b"{}") for each in ids]


def inform(outbox: Outbox, caller: Caller, *, stopped: bool = False) -> None:
    async def run() -> None:
        stop = asyncio.Event()
        if stopped:
            stop.set()
        await Informing(outbox, caller).inform(stop)

    asyncio.run(run())


def test_after_one_that_was_not_taken_the_others_of_its_webhook_wait() -> None:
    outbox, caller = Outbox(due("a1", "b1", "a2", "b2")), Caller(gone="a")
    inform(outbox, caller)
    assert outbox.told == {
        "a1": Outcome.LATER,
        "a2": Outcome.UNTRIED,
        "b1": Outcome.TAKEN,
        "b2": Outcome.TAKEN,
    }
    assert sorted(caller.called) == ["a1", "b1", "b2"]


def test_a_slow_one_keeps_no_other_waiting() -> None:
    async def run() -> None:
        outbox, caller = Outbox(due("a1", "a2", "b1")), Caller(gone="b", waits=asyncio.Event())
        informing = asyncio.create_task(Informing(outbox, caller).inform(asyncio.Event()))
        while "b1" not in outbox.told:
            await asyncio.sleep(0.001)
        assert caller.waits is not None
        caller.waits.set()
        assert await informing == 3
        assert outbox.told["a2"] is Outcome.TAKEN

    asyncio.run(run())


def test_what_is_left_when_the_process_ends_goes_back() -> None:
    outbox, caller = Outbox(due("a1", "b1")), Caller()
    inform(outbox, caller, stopped=True)
    assert (set(outbox.told.values()), caller.called) == ({Outcome.UNTRIED}, [])


def test_an_outbox_that_cannot_be_told_is_told_again() -> None:
    outbox = Outbox(due("a1"), fails=1)
    inform(outbox, Caller())
    assert outbox.told == {"a1": Outcome.TAKEN}
