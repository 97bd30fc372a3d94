"""A trace as people read it: what each line says, in words, and how long it took."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from card_os.apdu import Command
from card_os.keys import (
    ChangePasscode,
    KeyRequest,
    KeyResult,
    KeyUse,
    PasscodeStatus,
    Refusal,
    ResetPasscode,
    TriesLeft,
    UseKey,
    Verified,
    VerifyPasscode,
)
from card_os.management import (
    Administrator,
    AttestKey,
    Changed,
    GenerateKey,
    ImportKey,
    MoveKey,
    WriteObject,
)
from card_os.piv.names import Ins
from card_os.status import SW, CardError
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
from cloudcard_tools.trace import words

GET_RESPONSE, MORE = b"\xc0", b"\x61"  # an instruction; the first byte of a status word
LONGEST = 1 << 17  # bytes of a whole response
MICROSECONDS = 1_000_000
FINE = frozenset({int(SW.OK), int(SW.ALREADY_CLOSED)})


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a trace. `kind` is one of step, comment, setting, power, command, response,
    request and result.
    """

    number: int  # of the line
    kind: str
    text: str
    details: tuple[str, ...] = ()  # what is in it, one data object a line
    raw: str = ""  # the APDU in hexadecimal digits
    at: float = 0.0  # seconds since the beginning
    seconds: float = 0.0  # since the line before
    slow: bool = False
    fine: bool = True  # of a response: no error
    step: str = field(default="")


def read(lines: Iterable[tuple[int, Line]], slow: float) -> Iterator[Entry]:
    """The entries of a trace, one at a time; what took `slow` seconds or longer is marked."""
    at = seconds = 0.0
    step = ""
    pieces = b""  # of a response that goes on
    for number, line in lines:
        if isinstance(line, Pause):
            seconds += line.microseconds / MICROSECONDS
            continue
        at += seconds
        if isinstance(line, Step):
            step = line.name
        kind, text, details, raw, fine = _told(line)
        match line:
            case Received(apdu) if _goes_on(apdu):
                pieces = (pieces + apdu[:-2])[:LONGEST]
            case Received(apdu):
                details, pieces = _tree(pieces + apdu[:-2]), b""
            case Sent(apdu) if apdu[1:2] != GET_RESPONSE:
                pieces = b""
        is_slow = seconds >= slow and kind in ("response", "request", "result")
        yield Entry(number, kind, text, details, raw, at, seconds, is_slow, fine, step)
        seconds = 0.0


def _told(line: Line) -> tuple[str, str, tuple[str, ...], str, bool]:
    """Kind, text, details, APDU, and whether all is well."""
    match line:
        case Sent(apdu):
            return "command", words.command(apdu), _inside(apdu), apdu.hex(), True
        case Received(apdu):
            status = int.from_bytes(apdu[-2:])
            data = apdu[:-2]
            more = f", {len(data)} bytes" if data else ""
            fine = status in FINE or _goes_on(apdu)
            return "response", words.status(apdu) + more, (), apdu.hex(), fine
        case Asked(request):
            return "request", asked(request), (), "", True
        case Answered(result):
            return "result", answered(result), (), "", not isinstance(result, Refusal)
        case Step(name):
            return "step", name, (), "", True
        case Comment(text):
            return "comment", text, (), "", True
        case Power():
            return "power", line.value, (), "", True
        case Abandoned():
            return "power", "the reader hangs up while the card waits", (), "", False
        case Image(sha256):
            return "setting", f"card {sha256.hex()}", (), "", True
        case Seed(value):
            return "setting", f"random bytes from seed {words.octets(value)}", (), "", True
        case Clock(time):
            return "setting", f"recorded at {time}", (), "", True
        case Pause(microseconds):
            return "setting", f"{microseconds / MICROSECONDS:g} s pass", (), "", True


def duration(seconds: float) -> str:
    """A time that people read."""
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def asked(request: KeyRequest) -> str:
    """A key request in words."""
    if isinstance(request, UseKey):
        name = words.algorithm(request.algorithm)
        return f"{USES[request.use]} with {words.key(request.key_ref)}, {name}"
    tell = REQUESTS.get(type(request))
    return tell(request) if tell else _named(request)


def answered(result: KeyResult) -> str:
    """A key result in words."""
    match result:
        case bytes():
            return f"{len(result)} bytes {words.octets(result)}"
        case Verified(proof):
            return f"right, proof {proof.decode('ascii', 'replace')}"
        case TriesLeft(tries, most, factory):
            known = ", the factory's" if factory else ""
            return f"{tries} of {most} tries left{known}"
        case Administrator():
            return "the administrator's answer is right"
        case Changed(objects, keys, management):
            parts = [f"object {words.OBJECTS.get(tag, f'{tag:02X}')}" for tag in objects]
            parts += [f"key {words.key(key_ref)}" for key_ref in keys]
            parts += [] if management is None else ["management key"]
            return f"changed: {', '.join(parts) or 'nothing'}"
        case Refusal():
            return f"refused: {result.name.lower().replace('_', ' ')}"


def _passcode(verb: str) -> Callable[[KeyRequest], str]:
    def tell(request: KeyRequest) -> str:
        key_ref = getattr(request, "key_ref", 0)
        return f"{verb} {words.key(key_ref)}"

    return tell


def _named(request: KeyRequest) -> str:
    """The name of a request, from its type's."""
    name = type(request).__name__
    spaced = "".join(f" {each.lower()}" if each.isupper() else each for each in name).strip()
    key_ref = getattr(request, "key_ref", None)
    return spaced if key_ref is None else f"{spaced} {words.key(key_ref)}"


USES: Mapping[KeyUse, str] = {
    KeyUse.SIGN: "sign",
    KeyUse.DECRYPT: "decrypt",
    KeyUse.AGREE: "agree on a secret",
}
REQUESTS: Mapping[type, Callable[[KeyRequest], str]] = {
    VerifyPasscode: _passcode("check the passcode"),
    ChangePasscode: _passcode("change the passcode"),
    ResetPasscode: _passcode("unblock the passcode"),
    PasscodeStatus: _passcode("how many tries has"),
    GenerateKey: _passcode("make key"),
    ImportKey: _passcode("import key"),
    AttestKey: _passcode("attest key"),
    MoveKey: lambda request: f"move key {words.key(getattr(request, 'source', 0))}",
    WriteObject: lambda request: (
        f"write object {words.OBJECTS.get(getattr(request, 'tag', 0), 'of another kind')}"
    ),
}


def _goes_on(response: bytes) -> bool:
    """Whether there is more to fetch."""
    return response[-2:-1] == MORE


def _inside(apdu: bytes) -> tuple[str, ...]:
    try:
        command = Command.parse(apdu)
    except CardError:
        return ()
    told = command.is_chained or command.ins == Ins.GET_DATA  # in the command's words
    return () if told else _tree(command.data)


def _tree(data: bytes) -> tuple[str, ...]:
    return tuple(words.tree(data, certificates=True)) if data else ()
