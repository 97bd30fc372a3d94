"""APDUs in words: what a command is about, what a response says."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from card_os import commands
from card_os.apdu import Command
from card_os.piv.names import Extension, Ins
from card_os.status import CardError
from cloudcard_tools.trace.explain import data_objects, names, parts, values
from cloudcard_tools.trace.explain.data_objects import DataObject, octets
from cloudcard_tools.trace.explain.names import algorithm, key

NO_ANSWER, NEXT = 0x0C, 0x02  # bits of SELECT's P2
LOG_OUT, ERASE = 0xFF, 0xFF


def parsed(apdu: bytes) -> Command | None:
    """A command APDU; None for bytes whose lengths are wrong."""
    try:
        return Command.parse(apdu)
    except CardError:
        return None


def command(apdu: bytes) -> str:
    """A command in one line, with its data."""
    found = parsed(apdu)
    if found is None:
        return f"{instruction(apdu)}, lengths wrong: {octets(apdu)}"
    data = f" data {octets(found.data)}" if found.data else ""
    return title(found) + data


def title(found: Command) -> str:
    """A command's name, parameters and what it is about, without its data."""
    name = instruction(bytes((found.cla, found.ins)))
    about = f" ({said})" if (said := subject(found)) else ""
    return f"{name}{_apart(found)} P1-P2 {found.p1:02X}{found.p2:02X}{about}"


def instruction(apdu: bytes) -> str:
    """Name of a command's instruction."""
    if len(apdu) < 2:
        return "no command"
    return names.INSTRUCTIONS.get(apdu[1], f"instruction {apdu[1]:02X}")


def subject(found: Command) -> str:
    """What a command is about: a key, an object, an application; empty where nobody can tell."""
    if found.is_secured:
        return "under secure messaging"
    tell = SUBJECTS.get(found.ins)
    return tell(found) if tell else ""


def status(apdu: bytes) -> str:
    """A response's status word in words."""
    sw = int.from_bytes(apdu[-2:])
    return f"{sw:04X} ({names.status(sw)})"


def sent(found: Command, data: bytes) -> tuple[tuple[DataObject, ...], str]:
    """The data of a command, all of it, as data objects; else in words, as far as they go."""
    meaning = None if found.is_secured else parts.SENT.get(found.ins)
    if meaning is not None:
        return (), meaning(data)
    return data_objects.decode(data, parts.sent(found)), ""


def received(found: Command | None, data: bytes) -> tuple[tuple[DataObject, ...], str]:
    """The data that answers a command, all of it, as data objects; else in words."""
    if found is None:
        return data_objects.decode(data, parts.EVERYWHERE), ""
    meaning = None if found.is_secured else parts.RECEIVED.get(found.ins)
    if meaning is not None:
        return (), meaning(data)
    return data_objects.decode(data, parts.received(found)), ""


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
