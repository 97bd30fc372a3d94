"""The agent: one loop that handles what happens, as `reader_bridge.leaving` says."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import TypeVar

import structlog

from cloudcard_tools.reader.service.place import (
    Happening,
    Parts,
    Place,
    Reader,
    Seen,
    Withdrawn,
)
from cloudcard_tools.reader.service.settings import Settings
from cloudcard_tools.reader.service.state import Status
from cloudcard_tools.shared.failures import Failure, sentence
from private_files import writing
from reader_bridge.desktop.events import LEAVING, Event
from reader_bridge.leaving import Slot, Told
from reader_bridge.tasks import Cancellation

T = TypeVar("T")

TICK_SECONDS = 1.0
OUT_SECONDS = 3.0  # for which a computer that is about to sleep waits for the card to be out
GOODBYE_SECONDS = 2.0  # for telling the keystore, at the end
MINUTE = 60.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of the user's at the control socket."""

    told: Told
    user: str = ""  # who signs in
    card: str = ""  # which signs out; empty for every one
    done: queue.Queue[int | Failure] = field(default_factory=queue.Queue)  # with the slot


@dataclass(frozen=True, slots=True)
class Left:
    """What the desktop tells."""

    event: Event
    done: threading.Event = field(default_factory=threading.Event)


@dataclass(slots=True)
class Agent:
    """One person's agent. All but `ask`, `desktop` and `stop` is on the thread of `run`."""

    parts: Parts
    settings: Settings
    status: Status
    kept: Path  # the file that names the sign-ins, for an agent that is started again
    monotonic: Callable[[], float] = time.monotonic
    happenings: queue.Queue[Happening | Asked | Left | None] = field(default_factory=queue.Queue)
    places: list[Place] = field(init=False)
    _turns: Iterator[int] = field(default_factory=lambda: count(1))
    _ended: Cancellation = field(default_factory=Cancellation)  # with the agent
    _telling: list[threading.Thread] = field(default_factory=list)  # the keystore that one ends
    _idle_end: float | None = None

    def __post_init__(self) -> None:
        tell = self.happenings.put
        self.places = [
            Place(self.parts, self.status, here, tell, self._keep, self._end)
            for here in self.status.slots
        ]

    def ask(self, told: Told, user: str = "", card: str = "") -> int:
        """What the user wants; returns the slot concerned when it is begun. Raises Failure."""
        asked = Asked(told, user, card)
        self.happenings.put(asked)
        match asked.done.get():
            case Failure() as failure:
                raise failure
            case slot:
                return slot

    def desktop(self, event: Event) -> None:
        """What the desktop tells; returns when the cards are out, if they have to be."""
        left = Left(event)
        self.happenings.put(left)
        left.done.wait(OUT_SECONDS)

    def stop(self) -> None:
        """End `run`."""
        self.happenings.put(None)

    def run(self) -> None:
        """Handle what happens until `stop`. The cards are taken out, and the sign-ins ended."""
        self._resume()
        self.parts.notifier.ready()
        self._tell()
        self._try(self._ask_if_wanted)
        while True:
            self.parts.notifier.alive()
            try:
                happening = self.happenings.get(timeout=TICK_SECONDS)
            except queue.Empty:
                self._look_at_idle()
                continue
            if happening is None:
                break
            self._take(happening)
        self.parts.notifier.stopping()
        self._leave(Event.LOGGED_OFF)
        end = time.monotonic() + GOODBYE_SECONDS
        for each in self._telling:
            each.join(max(end - time.monotonic(), 0))
        self._ended.request()

    def _take(self, happening: Happening | Asked | Left) -> None:
        match happening:
            case Asked():
                happening.done.put(self._try(lambda: self._take_asked(happening)))
            case Left(event, done):
                self._try(lambda: self._take_desktop(event))
                done.set()
            case Seen(sign_in) if place := self._place_of(sign_in.id):
                self._try(partial(place.take_sign_in, sign_in))
            case Withdrawn(sign_in_id) if place := self._place_of(sign_in_id):
                self._try(partial(place.handle, Told.SIGN_OUT))
            case Reader(card, state):
                for each in self.places:
                    if card is each.card is not None:
                        each.here.reader = state.value
                self._tell()

    def _take_asked(self, asked: Asked) -> int:
        self.status.said = ""
        if asked.told is Told.SIGN_IN:
            return self._sign_in(asked.user or self.settings.user)
        if not asked.card:
            self._leave(asked.told)
            return 0
        for each in self.places:
            if each.here.card == asked.card:
                each.handle(asked.told)
                return each.here.slot
        raise Failure(f"card {asked.card} is in none of your readers")

    def _sign_in(self, user: str) -> int:
        """Ask somebody to sign in: in place of whoever was asked and has not, else where there is
        no card, else where one has been for the longest time. Raises Failure.
        """
        place = min(
            self.places,
            key=lambda each: (not each.is_shown, each.here.state is not Slot.EMPTY, each.turn),
        )
        place.handle(Told.SIGN_IN, user)
        place.turn = next(self._turns)
        return place.here.slot

    def _take_desktop(self, event: Event) -> None:
        if event is Event.IDLE:
            if self.settings.idle_minutes:
                self._idle_end = self.monotonic() + self.settings.idle_minutes * MINUTE
            return
        self._idle_end = None
        if event is Event.HERE:
            self._ask_if_wanted()
        elif event is Event.LOGGED_OFF or event.value in self.settings.leave_on:
            self._leave(event)

    def _look_at_idle(self) -> None:
        if self._idle_end is not None and self.monotonic() >= self._idle_end:
            self._idle_end = None
            self._try(lambda: self._leave(Event.IDLE))

    def _ask_if_wanted(self) -> None:
        if self.settings.ask and not self.status.occupied:
            self._sign_in(self.settings.user)

    def _leave(self, what: Event | Told) -> None:
        """Take every card out."""
        if isinstance(what, Event) and what in LEAVING:
            self.status.said = f"The card is out: {what.value}."
        for each in self.places:
            each.handle(what)

    def _place_of(self, sign_in_id: str) -> Place | None:
        """Where a sign-in is; None if it has ended."""
        return next((each for each in self.places if each.sign_in_id == sign_in_id), None)

    def _resume(self) -> None:
        """Go on with the sign-ins of an agent that was killed; end those for which the slots do not
        suffice any more.
        """
        try:
            found = self.kept.read_text().splitlines()
        except OSError:
            return
        for number, sign_in_id in enumerate(found):
            if sign_in_id and number < len(self.places):
                self.places[number].resume(sign_in_id)
                self.places[number].turn = next(self._turns)
            elif sign_in_id:
                self._end(sign_in_id)

    def _keep(self) -> None:
        """Write down where which sign-in is: a line a slot."""
        with suppress(OSError):
            writing.replace(self.kept, "\n".join(each.sign_in_id for each in self.places).encode())

    def _end(self, sign_in_id: str) -> None:
        """Tell the keystore that a sign-in ends, as soon as it can be told."""
        end = self.parts.sign_ins.end
        telling = threading.Thread(target=end, args=(sign_in_id, self._ended), daemon=True)
        self._telling = [*(each for each in self._telling if each.is_alive()), telling]
        telling.start()

    def _try(self, do: Callable[[], T]) -> T | Failure:
        """Do it; what fails is told, and the agent goes on."""
        try:
            return do()
        except Failure as failure:
            self.parts.say("failed", sentence(failure.message))
            return failure
        except Exception:  # a bug: nothing of a card stays in a slot that nobody looks after
            log.exception("agent failed")
            for each in self.places:
                each.take_card()
            return Failure("the agent failed: its log says more")
        finally:
            self._tell()

    def _tell(self) -> None:
        self.parts.notifier.status(self.status.sentence())
