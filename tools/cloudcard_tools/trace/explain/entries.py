"""A trace for people: what each line says, in words, and how long it took."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import NamedTuple

from card_os import commands
from card_os.apdu import Command
from card_os.application import Application
from card_os.explanation import Meaning, Parts
from card_os.keys import KeyRequest, PasscodeStatus, Refusal, TriesLeft
from card_os.piv.names import Ins
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
from cloudcard_tools.trace.explain import key_words, words
from cloudcard_tools.trace.explain.data_objects import DataObject, count, octets, row, rows
from cloudcard_tools.trace.explain.names import GET_DATA_EVEN
from cloudcard_tools.trace.explain.parts import EVERYWHERE

SECOND = 1_000_000  # microseconds
MORE = 0x61  # SW1 of a response that goes on
MOST_JOINED = 200_000  # bytes of joined pieces; more than any APDU or object has
FINE = frozenset({int(SW.OK), int(SW.ALREADY_CLOSED)})
# What a program learns so about any card that it does not know: that something is not there.
PROBES: Mapping[int, frozenset[int]] = {
    commands.Ins.SELECT: frozenset({SW.NOT_FOUND}),
    Ins.GET_DATA: frozenset({SW.NOT_FOUND}),
    GET_DATA_EVEN: frozenset({SW.NOT_FOUND, SW.INS_NOT_SUPPORTED}),
}
TRIES_LEFT = 0x63C0  # with a number, which is the answer to a command that asks for it
POWER = {
    Power.ON: "the card gets power",
    Power.OFF: "the card loses power",
    Power.RESET: "the card is reset",
}


class Kind(Enum):
    """The kind of a line."""

    COMMENT = "comment"
    STEP = "step"
    SETTING = "setting"
    POWER = "power"
    COMMAND = "command"
    RESPONSE = "response"
    REQUEST = "request"
    RESULT = "result"
    TOTAL = "total"  # not a line of the file: the sum of a step, or of the whole trace


class Who(Enum):
    """Whose turn it was."""

    READER = "reader"
    CARD = "card"
    KEYS = "key service"


NEXT = {Kind.COMMAND: Who.CARD, Kind.REQUEST: Who.KEYS, Kind.RESULT: Who.CARD}  # else the reader


@dataclass(frozen=True, slots=True)
class Entry:
    """A line in words."""

    number: int  # of the line; for a total, of the last line
    kind: Kind
    text: str
    step: str = ""
    at: int = 0  # microseconds since the beginning
    took: int = 0  # since the line before
    who: Who = Who.READER  # the one who took that time
    slow: bool = False
    apdu: bytes = b""
    data: bytes = b""  # of the line, or of the whole message that it completes
    objects: tuple[DataObject, ...] = ()  # in that data
    note: str = ""  # about that data
    fine: bool = True  # neither a refusal nor an error's status word

    @property
    def details(self) -> Iterator[str]:
        """The data in lines of text, one for each data object."""
        note = f"({self.note})" if self.note else ""
        if self.objects and note:
            yield note
        for depth, each in rows(self.objects):
            yield f"{'  ' * depth}{row(each)}"
        if self.data and not self.objects:
            yield f"{octets(self.data)} {note}".rstrip()


class _Words(NamedTuple):
    """A line in words, without its time."""

    kind: Kind
    text: str
    apdu: bytes = b""
    data: bytes = b""
    objects: tuple[DataObject, ...] = ()
    note: str = ""
    fine: bool = True


@dataclass(slots=True)
class Total:
    """Sums over some lines."""

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
        """Add a line to the sums."""
        self.commands += entry.kind is Kind.COMMAND
        self.slow += entry.slow
        if entry.took:
            self.took[entry.who] = self.took.get(entry.who, 0) + entry.took


def read(
    lines: Iterable[tuple[int, Line]], slow: int, applications: Sequence[Application] = ()
) -> Iterator[Entry]:
    """Each line in words, with totals after each step and at the end. Answers that took `slow`
    microseconds or longer are marked. Without `applications`, the card is a PIV card. Raises
    TraceError for a line that is not one of a trace.
    """
    return _Reading(slow, words.Interpreter(applications)).read(lines)


def duration(microseconds: int) -> str:
    """A duration in words."""
    if microseconds < 1000:
        return f"{microseconds} µs"
    if microseconds < 1_000_000:
        return f"{microseconds / 1000:.3g} ms" if microseconds < 999_500 else "1 s"
    seconds = microseconds / 1_000_000
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes:,} min {rest:02} s"


class _Reading:
    """What has to be remembered of earlier lines to explain the next one."""

    def __init__(self, slow: int, interpreter: words.Interpreter) -> None:
        self._slow = slow
        self._interpreter = interpreter
        self._at = self._took = 0
        self._who = Who.READER
        self._step = ""
        self._all, self._of_step = Total(), Total()
        self._command: Command | None = None  # whose answer is being fetched
        self._received: Parts | Meaning = EVERYWHERE  # what that may hold
        self._request: KeyRequest | None = None
        self._sent = b""  # data of a chain so far
        self._fetched = b""  # data of an answer so far

    def read(self, lines: Iterable[tuple[int, Line]]) -> Iterator[Entry]:
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
        said = self._words(line)
        kind = said.kind
        took, who = self._took, self._who
        slow = who is not Who.READER and took >= self._slow and took > 0
        if kind not in (Kind.COMMENT, Kind.STEP, Kind.SETTING):
            self._took, self._who = 0, NEXT.get(kind, Who.READER)
        else:  # the clock goes on
            took, slow = 0, False
        entry = Entry(number, kind, said.text, self._step, self._at, took, who, slow, *said[2:])
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
                return _Words(Kind.RESULT, said, fine=not wrong)
            case Comment(text):
                return _Words(Kind.COMMENT, text)
            case Step(name):
                return _Words(Kind.STEP, name)
            case Power():
                self._forget()
                self._interpreter.reset()
                return _Words(Kind.POWER, POWER[line])
            case Abandoned():
                self._forget()
                self._interpreter.reset()
                return _Words(Kind.POWER, "the reader hangs up while the card waits", fine=False)
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
        if command is None:
            self._forget()
            return _Words(Kind.COMMAND, words.wrong_lengths(apdu), apdu)
        explanation = self._interpreter.explain(command)
        title = words.title(command, explanation)
        if command.ins == commands.Ins.GET_RESPONSE and not command.data:
            return _Words(Kind.COMMAND, title, apdu)
        if self._command is None or _header(self._command) != _header(command):
            self._sent = b""  # this command does not belong to the chain
        self._fetched = b""
        self._command = command
        self._sent = _joined(self._sent, command.data)
        if command.is_chained:
            return _Words(Kind.COMMAND, title, apdu, command.data, note="a part")
        whole, self._sent = self._sent, b""
        self._command = replace(command, data=whole)
        parts = f"{count(len(whole))} in all" if len(whole) > len(command.data) else ""
        if parts:
            explanation = self._interpreter.explain(self._command)
            title = words.title(self._command, explanation)
        self._received = explanation.received
        objects, meaning = words.decoded(whole, explanation.sent)
        note = ", ".join(filter(None, (parts, meaning)))
        return _Words(Kind.COMMAND, title, apdu, whole, objects, note)

    def _received_words(self, apdu: bytes) -> _Words:
        sw, data = apdu[-2:], apdu[:-2]
        fine = int.from_bytes(sw) in FINE or sw[0] == MORE or _is_answer(self._command, sw)
        said = words.status(apdu)
        if data:
            said += f", {count(len(data))}"
        before = self._fetched
        self._fetched = _joined(before, data)
        if sw[0] == MORE:
            return _Words(Kind.RESPONSE, said, apdu, data, note="a part" if data else "")
        whole, self._fetched = self._fetched, b""
        objects, meaning = words.decoded(whole, self._received) if whole else ((), "")
        parts = f"{count(len(whole))} in all" if before else ""
        note = ", ".join(filter(None, (parts, meaning)))
        return _Words(Kind.RESPONSE, said, apdu, whole, objects, note, fine)

    def _forget(self) -> None:
        """Forget the command, chain and answer: they end here."""
        self._command, self._request = None, None
        self._received = EVERYWHERE
        self._sent = self._fetched = b""


def _is_answer(command: Command | None, sw: bytes) -> bool:
    """Whether a status word other than 9000 only answers what the command asks."""
    if command is None:
        return False
    status = int.from_bytes(sw)
    if status & 0xFFF0 == TRIES_LEFT:
        return command.ins == Ins.VERIFY and not command.data
    return status in PROBES.get(command.ins, ())


def _header(command: Command) -> tuple[int, int, int]:
    return command.ins, command.p1, command.p2


def _joined(before: bytes, more: bytes) -> bytes:
    """Join the pieces; earlier ones are dropped if the result would be too long."""
    return before + more if len(before) + len(more) <= MOST_JOINED else more
