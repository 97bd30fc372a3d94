"""Replays a trace at a card in any PC/SC reader, and records such a card by a script.

What such a card asks nobody sees: key requests and results of a trace are passed over, and a
trace recorded so has none.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from cryptography import x509

from card_os import tlv
from card_os.apdu import Command
from card_os.piv.names import CERTIFICATE_OF_KEY, Extension, Ins
from card_os.status import CardError
from card_os.trace.lines import (
    HEADER,
    Abandoned,
    Comment,
    Line,
    Power,
    Received,
    Sent,
    Step,
    read,
    read_all,
    write,
)
from card_os.trace.redaction import Redaction, ResponseRedaction
from card_os.trace.replay import Difference
from card_os.trace.words import TraceError, from_hex
from cloudcard_tools.trace.agreement import Exchange, PublicKey, agrees
from cloudcard_tools.trace.passcodes import OK, Passcodes
from cloudcard_tools.trace.replaying import MOST_DIFFERENCES, Outcome, opened, texts

SELECT_PIV = bytes.fromhex("00A4040005A000000308")
GET_RESPONSE = 0xC0
MORE = 0x61  # first byte of the status word where there is more to fetch
CHAINED = 0x10  # of CLA
CERTIFICATE, CERTIFICATE_INFO = 0x70, 0x71  # in a certificate object (SP 800-73-5 part 1, table 10)
COMPRESSED = b"\x01"
LONGEST_SCRIPT_LINE = 200_000

CHANGING = frozenset(
    {
        Ins.CHANGE_REFERENCE_DATA,
        Ins.RESET_RETRY_COUNTER,
        Ins.GENERATE_ASYMMETRIC_KEY_PAIR,
        Ins.PUT_DATA,
        Extension.IMPORT_KEY,
        Extension.MOVE_KEY,
        Extension.SET_MANAGEMENT_KEY,
        Extension.SET_TRIES,
        Extension.RESET,
    }
)


class Reader(Protocol):
    """A card in a reader."""

    @property
    def atr(self) -> bytes: ...

    def transmit(self, command: bytes, /) -> bytes: ...

    def reset(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Terms:
    """How a trace is told to a card in a reader."""

    passcodes: Passcodes
    writes: bool = False  # send what changes the card or costs tries, too
    other_card: bool = False  # it is not the one that was recorded: its data may differ


def replay(path: Path, reader: Reader, terms: Terms) -> Outcome:
    """Tell a card the commands of a trace, and compare what it says; see `agreement`.

    Raises PcscError where the card or its reader has gone.
    """
    differences: list[Difference] = []
    step = problem = ""
    telling = Telling(reader, terms, {})
    try:
        with opened(path) as file:
            keys = certified_keys(reader, _used(read_all(texts(file))))
        telling = Telling(reader, terms, keys)
        with opened(path) as file:
            for difference in telling.run(read_all(texts(file))):
                step = step if differences else telling.step
                differences.append(difference)
                if len(differences) == MOST_DIFFERENCES:
                    break
    except TraceError as error:
        problem = str(error)
    except OSError as error:
        problem = f"the file cannot be read: {error.strerror}"
    return Outcome(
        path,
        telling.commands,
        tuple(differences),
        step=step,
        problem=problem,
        left_out=telling.left_out,
    )


@dataclass(frozen=True, slots=True)
class Sending:
    """A command and what the trace says was answered, from one line of the trace."""

    number: int
    apdu: bytes
    expected: bytes

    @property
    def instruction(self) -> int:
        """Its second byte; -1 where there is none."""
        return self.apdu[1] if len(self.apdu) > 1 else -1


Group: TypeAlias = "list[Sending]"  # parts of a chain, the command, GET RESPONSE after it


def groups(lines: Iterable[tuple[int, Line]]) -> Iterator[Group | Line]:
    """What is told to a card, whole commands with their responses together."""
    sent: bytes | None = None
    group: Group = []
    for number, line in lines:
        match line:
            case Sent(apdu):
                sent = apdu
            case Received(expected) if sent is not None:
                sending = Sending(number, sent, expected)
                if group and not _goes_on(group[-1], sending):
                    yield group
                    group = []
                group.append(sending)
                sent = None
            case Step() | Power() | Abandoned():
                if group:
                    yield group
                group, sent = [], None
                yield line
    if group:
        yield group


class Telling:
    """One trace, told to a card. `keys` verify what the card signs."""

    def __init__(self, reader: Reader, terms: Terms, keys: Mapping[int, PublicKey]) -> None:
        self._reader = reader
        self._terms = terms
        self._keys = keys
        self.commands = self.left_out = 0
        self.step = ""

    def run(self, lines: Iterable[tuple[int, Line]]) -> Iterator[Difference]:
        """All differences, in order."""
        self._reader.reset()
        for what in groups(lines):
            match what:
                case Step(name):
                    self.step = name
                case Power.RESET | Power.ON:
                    self._reader.reset()
                case Abandoned():
                    self.left_out += 1
                case list():
                    yield from self._tell(what)
                case _:
                    pass

    def _tell(self, group: Group) -> Iterator[Difference]:
        *parts, last = [each for each in group if each.instruction != GET_RESPONSE] or group[:1]
        fetches = [each for each in group if each.instruction == GET_RESPONSE and each is not last]
        if not self._terms.writes and _changes(last):
            self.left_out += len(group)
            return
        data = b""
        for part in parts:
            actual = self._send(part)
            if actual != part.expected:
                yield Difference(part.number, Received(part.expected), Received(actual), part.apdu)
                return
            data += _parsed(part.apdu).data
        command = _parsed(last.apdu)
        whole = Command(command.cla, command.ins, command.p1, command.p2, data + command.data)
        expected = _joined([last.expected, *(each.expected for each in fetches)])
        exchange = Exchange(whole, expected, self._whole_response(last, fetches, expected))
        key = self._keys.get(whole.p2) if whole.ins == Ins.GENERAL_AUTHENTICATE else None
        if not agrees(exchange, key, other_card=self._terms.other_card):
            number = (fetches or [last])[-1].number
            actual = exchange.actual
            yield Difference(number, Received(expected), Received(actual), last.apdu)

    def _whole_response(self, last: Sending, fetches: Group, expected: bytes) -> bytes:
        """What the card says, fetched as far as the trace fetched it, or further if the card takes
        more pieces for the same.
        """
        responses = [self._send(last)]
        for fetch in fetches:
            if not _more(responses[-1]):
                break
            responses.append(self._send(fetch))
        while _more(responses[-1]) and not _more(expected):
            channel = last.apdu[0] & 0x03
            fetch_rest = bytes((channel, GET_RESPONSE, 0, 0, responses[-1][-1]))
            responses.append(self._reader.transmit(fetch_rest))
        return _joined(responses)

    def _send(self, sending: Sending) -> bytes:
        self.commands += 1
        try:
            apdu = self._terms.passcodes.put_into(sending.apdu, sending.expected)
        except TraceError as error:
            raise TraceError(f"line {sending.number}: {error}") from None
        return self._reader.transmit(apdu)


def certified_keys(reader: Reader, key_refs: Iterable[int]) -> Mapping[int, PublicKey]:
    """The public keys of the certificates on a card, as far as there are any."""
    reader.transmit(SELECT_PIV)
    found = {}
    for key_ref in sorted(set(key_refs) & CERTIFICATE_OF_KEY.keys()):
        tag = tlv.encode_tag(CERTIFICATE_OF_KEY[key_ref])
        response = _fetch(reader, b"\x00\xcb\x3f\xff" + _lc(tlv.encode(0x5C, tag)) + b"\x00")
        with suppress(tlv.TlvError, KeyError, ValueError):
            contents = dict(tlv.decode(tlv.decode_one(0x53, response[:-2])))
            certificate = contents[CERTIFICATE]
            if contents.get(CERTIFICATE_INFO, b"\0") == COMPRESSED:
                certificate = zlib.decompress(certificate, wbits=31)
            found[key_ref] = x509.load_der_x509_certificate(certificate).public_key()
    return found


def record(
    script: Iterable[str], reader: Reader, name: str, passcodes: Mapping[str, bytes]
) -> Iterator[str]:
    """The lines of a trace of what a card says to a script. Each line of the script is a command in
    hexadecimal digits, `= name of a step`, `# comment` or `@ reset`. {pin} and {puk} in a command
    are a passcode.

    Raises TraceError with the line's number; PcscError where the card has gone.
    """
    yield HEADER
    yield write(Comment(f"recorded at {name}, ATR {reader.atr.hex()}"))
    yield write(Comment("what the card asked is not known: replay this with --reader"))
    redaction, responses = Redaction(), ResponseRedaction()
    reader.reset()
    for number, text in enumerate(script, 1):
        try:
            line = _script_line(text.strip(), passcodes)
        except TraceError as error:
            raise TraceError(f"line {number}: {error}") from None
        match line:
            case Sent(apdu):
                yield write(Sent(redaction.command(apdu)))
                response = reader.transmit(apdu)
                redaction.answered(response)
                yield write(Received(responses.response(apdu, response)))
            case Comment() | Step():
                yield write(line)
            case Power():
                reader.reset()
                redaction.reset()
                yield write(line)


def _script_line(text: str, passcodes: Mapping[str, bytes]) -> Line | None:
    if len(text) > LONGEST_SCRIPT_LINE or not text.isprintable():
        raise TraceError("this is no line of a script: it is too long, or not plain text")
    if not text or text.startswith("cloudcard trace "):
        return None
    if text == write(Power.RESET):
        return Power.RESET
    if text[0] in "#=":
        return read(text)
    for name, value in passcodes.items():
        text = text.replace("{" + name + "}", value.hex())
    if "{" in text:
        raise TraceError("name the file of the passcode with --pin-file or --puk-file")
    return Sent(from_hex("".join(text.removeprefix(">").split())))


def _used(lines: Iterable[tuple[int, Line]]) -> Iterator[int]:
    """The key references that a trace uses."""
    for _, line in lines:
        match line:
            case Sent(apdu) if len(apdu) > 3 and apdu[1] == Ins.GENERAL_AUTHENTICATE:
                yield apdu[3]


def _changes(sending: Sending) -> bool:
    """Whether a command changes the card, or costs a try."""
    if sending.instruction in CHANGING:
        return True
    if sending.instruction != Ins.VERIFY:
        return False
    return bool(_parsed(sending.apdu).data) and sending.expected != OK


def _goes_on(before: Sending, sending: Sending) -> bool:
    """Whether a command belongs to the one before it."""
    if sending.instruction == GET_RESPONSE:
        return _more(before.expected)
    chained = before.apdu[0] & CHAINED and before.instruction == sending.instruction
    return bool(chained) and before.expected == OK


def _more(response: bytes) -> bool:
    return len(response) >= 2 and response[-2] == MORE


def _joined(responses: Sequence[bytes]) -> bytes:
    return b"".join(each[:-2] for each in responses) + responses[-1][-2:]


def _fetch(reader: Reader, apdu: bytes) -> bytes:
    responses = [reader.transmit(apdu)]
    while _more(responses[-1]):
        responses.append(reader.transmit(bytes((0, GET_RESPONSE, 0, 0, responses[-1][-1]))))
    return _joined(responses)


def _lc(data: bytes) -> bytes:
    return bytes((len(data),)) + data


def _parsed(apdu: bytes) -> Command:
    """A command; its header alone where its lengths are wrong, and zeros where there is none."""
    with suppress(CardError):
        return Command.parse(apdu)
    with suppress(CardError):
        return Command.header(apdu)
    return Command(0, 0, 0, 0)
