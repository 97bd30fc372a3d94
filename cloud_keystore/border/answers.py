"""What custody answers to a call: outcomes of its requests, if it has many, and how it ended."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import structlog

from cloud_keystore.border import refusals
from cloud_keystore.border.encoding import Codec, Plain, Unreadable, unpack
from cloud_keystore.border.table import Method
from cloud_keystore.model.errors import Failed

log = structlog.get_logger()

RESULT, OUTCOMES, REFUSED, FAILED = "result", "outcomes", "refused", "failed"
LOST = "the keystore's custody has just ended, and it is not known whether it did this: ask again"

Done: TypeAlias = Callable[[int, object], None]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a call has ended, and whose it was, if custody had to find that."""

    kind: str
    role: str
    caller: str
    said: Plain


@dataclass(frozen=True, slots=True)
class Answers:
    """Reads the frames of an answer to one method."""

    asked: Method
    results: Codec

    def take(self, frame: bytes, done: Done | None) -> Ended | None:
        """How the call has ended; None if more is to come. Outcomes are given to `done`, of which
        the last come with the end. Raises Unreadable, and what `done` raises.
        """
        match unpack(frame):
            case [str(kind), str(role), str(caller), said]:
                pass
            case _:
                raise Unreadable("no answer")
        if done is not None and kind in (OUTCOMES, RESULT):
            if not isinstance(said, list):
                raise Unreadable("no outcomes")
            self._hand_over(said, done)
            said = None
        elif kind not in (RESULT, REFUSED, FAILED):
            raise Unreadable("no answer to this call")
        return None if kind == OUTCOMES else Ended(kind, role, caller, said)

    def value(self, ended: Ended) -> object:
        """The result of a call; raises what the method has raised, Failed for a fault of custody's
        own, or Unreadable.
        """
        return self._value(ended.kind, ended.said, self.asked.result)

    def _hand_over(self, outcomes: list[Plain], done: Done) -> None:
        for each in outcomes:
            match each:
                case [int(place), str(kind), said]:
                    done(place, self._outcome(kind, said))
                case _:
                    raise Unreadable("no outcome")

    def _outcome(self, kind: str, said: Plain) -> object:
        try:
            return self._value(kind, said, self.asked.outcome)
        except Exception as error:
            return error

    def _value(self, kind: str, said: Plain, wanted: type | None) -> object:
        if kind == RESULT and wanted is not None:
            return self.results.value(said, wanted)
        if kind == REFUSED:
            raise refusals.refusal(said)
        if kind == FAILED:
            raise Failed(str(said))
        raise Unreadable(f"no answer is a {kind}")


def unread(error: Unreadable) -> Failed:
    """What is told of an answer that cannot be read; the log tells why."""
    incident = uuid.uuid4().hex
    log.error("custody's answer was none", incident=incident, reason=str(error))
    return Failed(incident)
