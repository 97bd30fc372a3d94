"""A trace as people read it: its lines one at a time, decoded, with their times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import NamedTuple

from card_os.apdu import Command
from card_os.keys import KeyRequest, PasscodeStatus, Refusal, TriesLeft
from card_os.status import SW
from card_os.trace.lines import (
    Abandoned,
    Answered,
    Asked,
    Clock,
    Comment,
    Image,
    Line,
    Pause,
    Power,
    Received,
    Seed,
    Sent,
    Step,
)
from cloudcard_tools.trace import key_words, names, words
from cloudcard_tools.trace.data_objects import DataObject, count, octets

SLOW_MS = 100
MORE = 0x61  # SW1 of a response that goes on
MOST_JOINED = 200_000  # bytes of pieces that are put together: more than an APDU or object has
POWER = {
    Power.ON: "power on",
    Power.OFF: "power off",
    Power.RESET: "reset",
}


class Kind(Enum):
    """What a line is."""

    COMMENT = "comment"
    STEP = "step"
    SETTING = "setting"
    POWER = "power"
    COMMAND = "command"
    RESPONSE = "response"
    REQUEST = "request"
    RESULT = "result"
    TOTAL = "total"  # no line of the file: what a step, or all of it, came to


class Who(Enum):
    """Whose turn it was."""

    READER = "reader"
    CARD = "card"
    KEYS = "key service"


NEXT = {Kind.COMMAND: Who.CARD, Kind.REQUEST: Who.KEYS, Kind.RESULT: Who.CARD}  # else the reader


@dataclass(frozen=True, slots=True)
class Entry:
    """A line in words."""

    number: int  # of the line; of the last one for a total
    kind: Kind
    text: str
    step: str = ""
    at: int = 0  # microseconds since the beginning
    took: int = 0  # since the line before
    who: Who = Who.READER  # took that time
    slow: bool = False
    data: bytes = b""  # the APDU as it is
    objects: tuple[DataObject, ...] = ()
    note: str = ""  # what the data is, where it is no data objects or not all of them
    good: bool = True  # not a refusal, and no error's status word


class _Words(NamedTuple):
    """A line in words, without its time."""

    kind: Kind
    text: str
    data: bytes = b""
    objects: tuple[DataObject, ...] = ()
    note: str = ""
    good: bool = True


@dataclass(slots=True)
class Total:
    """What some lines came to."""

    commands: int = 0
    slow: int = 0
    took: dict[Who, int] = field(default_factory=dict)

    def __str__(self) -> str:
        commands = f"{self.commands:,} command{'s' * (self.commands != 1)}"
        if not any(self.took.values()):
            return commands
        each = ", ".join(
            f"{who.value} {duration(self.took[who])}" for who in Who if who in self.took
        )
        slow = f"; {self.slow:,} slow" if self.slow else ""
        return f"{commands} in {duration(sum(self.took.values()))}: {each}{slow}"

    def add(self, entry: Entry) -> None:
        """Count a line."""
        self.commands += entry.kind is Kind.COMMAND
        self.slow += entry.slow
        if entry.took:
            self.took[entry.who] = self.took.get(entry.who, 0) + entry.took


def tell(lines: Iterable[tuple[int, Line]], slow_ms: int = SLOW_MS) -> Iterator[Entry]:
    """Each line in words, with totals after each step and at the end. Raises TraceError."""
    return _Story(slow_ms * 1000).tell(lines)


def duration(microseconds: int) -> str:
    """A time as people say it."""
    if microseconds < 1000:
        return f"{microseconds} µs"
    if microseconds < 1_000_000:
        return f"{microseconds / 1000:.3g} ms" if microseconds < 999_500 else "1 s"
    seconds = microseconds / 1_000_000
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes:,} min {rest:02} s"


class _Story:
    """What has to be known of the lines before, to tell the next one."""

    def __init__(self, slow: int) -> None:
        self._slow = slow
        self._at = self._took = 0
        self._who = Who.READER
        self._step = ""
        self._all, self._of_step = Total(), Total()
        self._command: Command | None = None  # whose answer is being fetched
        self._request: KeyRequest | None = None
        self._sent = b""  # data of a chain so far
        self._fetched = b""  # data of an answer so far

    def tell(self, lines: Iterable[tuple[int, Line]]) -> Iterator[Entry]:
        number = 1
        steps = 0
        for number, line in lines:
            match line:
                case Pause(microseconds):
                    self._at += microseconds
                    self._took += microseconds
                    continue
                case Step(name):
                    if self._of_step.commands:
                        yield self._total(number, self._of_step)
                    self._of_step = Total()
                    self._step = name
                    steps += 1
            yield self._entry(number, line)
        if steps and self._of_step.commands:
            yield self._total(number, self._of_step)
        self._step = ""
        yield self._total(number, self._all)

    def _total(self, number: int, total: Total) -> Entry:
        whole = "in all: " if total is self._all else ""
        return Entry(number, Kind.TOTAL, f"{whole}{total}", self._step, self._at)

    def _entry(self, number: int, line: Line) -> Entry:
        kind, text, data, objects, note, good = self._words(line)
        took, who = self._took, self._who
        slow = took >= self._slow and took > 0
        if kind not in (Kind.COMMENT, Kind.STEP, Kind.SETTING):
            self._took, self._who = 0, NEXT.get(kind, Who.READER)
        else:  # the time goes on
            took, slow = 0, False
        entry = Entry(
            number, kind, text, self._step, self._at, took, who, slow, data, objects, note, good
        )
        self._all.add(entry)
        self._of_step.add(entry)
        return entry

    def _words(self, line: Line) -> _Words:
        match line:
            case Sent(apdu):
                return self._sent_words(apdu)
            case Received(apdu):
                return self._received_words(apdu)
            case Asked(request):
                self._request = request
                return _Words(Kind.REQUEST, key_words.asked(request))
            case Answered(result):
                asked, self._request = self._request, None
                said = key_words.answered(result, asked)
                wrong = isinstance(result, Refusal) or (
                    isinstance(result, TriesLeft) and not isinstance(asked, PasscodeStatus)
                )
                return _Words(Kind.RESULT, said, good=not wrong)
            case Comment(text):
                return _Words(Kind.COMMENT, text)
            case Step(name):
                return _Words(Kind.STEP, name)
            case Power():
                self._forget()
                return _Words(Kind.POWER, POWER[line])
            case Abandoned():
                self._forget()
                return _Words(Kind.POWER, "the reader left while the card waited", good=False)
            case Image(sha256):
                return _Words(Kind.SETTING, f"card {sha256.hex()}")
            case Seed(value):
                return _Words(Kind.SETTING, f"random bytes from seed {octets(value)}")
            case Clock(time):
                return _Words(Kind.SETTING, f"recorded {time}")
            case Pause(microseconds):
                return _Words(Kind.COMMENT, duration(microseconds))

    def _sent_words(self, apdu: bytes) -> _Words:
        command = words.parsed(apdu)
        title = words.title(apdu)
        if command is None:
            self._forget()
            return _Words(Kind.COMMAND, title, apdu)
        if command.ins == names.GET_RESPONSE and not command.data:
            return _Words(Kind.COMMAND, title, apdu)
        self._fetched = b""
        self._command = command
        self._sent = _joined(self._sent, command.data)
        if command.is_chained:
            return _Words(Kind.COMMAND, title, apdu, note=f"{count(len(command.data))} of more")
        whole, self._sent = self._sent, b""
        self._command = replace(command, data=whole)
        objects, meaning = words.sent(self._command, whole)
        parts = f"{count(len(whole))} in all" if len(whole) > len(command.data) else ""
        if parts:
            title = words.title_of(self._command)
        return _Words(Kind.COMMAND, title, apdu, objects, ", ".join(filter(None, (parts, meaning))))

    def _received_words(self, apdu: bytes) -> _Words:
        sw, data = apdu[-2:], apdu[:-2]
        good = sw == SW.OK.to_bytes(2) or sw[0] == MORE
        said = words.status(apdu)
        if data:
            said += f", {count(len(data))}"
        before = self._fetched
        self._fetched = _joined(before, data)
        if sw[0] == MORE:
            return _Words(Kind.RESPONSE, said, apdu, note="a part" if data else "")
        whole, self._fetched = self._fetched, b""
        objects, meaning = words.received(self._command, whole) if whole else ((), "")
        parts = f"{count(len(whole))} in all" if before else ""
        note = ", ".join(filter(None, (parts, meaning)))
        return _Words(Kind.RESPONSE, said, apdu, objects, note, good)

    def _forget(self) -> None:
        """What a command, a chain or an answer was: it ends here."""
        self._command, self._request = None, None
        self._sent = self._fetched = b""


def _joined(before: bytes, more: bytes) -> bytes:
    """Pieces together; without those before where they would be too many."""
    return before + more if len(before) + len(more) <= MOST_JOINED else more
