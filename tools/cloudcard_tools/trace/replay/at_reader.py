"""Replays a trace with a card in any PC/SC reader.

The key requests of such a card are not visible, so those in the trace are skipped. Traces can come
from other people and other cards: only commands that are known to read are sent, unless the terms
allow more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from card_os import commands, tlv
from card_os.apdu import CHAINED, Command, is_secured
from card_os.piv.names import CERTIFICATE_OF_KEY, RID, Extension, Ins, KeyRef, MechanismTag, Tag
from card_os.status import CardError
from card_os.trace.lines import Abandoned, Image, Line, Power, Received, Sent, Step, read_all
from card_os.trace.replay import Difference
from card_os.trace.words import TraceError
from cloudcard_tools.trace.in_reader import (
    Reader,
    check_count,
    fetch,
    has_more,
    joined,
    next_piece,
)
from cloudcard_tools.trace.replay import card_keys, cards
from cloudcard_tools.trace.replay.agreement import Exchange, agrees, is_signature
from cloudcard_tools.trace.replay.passcodes import OK, TAKES_PASSCODES, Passcodes, is_refused
from cloudcard_tools.trace.replay.replaying import MOST_DIFFERENCES, NOTHING, Outcome, opened, texts

SELECT_PIV = bytes(Command(0, commands.Ins.SELECT, commands.BY_NAME, 0, RID))

READING = frozenset(
    {
        *commands.Ins,
        *(0xCA, 0xB0, 0xB2, 0x84),  # GET DATA, READ BINARY, READ RECORD, GET CHALLENGE
        *(Ins.GET_DATA, Ins.VERIFY, Ins.GENERAL_AUTHENTICATE),
        Extension.GET_METADATA,
        Extension.GET_SERIAL,
        Extension.GET_VERSION,
        Extension.ATTEST,
    }
)


@dataclass(frozen=True, slots=True)
class Terms:
    """How a trace is replayed with a card in a reader."""

    passcodes: Passcodes
    writes: bool = False  # also send commands that can change the card or cost tries
    other_card: bool = False  # the card is not the recorded one: its data can differ
    images: Path | None = None  # a folder of card images, in addition to the trace's own


def replay(path: Path, reader: Reader, terms: Terms) -> Outcome:
    """Send a card the commands of a trace, and compare its responses as in `agreement`.

    Raises PcscError if the card or its reader is gone.
    """
    differences: list[Difference] = []
    step = problem = ""
    telling = Telling(reader, terms, {})
    try:
        telling = Telling(reader, terms, public_keys(path, reader, terms))
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
    if not telling.commands and not telling.left_out:
        problem = problem or NOTHING
    return Outcome(
        path,
        telling.commands,
        tuple(differences),
        step=step,
        problem=problem,
        left_out=telling.left_out,
        unverified=telling.unverified,
    )


@dataclass(frozen=True, slots=True)
class Sending:
    """A command and the recorded response to it."""

    number: int
    apdu: bytes
    expected: bytes

    @property
    def instruction(self) -> int:
        """The second byte of the command; -1 if there is none."""
        return self.apdu[1] if len(self.apdu) > 1 else -1


Group: TypeAlias = "list[Sending]"  # parts of a chain, the command, GET RESPONSE after it


def groups(lines: Iterable[tuple[int, Line]]) -> Iterator[Group | Line]:
    """The commands for the card, grouped into complete commands with their complete responses."""
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
                check_count(len(group))
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
    """The replay of one trace. `keys` verify the card's signatures."""

    def __init__(
        self, reader: Reader, terms: Terms, keys: MutableMapping[int, PublicKeyTypes]
    ) -> None:
        self._reader = reader
        self._terms = terms
        self._keys = keys
        self.commands = self.left_out = self.unverified = 0
        self.step = ""

    def run(self, lines: Iterable[tuple[int, Line]]) -> Iterator[Difference]:
        """Replay the trace. Yields all differences, in order."""
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
        *parts, last = [
            each for each in group if each.instruction != commands.Ins.GET_RESPONSE
        ] or group[:1]
        fetches = [
            each
            for each in group
            if each.instruction == commands.Ins.GET_RESPONSE and each is not last
        ]
        given = self._given(last)
        if self._leaves_out(group, given, in_parts=bool(parts)):
            self.left_out += len(group)
            return
        data = b""
        for part in parts:
            actual = self._send(part.apdu)
            if actual != part.expected:
                yield Difference(part.number, Received(part.expected), Received(actual), part.apdu)
                return
            data += _parsed(part.apdu).data
        command = _parsed(last.apdu)
        whole = Command(command.cla, command.ins, command.p1, command.p2, data + command.data)
        expected = joined([last.expected, *(each.expected for each in fetches)])
        actual = self._whole_response(given or last.apdu, fetches, expected)
        if given is not None:
            self._see_passcode(last, actual)
        exchange = Exchange(whole, expected, actual)
        if not self._agrees(exchange):
            number = (fetches or [last])[-1].number
            yield Difference(number, Received(expected), Received(actual), last.apdu)

    def _given(self, sending: Sending) -> bytes | None:
        """The command with the card's own passcode, if the recorded passcode was right."""
        if sending.instruction not in TAKES_PASSCODES or sending.expected != OK:
            return None
        if sending.instruction != Ins.VERIFY and not self._terms.writes:
            return None
        try:
            return self._terms.passcodes.put_into(sending.apdu)
        except TraceError as error:
            raise TraceError(f"line {sending.number}: {error}") from None

    def _leaves_out(self, group: Group, given: bytes | None, *, in_parts: bool) -> bool:
        """Whether a command is left out: it could change the card or cost tries, or the trace does
        not hold the values that the card would accept.
        """
        if any(is_secured(each.apdu) for each in group):
            return True  # the recorded session keys fit no card
        command = _parsed(group[0].apdu)
        takes = command.ins in TAKES_PASSCODES and any(_parsed(each.apdu).data for each in group)
        if takes and group[0].expected == OK and (given is None or in_parts):
            return True  # the card's passcode cannot be put into it
        if self._terms.writes:
            return False
        wrong = takes and given is None
        return wrong or command.ins not in READING or _answers_challenge(group)

    def _see_passcode(self, sending: Sending, actual: bytes) -> None:
        """Raise TraceError if the card has refused its own passcode."""
        if is_refused(actual):
            self._terms.passcodes.refused = True
            raise TraceError(
                f"line {sending.number}: the card refuses the passcode from the file "
                f"({actual[-2:].hex().upper()}): nothing more is sent, as that costs tries"
            )
        if actual == OK:
            self._terms.passcodes.accepted(sending.apdu)

    def _agrees(self, exchange: Exchange) -> bool:
        command = exchange.command
        key = self._keys.get(command.p2)
        if not agrees(exchange, key, other_card=self._terms.other_card):
            return False
        if is_signature(exchange):
            self.unverified += key is None
        elif exchange.actual[-2:] == OK:
            self._learn(command, exchange.actual[:-2])
        return True

    def _learn(self, command: Command, answer: bytes) -> None:
        """Remember the card's new key."""
        match command.ins:
            case Ins.GENERATE_ASYMMETRIC_KEY_PAIR:
                self._keys.pop(command.p2, None)
                made = card_keys.of_answer(_mechanism(command.data), answer)
                if made is not None:
                    self._keys[command.p2] = made
            case Extension.IMPORT_KEY | Extension.MOVE_KEY:
                for key_ref in (command.p1, command.p2):
                    self._keys.pop(key_ref, None)
            case Extension.RESET:
                self._keys.clear()

    def _whole_response(self, apdu: bytes, fetches: Group, expected: bytes) -> bytes:
        """The card's response, fetched as far as in the trace, or further if the card sends it in
        more pieces.
        """
        responses = [self._send(apdu)]
        for piece in fetches:
            if not has_more(responses[-1]):
                break
            responses.append(self._send(piece.apdu))
        while has_more(responses[-1]) and not has_more(expected):
            check_count(len(responses))
            responses.append(next_piece(self._reader, responses[-1], apdu[0] & 0x03))
        return joined(responses)

    def _send(self, apdu: bytes) -> bytes:
        self.commands += 1
        return self._reader.transmit(apdu)


def public_keys(path: Path, reader: Reader, terms: Terms) -> MutableMapping[int, PublicKeyTypes]:
    """The keys that verify the signatures of a trace: the recorded card's. If those are not known,
    or for another card, they come from the certificates on the card in the reader.

    Raises TraceError.
    """
    with opened(path) as file:
        used, image = _used(read_all(texts(file)))
    keys = dict(certified_keys(reader, used))
    if image is not None and not terms.other_card:
        with suppress(TraceError):  # with a reader, the image is optional
            keys |= card_keys.of_image(cards.find(image.sha256, path, terms.images))
    return keys


def certified_keys(reader: Reader, key_refs: Iterable[int]) -> Mapping[int, PublicKeyTypes]:
    """The public keys in the certificates of a card, as far as there are any."""
    reader.transmit(SELECT_PIV)
    found = {}
    for key_ref in sorted(set(key_refs) & CERTIFICATE_OF_KEY.keys()):
        tag_list = tlv.encode(Tag.TAG_LIST, tlv.encode_tag(CERTIFICATE_OF_KEY[key_ref]))
        response = fetch(reader, bytes(Command(0, Ins.GET_DATA, 0x3F, 0xFF, tag_list, 256)))
        key = card_keys.of_certificate(response[:-2])
        if key is not None:
            found[key_ref] = key
    return found


def _used(lines: Iterable[tuple[int, Line]]) -> tuple[set[int], Image | None]:
    """The key references that a trace uses, and the card image that it names."""
    used, image = set(), None
    for _, line in lines:
        match line:
            case Sent(apdu) if len(apdu) > 3 and apdu[1] == Ins.GENERAL_AUTHENTICATE:
                used.add(apdu[3])
            case Image():
                image = line
    return used, image


def _answers_challenge(group: Group) -> bool:
    """Whether the command answers the card's challenge to prove knowledge of the management key.
    The card's challenge differs from the recorded one, so the answer would be wrong, and some cards
    count wrong answers.
    """
    command = _parsed(group[0].apdu)
    if command.ins != Ins.GENERAL_AUTHENTICATE or command.p2 != KeyRef.MANAGEMENT:
        return False
    if command.is_chained:
        return True
    with suppress(tlv.TlvError):
        objects = dict(tlv.decode(tlv.decode_one(Tag.DYNAMIC_AUTHENTICATION, command.data)))
        return bool(objects.get(Tag.RESPONSE) or objects.get(Tag.WITNESS))
    return bool(command.data)


def _mechanism(data: bytes) -> int:
    with suppress(tlv.TlvError, KeyError):
        return int.from_bytes(
            dict(tlv.decode(tlv.decode_one(Tag.CONTROL_REFERENCE, data)))[MechanismTag.MECHANISM]
        )
    return 0


def _goes_on(before: Sending, sending: Sending) -> bool:
    """Whether a command continues the one before it."""
    if sending.instruction == commands.Ins.GET_RESPONSE:
        return has_more(before.expected)
    chained = before.apdu[0] & CHAINED and before.instruction == sending.instruction
    return bool(chained) and before.expected == OK


def _parsed(apdu: bytes) -> Command:
    """A parsed command: only its header if its lengths are wrong, zeros if there is no header."""
    with suppress(CardError):
        return Command.parse(apdu)
    with suppress(CardError):
        return Command.header(apdu)
    return Command(0, 0, 0, 0)
