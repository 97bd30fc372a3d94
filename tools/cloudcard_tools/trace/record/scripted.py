"""Records a card in any PC/SC reader, which answers a script of commands.

The key requests of such a card are not visible, so the trace has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from card_os import secrets
from card_os.piv.secrets import secrets_of
from card_os.trace.lines import HEADER, Comment, Power, Received, Sent, Step, read, write
from card_os.trace.redaction import Redaction, ResponseRedaction
from card_os.trace.words import TraceError, from_hex
from cloudcard_tools.trace.in_reader import Reader
from cloudcard_tools.trace.replay.passcodes import is_refused

LONGEST_LINE = 200_000  # characters


@dataclass(frozen=True, slots=True)
class Command:
    """A command of a script. `shown` has substitutes for the passcodes from files."""

    apdu: bytes
    shown: bytes

    @property
    def gives_passcode(self) -> bool:
        """Whether it holds a passcode from a file."""
        return self.apdu != self.shown


Line: TypeAlias = Command | Comment | Step | Power


def parse(script: Iterable[str], passcodes: Mapping[str, bytes]) -> Iterator[tuple[int, Line]]:
    """The lines of a script with their numbers. Each is a command in hexadecimal digits, `= name of
    a step`, `# comment` or `@ reset`. {pin} and {puk} in a command stand for passcodes.

    Raises TraceError with the number of a wrong line.
    """
    for number, raw in enumerate(script, 1):
        try:
            line = _line(raw.strip(), passcodes)
        except TraceError as error:
            raise TraceError(f"line {number}: {error}") from None
        if line is not None:
            yield number, line


def record(lines: Iterable[tuple[int, Line]], reader: Reader, name: str) -> Iterator[str]:
    """The lines of a trace of a card that answers a script.

    Raises TraceError if the card refuses a passcode from a file, so that a script does not spend
    the card's tries by giving it again; PcscError if the card was removed.
    """
    yield HEADER
    yield write(Comment(f"recorded at {name}, ATR {reader.atr.hex()}"))
    yield write(Comment("what the card asked is not known: replay this with --reader"))
    redaction, responses = Redaction(secrets_of), ResponseRedaction(secrets_of)
    reader.reset()
    for number, line in lines:
        match line:
            case Command(apdu, shown):
                yield write(Sent(redaction.command(shown)))
                response = reader.transmit(apdu)
                redaction.answered(response)
                yield write(Received(responses.response(shown, response)))
                if line.gives_passcode and is_refused(response):
                    raise TraceError(f"line {number}: the card refuses the passcode from the file")
            case Comment() | Step():
                yield write(line)
            case Power():
                reader.reset()
                redaction.reset()
                yield write(line)


def _line(text: str, passcodes: Mapping[str, bytes]) -> Line | None:
    if len(text) > LONGEST_LINE or not text.isprintable():
        raise TraceError("this is no line of a script: it is too long, or not plain text")
    if not text or text.startswith("cloudcard trace "):
        return None
    if text == write(Power.RESET):
        return Power.RESET
    if text[0] in "#=":
        line = read(text)
        return line if isinstance(line, Comment | Step) else None
    text = "".join(text.removeprefix(">").split())
    shown = {name: secrets.passcode(value) for name, value in passcodes.items()}
    # The command with substitutes is parsed first, because an error message quotes it.
    hidden = from_hex(_filled(text, shown))
    return Command(from_hex(_filled(text, passcodes)), hidden)


def _filled(text: str, passcodes: Mapping[str, bytes]) -> str:
    for name, value in passcodes.items():
        text = text.replace("{" + name + "}", value.hex())
    if "{" in text:
        raise TraceError("name the file of the passcode with --pin-file or --puk-file")
    return text
