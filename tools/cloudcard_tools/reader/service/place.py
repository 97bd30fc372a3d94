"""One slot of the agent: the sign-in that is asked for there, and the card that it brings."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC
from typing import Protocol, TypeAlias

import grpc

from card_os.card import Card
from card_os.piv import CardImage, new_card
from cloudcard.workstation.v1 import workstation_pb2 as pb
from cloudcard_tools.reader.service.notifying import Notifier
from cloudcard_tools.reader.service.state import Here, Status
from cloudcard_tools.shared.calling import explain
from cloudcard_tools.shared.failures import sentence
from reader_bridge.carriers.carrier import SlotState
from reader_bridge.desktop.events import Event
from reader_bridge.leaving import Act, Slot, Told, act
from reader_bridge.prompt_program import texts
from reader_bridge.prompter import Outcome, Prompt, Prompter
from reader_bridge.tasks import Cancellation


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
    insert: Callable[[int, Card, Keys, Callable[[SlotState], None]], Inserted]  # into a slot
    prompter: Prompter
    notifier: Notifier
    say: Callable[[str, str], None]  # an event and a sentence


@dataclass(frozen=True, slots=True)
class Seen:
    """What the keystore tells of a sign-in."""

    sign_in: pb.SignIn


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The prompt of a sign-in was cancelled."""

    sign_in_id: str


@dataclass(frozen=True, slots=True)
class Reader:
    """What a slot tells of the card in it."""

    card: Inserted | None
    state: SlotState


Happening: TypeAlias = Seen | Withdrawn | Reader


@dataclass(slots=True)
class Place:
    """A slot. All of it is on the agent's thread."""

    parts: Parts
    status: Status
    here: Here
    tell: Callable[[Happening], None]  # the agent, from any thread
    keep: Callable[[], None]  # which sign-ins there are, for an agent that is started again
    end: Callable[[str], None]  # tells the keystore that a sign-in ends
    sign_in_id: str = ""
    card: Inserted | None = None
    turn: int = 0  # of the sign-ins at this agent, counted from 1
    _version: bytes = b""
    _keys: Keys | None = None
    _changes: int = 0
    _watch: Cancellation = field(default_factory=Cancellation)

    @property
    def is_shown(self) -> bool:
        """Whether a number or code is on the screen."""
        return bool(self.here.number or self.here.qr_text)

    def resume(self, sign_in_id: str) -> None:
        """Go on with the sign-in of an agent that was killed."""
        self.sign_in_id, self.here.state = sign_in_id, Slot.ASKING
        self._follow()

    def take_sign_in(self, sign_in: pb.SignIn) -> None:
        """What the keystore tells of the sign-in. Raises Failure."""
        match sign_in.state:
            case pb.SIGN_IN_STATE_OPEN if self.here.state is Slot.ASKING:
                self.here.card, self._version = sign_in.card_serial, sign_in.card_version
                self.handle(Told.OPEN)
            case pb.SIGN_IN_STATE_OPEN if sign_in.card_version != self._version:
                self._version = sign_in.card_version
                self.handle(Told.CHANGED)
            case pb.SIGN_IN_STATE_ENDED:
                self.status.said = ENDS.get(sign_in.reason, ENDS[""])
                self.handle(Told.ENDED)

    def handle(self, what: Event | Told, user: str = "") -> None:
        """Do what `reader_bridge.leaving` says. Raises Failure."""
        match act(self.here.state, what):
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
                pass

    def take_card(self) -> None:
        """Take the card out, whatever becomes of the sign-in."""
        card, self.card = self.card, None
        if card is not None:
            card.stop()

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
        self.here.state, self.status.said = Slot.ASKING, ""
        self.here.number, self.here.qr_text = sign_in.number, sign_in.qr_text
        end = sign_in.expire_time.ToDatetime(tzinfo=UTC)
        self.here.expires = end.isoformat(timespec="seconds")
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
        self.parts.prompter.show(prompt, lambda: self.tell(Withdrawn(sign_in.id)))
        self._follow()

    def _follow(self) -> None:
        self._watch, sign_in_id = Cancellation(), self.sign_in_id

        def watch(cancellation: Cancellation) -> None:
            self.parts.sign_ins.watch(sign_in_id, lambda each: self.tell(Seen(each)), cancellation)

        threading.Thread(target=watch, args=(self._watch,), name="sign-in", daemon=True).start()

    def _put_in(self) -> None:
        """Fetch the card and put it into the slot. Raises Failure if the keystore refuses."""
        self._keys = keys = self.parts.keys(self.here.card)
        try:
            image = keys.get_card()
        except grpc.RpcError as error:
            failure = explain(error)
            self.status.said = sentence(failure.message)
            self._leave()
            raise failure from None
        card = new_card(image, os.urandom)

        def changed(state: SlotState) -> None:
            self.tell(Reader(self.card, state))

        self._changes = keys.changes
        self.card = self.parts.insert(self.here.slot, card, keys, changed)
        self.here.state, self.here.reader = Slot.TAKEN, ""
        self.parts.say("signed_in", f"Card {self.here.card} is signed in.")
        self.card.start()

    def _exchange(self) -> None:
        """Put the changed card in place of the one before. What was changed through this very
        reader, its card shows already.
        """
        if self._keys is not None and self._keys.changes != self._changes:
            self._changes = self._keys.changes
            return
        self.take_card()
        self.parts.say("changed", f"Card {self.here.card} was changed: it is fetched again.")
        self._put_in()

    def _leave(self) -> None:
        """Take the card out, or withdraw what was asked, and tell the keystore."""
        left = self.sign_in_id
        self._drop()
        if left:
            self.end(left)

    def _drop(self) -> None:
        self.take_card()
        self._watch.request()
        before, text = self.here.state, f"Card {self.here.card} is out. {self.status.said}"
        if before is Slot.ASKING:
            self._finish_prompt(Outcome.CANCELLED)
        self._keep("")
        self._version, self.turn = b"", 0
        self.here.state, self.here.card, self.here.reader = Slot.EMPTY, "", ""
        self.here.expires = ""
        # Last: whoever hears it may ask for the status at once.
        if before is Slot.TAKEN:
            self.parts.say("signed_out", text.rstrip())

    def _finish_prompt(self, outcome: Outcome) -> None:
        if self.is_shown:
            self.here.number = self.here.qr_text = ""
            self.parts.prompter.clear(self.sign_in_id, outcome)

    def _keep(self, sign_in_id: str) -> None:
        self.sign_in_id = sign_in_id
        self.keep()


ENDS = {
    "": "Nobody has signed in.",
    "left": "",
    "holder": "Its holder has ended the sign-in on the phone.",
    "card": "The registration authority has suspended or revoked the card.",
    "replaced": "Its holder has signed in at another computer or reader.",
    "time": "The sign-in has lasted as long as it may.",
    "removed": "This workstation, or the phone that approved, was removed.",
}
