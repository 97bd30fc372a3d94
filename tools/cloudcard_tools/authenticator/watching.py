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

from cloudcard_tools.authenticator.phone import Closed, Phone, Ringing, Warned
from cloudcard_tools.authenticator.screen import facts, reported, show, show_documents
from cloudcard_tools.shared.calling import explain, explained
from cloudcard_tools.shared.failures import Failure, Refused, sentence
from cloudcard_tools.shared.reaching import why

RETRY_SECONDS = 0.5
HINT = (
    "Type the number shown at the workstation to approve: there is one guess.\n"
    "d denies; n denies and reports that it was not you. Enter alone does nothing: "
)
MORE_HINT = "… and {} more: m shows the next ones."
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


Happening: TypeAlias = "Ringing | Closed | Warned | Typed | Lost | Found | Failure | Finished"


@dataclass(slots=True)
class Watch:
    """One run of `watch`: two threads feed a queue, and one loop handles what is in it."""

    phone: Phone
    as_json: bool
    ringing: list[Ringing] = field(default_factory=list)
    seen: set[str] = field(
        default_factory=set
    )  # a reconnected stream repeats what waits: ring once
    listed: int = 0  # documents of the newest request
    lost: bool = False
    happenings: queue.Queue[Happening] = field(default_factory=queue.Queue)
    ended: threading.Event = field(default_factory=threading.Event)

    def run(self, stdin: TextIO) -> None:
        """Watch until standard input ends or Ctrl-C is pressed."""
        for feed in (self._feed_events, lambda: self._feed_lines(stdin)):
            threading.Thread(target=feed, daemon=True).start()
        self._say("watching", "Watching for requests. Ctrl-C ends.")
        # Ctrl-C is the usual end, and no failure.
        with suppress(KeyboardInterrupt):
            while not isinstance(happening := self.happenings.get(), Finished):
                self._handle(happening)
        self.ended.set()

    def _handle(self, happening: Happening) -> None:
        match happening:
            case Ringing():
                self._ring(happening)
            case Closed(operation_id, state):
                if any(each.operation_id == operation_id for each in self.ringing):
                    self._drop(operation_id)
                    self._say(
                        "closed", f"Request closed: {state}.", operation=operation_id, state=state
                    )
            case Warned(alert_id, card, text) if alert_id not in self.seen:
                self.seen.add(alert_id)
                bell = "" if self.as_json else "\a\n"
                self._say("alert", f"{bell}{text}", alert=alert_id, card=card)
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
        self.ringing.append(ringing)
        if self.as_json:
            click.echo(json.dumps({"event": "request", **facts(ringing)}))
            return
        click.echo("\a\nA request waits for you")
        show(ringing)
        self.listed = 0
        self._list(ringing)
        click.echo(HINT, nl=False)

    def _list(self, ringing: Ringing) -> None:
        """Print some documents of a request, those that were not printed yet."""
        left = show_documents(ringing, self.listed, AT_ONCE)
        self.listed += AT_ONCE
        if left:
            click.echo(MORE_HINT.format(left))

    def _answer(self, typed: str) -> None:
        """Decide on the newest request, which is the one on the screen."""
        if not typed:
            return
        if not self.ringing:
            self._say("nothing", "No request waits.")
            return
        current = self.ringing[-1]
        if typed.lower() in MORE and not self.as_json and current.payload.documents:
            self._list(current)
            return
        if typed.lower() not in DENY + NOT_ME and not (len(typed) == 2 and typed.isdigit()):
            self._say("hint", HINT)
            return
        try:
            with explained():
                state = self._decide(current, typed.lower())
        except Failure as failure:
            self._say("failure", failure.message, operation=current.operation_id)
            return
        self._drop(current.operation_id)
        more = " The number was wrong." if typed.isdigit() and state == "denied" else ""
        if typed.lower() in NOT_ME:
            more = f" {reported(current)}"
        text = f"{state.capitalize()}.{more}"
        self._say("decided", text, operation=current.operation_id, state=state)

    def _decide(self, current: Ringing, typed: str) -> str:
        if typed in NOT_ME:
            return self.phone.not_me(current)
        return self.phone.deny(current) if typed in DENY else self.phone.approve(current, typed)

    def _drop(self, operation_id: str) -> None:
        self.ringing = [each for each in self.ringing if each.operation_id != operation_id]

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
