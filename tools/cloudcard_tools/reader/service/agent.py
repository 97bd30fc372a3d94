"""The agent: one loop that handles what happens, as `reader_bridge.leaving` says."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from typing import Protocol, TypeAlias

import grpc
import structlog

from card_os.card import Card
from card_os.piv import CardImage, new_card
from cloudcard.workstation.v1 import workstation_pb2 as pb
from cloudcard_tools.reader.service.notifying import Notifier
from cloudcard_tools.reader.service.settings import Settings
from cloudcard_tools.reader.service.state import Status
from cloudcard_tools.shared.calling import explain
from cloudcard_tools.shared.failures import Failure, sentence
from private_files import writing
from reader_bridge.carriers.carrier import SlotState
from reader_bridge.desktop.events import LEAVING, Event
from reader_bridge.leaving import Act, Slot, Told, act
from reader_bridge.prompt_program import texts
from reader_bridge.prompter import Outcome, Prompt, Prompter
from reader_bridge.tasks import Cancellation

TICK_SECONDS = 1.0
OUT_SECONDS = 3.0  # for which a computer that is about to sleep waits for the card to be out
GOODBYE_SECONDS = 2.0  # for telling the keystore, at the end
MINUTE = 60.0

log = structlog.get_logger()


class Keys(Protocol):
    """The keys of a card at the keystore."""

    changes: int  # that this reader has made as the card's administrator

    def get_card(self) -> CardImage: ...


class SignIns(Protocol):
    """The sign-ins at the keystore, as `reader_bridge.remote.sign_in` has them."""

    def begin(self, user: str) -> pb.SignIn: ...

    def watch(
        self, sign_in_id: str, tell: Callable[[pb.SignIn], None], cancellation: Cancellation
    ) -> None: ...

    def end(self, sign_in_id: str, cancellation: Cancellation) -> None: ...


class Inserted(Protocol):
    """A card in a slot."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What the agent works with."""

    sign_ins: SignIns
    keys: Callable[[str], Keys]  # of the card with a serial number
    insert: Callable[[Card, Keys, Callable[[SlotState], None]], Inserted]
    prompter: Prompter
    notifier: Notifier
    say: Callable[[str, str], None]  # an event and a sentence


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of the user's at the control socket."""

    told: Told
    user: str = ""
    done: queue.Queue[Failure | None] = field(default_factory=queue.Queue)


@dataclass(frozen=True, slots=True)
class Seen:
    """What the keystore tells of a sign-in."""

    sign_in: pb.SignIn


@dataclass(frozen=True, slots=True)
class Left:
    """What the desktop tells."""

    event: Event
    done: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True)
class Reader:
    """What the slot tells of the card in it."""

    card: Inserted | None
    state: SlotState


Happening: TypeAlias = Asked | Seen | Left | Reader


@dataclass(slots=True)
class Agent:
    """One person's agent. All but `ask`, `desktop` and `stop` is on the thread of `run`."""

    parts: Parts
    settings: Settings
    status: Status
    kept: Path  # the file that names the sign-in, for an agent that is started again
    monotonic: Callable[[], float] = time.monotonic
    happenings: queue.Queue[Happening | None] = field(default_factory=queue.Queue)
    _sign_in_id: str = ""
    _version: bytes = b""
    _keys: Keys | None = None
    _card: Inserted | None = None
    _changes: int = 0
    _watch: Cancellation = field(default_factory=Cancellation)
    _ended: Cancellation = field(default_factory=Cancellation)  # with the agent
    _telling: threading.Thread | None = None  # the keystore that a sign-in ends
    _idle_end: float | None = None

    def ask(self, told: Told, user: str = "") -> Status:
        """What the user wants; returns when it is begun. Raises Failure."""
        asked = Asked(told, user)
        self.happenings.put(asked)
        if (failure := asked.done.get()) is not None:
            raise failure
        return self.status

    def desktop(self, event: Event) -> None:
        """What the desktop tells; returns when the card is out, if it has to be."""
        left = Left(event)
        self.happenings.put(left)
        left.done.wait(OUT_SECONDS)

    def stop(self) -> None:
        """End `run`."""
        self.happenings.put(None)

    def run(self) -> None:
        """Handle what happens until `stop`. The card is taken out, and the sign-in ended."""
        self._resume()
        self.parts.notifier.ready()
        self._tell()
        if self._is_asking_wanted():
            self._try(lambda: self._handle(Told.SIGN_IN, self.settings.user))
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
        self._do(act(self.status.state, Event.LOGGED_OFF))
        if self._telling is not None:
            self._telling.join(GOODBYE_SECONDS)
        self._ended.request()

    def _take(self, happening: Happening) -> None:
        match happening:
            case Asked(told, user, done):
                done.put(self._try(lambda: self._handle(told, user or self.settings.user)))
            case Left(event, done):
                self._try(lambda: self._take_desktop(event))
                done.set()
            case Seen(sign_in) if sign_in.id == self._sign_in_id:
                self._try(lambda: self._take_sign_in(sign_in))
            case Reader(card, state) if card is self._card:
                self.status.reader = state.value
                self._tell()
            case _:
                pass  # of a card that is out, or a sign-in that has ended

    def _take_desktop(self, event: Event) -> None:
        if event is Event.IDLE:
            if self.settings.idle_minutes:
                self._idle_end = self.monotonic() + self.settings.idle_minutes * MINUTE
            return
        self._idle_end = None
        if event is Event.HERE and self._is_asking_wanted():
            self._handle(Told.SIGN_IN, self.settings.user)
        elif event is Event.LOGGED_OFF or event.value in self.settings.leave_on:
            self._handle(event)

    def _look_at_idle(self) -> None:
        if self._idle_end is not None and self.monotonic() >= self._idle_end:
            self._idle_end = None
            self._try(lambda: self._handle(Event.IDLE))

    def _take_sign_in(self, sign_in: pb.SignIn) -> None:
        match sign_in.state:
            case pb.SIGN_IN_STATE_OPEN if self.status.state is Slot.ASKING:
                self.status.card, self._version = sign_in.card_serial, sign_in.card_version
                self._handle(Told.OPEN)
            case pb.SIGN_IN_STATE_OPEN if sign_in.card_version != self._version:
                self._version = sign_in.card_version
                self._handle(Told.CHANGED)
            case pb.SIGN_IN_STATE_ENDED:
                self.status.said = ENDS.get(sign_in.reason, ENDS[""])
                self._handle(Told.ENDED)

    def _handle(self, what: Event | Told, user: str = "") -> None:
        if isinstance(what, Event) and what in LEAVING:
            self.status.said = f"The card is out: {what.value}."
        self._do(act(self.status.state, what), user)

    def _do(self, what: Act, user: str = "") -> None:
        match what:
            case Act.ASK:
                self._begin(user)
            case Act.REPLACE:
                self._leave()
                self._begin(user)
            case Act.WITHDRAW | Act.TAKE_OUT:
                self._leave()
            case Act.DROP:
                self._drop()
            case Act.PUT_IN:
                self._finish_prompt(Outcome.APPROVED)
                self._put_in()
            case Act.EXCHANGE:
                self._exchange()
            case Act.NOTHING:
                return
        self._tell()

    def _begin(self, user: str) -> None:
        """Begin a sign-in, and show its number or code. Raises Failure."""
        try:
            sign_in = self.parts.sign_ins.begin(user)
        except grpc.RpcError as error:
            failure = explain(error)
            self.status.keystore = sentence(failure.message)
            raise failure from None
        self.status.keystore = "reached"
        self._keep(sign_in.id)
        self.status.state, self.status.said = Slot.ASKING, ""
        self.status.number, self.status.qr_text = sign_in.number, sign_in.qr_text
        end = sign_in.expire_time.ToDatetime(tzinfo=UTC)
        self.status.expires = end.isoformat(timespec="seconds")
        begin = sign_in.create_time.ToDatetime(tzinfo=UTC)
        qr_end = sign_in.qr_expire_time.ToDatetime(tzinfo=UTC)
        prompt = Prompt(
            sign_in.id,
            "",
            sign_in.number,
            sign_in.qr_text,
            end,
            check_code="",
            workstation=self.status.workstation,
            use=texts.SIGN_IN,
            # By the keystore's clock alone: this computer's can differ from it.
            seconds=(end - begin).total_seconds(),
            qr_seconds=(qr_end - begin).total_seconds(),
        )
        self.parts.prompter.show(prompt, lambda: self.happenings.put(Asked(Told.SIGN_OUT)))
        self._follow(sign_in.id)

    def _resume(self) -> None:
        """Go on with the sign-in of an agent that was killed."""
        with suppress(OSError):
            if found := self.kept.read_text().strip():
                self._sign_in_id, self.status.state = found, Slot.ASKING
                self._follow(found)

    def _follow(self, sign_in_id: str) -> None:
        self._watch = Cancellation()

        def watch(cancellation: Cancellation) -> None:
            tell = self.happenings.put
            self.parts.sign_ins.watch(sign_in_id, lambda each: tell(Seen(each)), cancellation)

        threading.Thread(target=watch, args=(self._watch,), name="sign-in", daemon=True).start()

    def _put_in(self) -> None:
        """Fetch the card and put it into the slot. Raises Failure if the keystore refuses."""
        self._keys = keys = self.parts.keys(self.status.card)
        try:
            image = keys.get_card()
        except grpc.RpcError as error:
            failure = explain(error)
            self.status.said = sentence(failure.message)
            self._leave()
            raise failure from None
        card = new_card(image, os.urandom)

        def changed(state: SlotState) -> None:
            self.happenings.put(Reader(self._card, state))

        self._changes = keys.changes
        self._card = self.parts.insert(card, keys, changed)
        self.status.state, self.status.reader = Slot.TAKEN, ""
        self.parts.say("signed_in", f"Card {self.status.card} is signed in.")
        self._card.start()

    def _exchange(self) -> None:
        """Put the changed card in place of the one before. What was changed through this very
        reader, its card shows already.
        """
        if self._keys is not None and self._keys.changes != self._changes:
            self._changes = self._keys.changes
            return
        self._take_card()
        self.parts.say("changed", f"Card {self.status.card} was changed: it is fetched again.")
        self._put_in()

    def _leave(self) -> None:
        """Take the card out, or withdraw what was asked, and tell the keystore as soon as it can be
        told.
        """
        left = self._sign_in_id
        self._drop()
        if left:
            end = self.parts.sign_ins.end
            self._telling = threading.Thread(target=end, args=(left, self._ended), daemon=True)
            self._telling.start()

    def _drop(self) -> None:
        self._take_card()
        self._watch.request()
        before, text = self.status.state, f"Card {self.status.card} is out. {self.status.said}"
        if before is Slot.ASKING:
            self._finish_prompt(Outcome.CANCELLED)
        self._keep("")
        self._version = b""
        self.status.state, self.status.card, self.status.reader = Slot.EMPTY, "", ""
        self.status.expires = ""
        # Last: whoever hears it may ask for the status at once.
        if before is Slot.TAKEN:
            self.parts.say("signed_out", text.rstrip())

    def _take_card(self) -> None:
        card, self._card = self._card, None
        if card is not None:
            card.stop()

    def _finish_prompt(self, outcome: Outcome) -> None:
        if self.status.number or self.status.qr_text:
            self.status.number = self.status.qr_text = ""
            self.parts.prompter.clear(self._sign_in_id, outcome)

    def _keep(self, sign_in_id: str) -> None:
        self._sign_in_id = sign_in_id
        with suppress(OSError):
            writing.replace(self.kept, sign_in_id.encode())

    def _is_asking_wanted(self) -> bool:
        return self.settings.ask and self.status.state is Slot.EMPTY

    def _try(self, do: Callable[[], None]) -> Failure | None:
        """Do it; what fails is told, and the agent goes on."""
        try:
            do()
        except Failure as failure:
            self.parts.say("failed", sentence(failure.message))
            self._tell()
            return failure
        except Exception:  # a bug: nothing of a card stays in a slot that nobody looks after
            log.exception("agent failed")
            self._take_card()
            return Failure("the agent failed: its log says more")
        return None

    def _tell(self) -> None:
        self.parts.notifier.status(self.status.sentence())


ENDS = {
    "": "Nobody has signed in.",
    "left": "",
    "holder": "Its holder has ended the sign-in on the phone.",
    "card": "The registration authority has suspended or revoked the card.",
    "replaced": "Its holder has signed in at another computer.",
    "time": "The sign-in has lasted as long as it may.",
    "removed": "This workstation, or the phone that approved, was removed.",
}
