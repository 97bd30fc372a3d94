"""APDUs in words: the subject of a command, and what a response says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from card_os import commands
from card_os.apdu import Command
from card_os.application import Application
from card_os.commands import PARSERS
from card_os.explanation import Explanation, Meaning, Part, Parts
from card_os.piv.names import AID, Extension, Ins
from card_os.status import CardError
from cloudcard_tools.trace.explain import data_objects, names, parts, values
from cloudcard_tools.trace.explain.data_objects import DataObject, octets
from cloudcard_tools.trace.explain.names import algorithm, key

NO_ANSWER, NEXT = 0x0C, 0x02  # bits of SELECT's P2
LOG_OUT, ERASE = 0xFF, 0xFF


def parsed(apdu: bytes) -> Command | None:
    """A parsed command APDU; None if its lengths are wrong."""
    try:
        return Command.parse(apdu)
    except CardError:
        return None


def title(found: Command, said: Explanation | None = None) -> str:
    """A command's name, parameters and subject, without its data. PIV's explanation is used unless
    another is given.
    """
    said = said or piv(found)
    name = said.name or instruction(bytes((found.cla, found.ins)))
    about = f" ({said.subject})" if said.subject else ""
    return f"{name}{_apart(found)} P1-P2 {found.p1:02X}{found.p2:02X}{about}"


def instruction(apdu: bytes) -> str:
    """The name of a command's instruction."""
    if len(apdu) < 2:
        return "no command"
    return names.INSTRUCTIONS.get(apdu[1], f"instruction {apdu[1]:02X}")


def piv(found: Command) -> Explanation:
    """What a command means to PIV and its clients."""
    name = names.INSTRUCTIONS.get(found.ins, "")
    if found.is_secured:
        return Explanation(name, subject(found), parts.EVERYWHERE, parts.EVERYWHERE)
    return Explanation(
        name,
        subject(found),
        parts.SENT.get(found.ins) or parts.sent(found),
        parts.RECEIVED.get(found.ins) or parts.received(found),
    )


class Interpreter:
    """Explains each command with the application that is selected on its channel, as far as the
    trace shows. Without applications, every command is explained as PIV's.
    """

    def __init__(self, applications: Sequence[Application] = ()) -> None:
        self._applications = tuple(applications)
        self._selected: dict[int, Application] = {}

    @property
    def is_piv(self) -> bool:
        """Whether every command is explained as PIV's."""
        return not self._applications

    def command(self, apdu: bytes) -> str:
        """A command in one line, with its data."""
        found = parsed(apdu)
        if found is None:
            return wrong_lengths(apdu)
        data = f" data {octets(found.data)}" if found.data else ""
        return title(found, self.explain(found)) + data

    def received(self, apdu: bytes, data: bytes) -> tuple[DataObject, ...]:
        """The data objects in the response to a command."""
        found = parsed(apdu)
        held = parts.EVERYWHERE if found is None else self.explain(found).received
        return decoded(data, held)[0]

    def reset(self) -> None:
        """Note that the card was reset: its first application is selected."""
        self._selected.clear()

    def explain(self, found: Command) -> Explanation:
        """A complete command in words."""
        if not self._applications:
            return piv(found)
        if not found.is_proprietary and found.ins in PARSERS:
            if found.ins == commands.Ins.SELECT:
                self._select(found)
            return piv(found)
        application = self._selected.get(found.channel, self._applications[0])
        if application.aid == AID:
            return piv(found)
        said = _printable(application.explain(found))
        return said if said.name else replace(said, name=_plain(found))

    def _select(self, found: Command) -> None:
        begins_so = [each for each in self._applications if each.aid.startswith(found.data)]
        whole = [each for each in begins_so if each.aid == found.data]
        for application in (whole or begins_so)[:1]:
            self._selected[found.channel] = application


def _printable(said: Explanation) -> Explanation:
    """What a user's application says about a command, made printable: the command is untrusted."""
    name, about = (values.printable(text) for text in (said.name, said.subject))
    sent, received = (
        _meaning(held) if callable(held) else _parts(held) for held in (said.sent, said.received)
    )
    return Explanation(name, about, sent, received)


def _meaning(meaning: Meaning) -> Meaning:
    return lambda value: values.printable(meaning(value))


def _parts(held: Parts) -> Parts:
    return {
        tag: Part(values.printable(part.name), _meaning(part.meaning), _parts(part.inside))
        for tag, part in held.items()
    }


def subject(found: Command) -> str:
    """The subject of a command: a key, an object, an application; empty if it is unknown."""
    if found.is_secured:
        return "under secure messaging"
    tell = SUBJECTS.get(found.ins)
    return tell(found) if tell else ""


def status(apdu: bytes) -> str:
    """A response's status word in words."""
    sw = int.from_bytes(apdu[-2:])
    return f"{sw:04X} ({names.status(sw)})"


def decoded(data: bytes, held: Parts | Meaning) -> tuple[tuple[DataObject, ...], str]:
    """All data of a command or response as data objects, else in words."""
    return (
        ((), values.printable(held(data)))
        if callable(held)
        else (data_objects.decode(data, held), "")
    )


def wrong_lengths(apdu: bytes) -> str:
    """A command whose lengths are wrong."""
    return f"{instruction(apdu)}, lengths wrong: {octets(apdu)}"


def _plain(found: Command) -> str:
    """The instruction of a command that its application has no word for: only ISO's have names."""
    name = "" if found.is_proprietary else names.ISO_INSTRUCTIONS.get(found.ins, "")
    return name or f"instruction {found.ins:02X}"


def _apart(found: Command) -> str:
    channel = f" on channel {found.channel}" if found.channel else ""
    return channel + " (a part)" * found.is_chained


def _application(found: Command) -> str:
    said = [values.application(found.data) or "another application"]
    if found.p1 != 0x04:
        said = ["not by an application's identifier"]
    if found.p2 & 0x03 == NEXT:
        said.append("the next one")
    if found.p2 & NO_ANSWER == NO_ANSWER:
        said.append("no answer wanted")
    return ", ".join(said)


def _channel(found: Command) -> str:
    number = str(found.p2) if found.p2 else ("this one" if found.p1 else "any")
    return f"{'close' if found.p1 else 'open'} {number}"


def _object(found: Command) -> str:
    tag = parts.object_tag(found)
    return "" if tag is None else values.object_name(tag)


def _use(found: Command) -> str:
    return f"{key(found.p2)}, {algorithm(found.p1)}"


def _of_key(found: Command) -> str:
    return key(found.p2)


def _verify(found: Command) -> str:
    if found.p1 == LOG_OUT:
        return f"{key(found.p2)}, log out"
    return key(found.p2) + ("" if found.data else ", its status")


def _move(found: Command) -> str:
    return f"{key(found.p2)}, {'erase' if found.p1 == ERASE else f'to {key(found.p1)}'}"


SUBJECTS: Mapping[int, Callable[[Command], str]] = {
    commands.Ins.SELECT: _application,
    commands.Ins.MANAGE_CHANNEL: _channel,
    names.GET_DATA_EVEN: lambda found: values.object_name(found.p1 << 8 | found.p2),
    Ins.VERIFY: _verify,
    Ins.CHANGE_REFERENCE_DATA: _of_key,
    Ins.RESET_RETRY_COUNTER: _of_key,
    Ins.GENERATE_ASYMMETRIC_KEY_PAIR: _of_key,
    Ins.GENERAL_AUTHENTICATE: _use,
    Ins.GET_DATA: _object,
    Ins.PUT_DATA: _object,
    Extension.GET_METADATA: _of_key,
    Extension.IMPORT_KEY: _use,
    Extension.ATTEST: lambda found: key(found.p1),
    Extension.MOVE_KEY: _move,
    Extension.SET_TRIES: lambda found: f"PIN {found.p1}, PUK {found.p2}",
}
