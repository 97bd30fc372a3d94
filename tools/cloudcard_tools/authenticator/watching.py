"""`authenticator watch`: rings, asks and decides. It reconnects when the keystore comes back."""

from __future__ import annotations

import json
import queue
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TextIO, TypeAlias

import click
import grpc

from cloudcard.authenticator.v1.authenticator_pb2 import PortalQuestion
from cloudcard_tools.authenticator import questions
from cloudcard_tools.authenticator.hiding import hide, show_again
from cloudcard_tools.authenticator.phone import Asked, Closed, Phone, Ringing, Unlocks, Warned
from cloudcard_tools.authenticator.screen import facts, reported, show, show_documents
from cloudcard_tools.shared.calling import explain, explained
from cloudcard_tools.shared.failures import Failure, Refused, sentence
from cloudcard_tools.shared.reaching import why

RETRY_SECONDS = 0.5
HINT = (
    "Type the number shown at the workstation to approve: there is one guess.\n"
    "d denies; n denies and reports that it was not you. Enter alone does nothing: "
)
PORTAL_HINT = (
    "Type the number shown at the portal to agree: there is one guess.\n"
    "d says no; n says that it was not you. Enter alone does nothing: "
)
PIN_HINT = "Type the PIN of this phone, or Enter alone to leave it: "
MORE_HINT = "… and {} more: m shows the next ones."
UNLOCK = (
    "The registration authority has asked to unlock card {0}. If you have asked for it, agree: "
    "cloudcard authenticator unlock {0}"
)
AT_ONCE = 20  # documents
DENY = ("d", "deny")
NOT_ME = ("n", "not me")
MORE = ("m", "more")


@dataclass(frozen=True, slots=True)
class Typed:
    """A line that the holder typed."""

    line: str


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection to the keystore broke."""

    text: str


@dataclass(frozen=True, slots=True)
class Found:
    """The keystore answers again."""


@dataclass(frozen=True, slots=True)
class Finished:
    """No more input will come, or no more requests."""


Waiting: TypeAlias = Ringing | PortalQuestion
Happening: TypeAlias = (
    "Ringing | Closed | Warned | Asked | Unlocks | Typed | Lost | Found | Failure | Finished"
)


@dataclass(slots=True)
class Watch:
    """One run of `watch`: two threads feed a queue, and one loop handles what is in it."""

    phone: Phone
    as_json: bool
    waiting: list[Waiting] = field(default_factory=list)
    seen: set[str] = field(
        default_factory=set
    )  # a reconnected stream repeats what waits: ring once
    unlocks: tuple[str, ...] = ()  # cards for whose unlock the registration authority has asked
    listed: int = 0  # documents of the newest request
    lost: bool = False
    number: str = ""  # which was typed for the newest, and waits for the PIN
    happenings: queue.Queue[Happening] = field(default_factory=queue.Queue)
    ended: threading.Event = field(default_factory=threading.Event)

    def run(self, stdin: TextIO) -> None:
        """Watch until standard input ends or Ctrl-C is pressed."""
        for feed in (self._feed_events, lambda: self._feed_lines(stdin)):
            threading.Thread(target=feed, daemon=True).start()
        self._say("watching", "Watching for requests. Ctrl-C ends.")
        # Ctrl-C is the usual end, and no failure.
        try:
            with suppress(KeyboardInterrupt):
                while not isinstance(happening := self.happenings.get(), Finished):
                    self._handle(happening)
        finally:
            show_again()
        self.ended.set()

    def _handle(self, happening: Happening) -> None:
        match happening:
            case Ringing():
                self._ring(happening)
            case Closed(operation_id, state):
                if any(_id(each) == operation_id for each in self.waiting):
                    self._drop(operation_id)
                    self._say(
                        "closed", f"Request closed: {state}.", operation=operation_id, state=state
                    )
            case Warned(alert_id, card, text) if alert_id not in self.seen:
                self.seen.add(alert_id)
                bell = "" if self.as_json else "\a\n"
                self._say("alert", f"{bell}{text}", alert=alert_id, card=card)
            case Asked(asked):
                self._asked(asked)
            case Unlocks(serials):
                self._tell_unlocks(serials)
            case Typed(line):
                self._answer(line.strip())
            case Lost(text):
                if not self.lost:
                    self._say("lost", f"{sentence(text)} Trying again.")
                self.lost = True
            case Found():
                if self.lost:
                    self._say("found", "The keystore is back.")
                self.lost = False
            case Failure():
                self._say("failure", happening.message)

    def _ring(self, ringing: Ringing) -> None:
        if ringing.operation_id in self.seen:
            return
        self.seen.add(ringing.operation_id)
        self._put(ringing)
        if self.as_json:
            click.echo(json.dumps({"event": "request", **facts(ringing)}))
            return
        click.echo("\a\nA request waits for you")
        show(ringing)
        self.listed = 0
        self._list(ringing)
        click.echo(HINT, nl=False)

    def _asked(self, asked: tuple[PortalQuestion, ...]) -> None:
        """Ring for what the phone is asked now, and was not before."""
        now = {each.id for each in asked}
        for each in self.waiting:
            if isinstance(each, PortalQuestion) and each.id not in now:
                self._drop(each.id)
                self._say("closed", "The portal asks no longer.", operation=each.id)
        for question in asked:
            if question.id in self.seen:
                continue
            self.seen.add(question.id)
            self._put(question)
            if self.as_json:
                click.echo(json.dumps({"event": "question", **questions.row(question)}))
                continue
            click.echo(f"\a\nThe portal asks: {question.title}\n{question.text}")
            click.echo(PORTAL_HINT, nl=False)

    def _tell_unlocks(self, serials: tuple[str, ...]) -> None:
        """Tell of each card whose unlock waits, and did not before, or waits no longer."""
        bell = "" if self.as_json else "\a\n"
        for serial in sorted(set(serials) - set(self.unlocks)):
            self._say("unlock", f"{bell}{UNLOCK.format(serial)}", card=serial)
        for serial in sorted(set(self.unlocks) - set(serials)):
            self._say("closed", f"The unlock of card {serial} waits no longer.", card=serial)
        self.unlocks = serials

    def _put(self, waiting: Waiting) -> None:
        """What is newest is on the screen: a PIN that was typed would be for that."""
        self.waiting.append(waiting)
        self._forget_number()

    def _forget_number(self) -> None:
        self.number = ""
        show_again()

    def _list(self, ringing: Ringing) -> None:
        """Print some documents of a request, those that were not printed yet."""
        left = show_documents(ringing, self.listed, AT_ONCE)
        self.listed += AT_ONCE
        if left:
            click.echo(MORE_HINT.format(left))

    def _answer(self, typed: str) -> None:
        """Decide on the newest request, which is the one on the screen."""
        number, pin = self.number, typed
        self._forget_number()
        if not typed:
            return
        if not self.waiting:
            self._say("nothing", "No request waits.")
            return
        current = self.waiting[-1]
        if number:
            self._settle(current, number, pin)
            return
        is_more = typed.lower() in MORE and not self.as_json
        if is_more and isinstance(current, Ringing) and current.payload.documents:
            self._list(current)
        elif typed.lower() in DENY + NOT_ME or (len(typed) == 2 and typed.isdigit()):
            self._settle(current, typed.lower())
        else:
            self._say("hint", HINT if isinstance(current, Ringing) else PORTAL_HINT)

    def _settle(self, current: Waiting, typed: str, pin: str = "") -> None:
        """Send a decision, a yes after the PIN of this phone if it asks for one."""
        try:
            with explained():
                if typed.isdigit() and not pin and self.phone.asks_for_pin():
                    self._say("pin", PIN_HINT, operation=_id(current))
                    self.number = typed
                    hide()
                    return
                if pin:
                    self.phone.check_pin(pin, _id(current))
                state, more = self._decide(current, typed)
        except Failure as failure:
            self._say("failure", failure.message, operation=_id(current))
            return
        self._drop(_id(current))
        text = f"{state.capitalize()}.{more}"
        self._say("decided", text, operation=_id(current), state=state)

    def _decide(self, current: Waiting, typed: str) -> tuple[str, str]:
        """The state that a decision leads to, and what there is to say besides."""
        if isinstance(current, PortalQuestion):
            return self._decide_at_portal(current, typed)
        if typed in NOT_ME:
            return self.phone.not_me(current), f" {reported(current)}"
        if typed in DENY:
            return self.phone.deny(current), ""
        state = self.phone.approve(current, typed)
        return state, " The number was wrong." if state == "denied" else ""

    def _decide_at_portal(self, current: PortalQuestion, typed: str) -> tuple[str, str]:
        if typed.isdigit():
            agreed = self.phone.say_yes(current.id, typed)
            said = questions.SAID["agreed"] if agreed else "The number was wrong."
            return ("agreed" if agreed else "denied"), f" {said}"
        is_me = typed not in NOT_ME
        self.phone.say_no(current.id, is_me=is_me)
        return "denied", "" if is_me else f" {questions.not_me(current)}"

    def _drop(self, operation_id: str) -> None:
        if self.waiting and _id(self.waiting[-1]) == operation_id:
            self._forget_number()
        self.waiting = [each for each in self.waiting if _id(each) != operation_id]

    def _say(self, event: str, text: str, **more: str) -> None:
        click.echo(json.dumps({"event": event, "text": text, **more}) if self.as_json else text)

    def _feed_events(self) -> None:
        lost = False
        while not self.ended.is_set():
            diagnose = None if lost else partial(why, self.phone.identity.way)
            try:
                if lost:
                    # A stream tells nothing until somebody rings.
                    self.phone.cards()
                    self.happenings.put(Found())
                    lost = False
                for event in self.phone.watch():
                    self.happenings.put(event)
            except grpc.RpcError as error:
                failure = explain(error, diagnose)
                if isinstance(failure, Refused) and failure.reason == "IDENTITY_REJECTED":
                    self.happenings.put(failure)
                    # This phone was removed.
                    self.happenings.put(Finished())
                    return
                self.happenings.put(Lost(failure.message))
                lost = True
            except Failure as failure:
                self.happenings.put(failure)
            except ValueError:
                return  # the command has ended, and its channel is closed
            self.ended.wait(RETRY_SECONDS)

    def _feed_lines(self, stdin: TextIO) -> None:
        for line in stdin:
            self.happenings.put(Typed(line))
        self.happenings.put(Finished())


def _id(waiting: Waiting) -> str:
    return waiting.operation_id if isinstance(waiting, Ringing) else waiting.id
