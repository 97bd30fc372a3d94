"""`cloudcard trace import` and `export`: traces from, and for, other programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from itertools import islice
from pathlib import Path

import click

from card_os.piv import image_file
from card_os.piv.secrets import secrets_of
from card_os.trace.lines import (
    HEADER,
    LONGEST_LINE,
    Comment,
    Image,
    Line,
    Pause,
    Power,
    Received,
    Sent,
    read_all,
    write,
)
from card_os.trace.redaction import Redaction, ResponseRedaction
from card_os.trace.words import TraceError
from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.trace.formats import logs, pcap
from cloudcard_tools.trace.replay import cards
from cloudcard_tools.trace.replay.replaying import opened, texts

INPUT = click.Path(exists=True, dir_okay=False, path_type=Path)
OUTPUT = click.Path(dir_okay=False, path_type=Path)
PCAP = "pcap"


@click.command(
    "import",
    epilog="""\b
Examples:
  cloudcard trace import pcscd.log -o login.trace           the format is detected
  cloudcard trace import --from opensc debug.log -o login.trace --card cards/5b0f….json
""",
)
@click.argument("path", metavar="FILE", type=INPUT)
@click.option("--from", "form", type=click.Choice([*logs.READERS, PCAP]), help="Default: detected.")
@click.option("-o", "--output", required=True, type=OUTPUT, help="The trace to write.")
@click.option("--card", type=INPUT, help="Image of the card, for replays without a reader.")
def import_command(path: Path, form: str | None, output: Path, card: Path | None) -> None:
    """Make a trace from what another program has logged.

    Passcodes and keys are replaced before anything is written. Such a trace has no key requests: it
    replays with --reader, and without a reader as far as no key is used, if --card was given.

    pcscd: what `pcscd --foreground --debug --apdu` prints. opensc: OPENSC_DEBUG=9. pcsc-spy: its
    output. scdaemon: its log with `debug cardio`. pcap: GSMTAP of SIM tracers and Wireshark. hex:
    alternating commands and responses, or lines marked with > and <. jsonl: from `trace export`.
    """
    form = form or _guess(path)
    with _kept(output) as draft:
        draft.write(f"{HEADER}\n")
        if form != "jsonl":
            draft.write(f"{write(Comment(f'imported from {form}'))}\n")
        if card is not None:
            draft.write(f"{write(Image(_image(card, output.parent)))}\n")
        for line in _redacted(_foreign(path, form)):
            draft.write(f"{write(line)}\n")


@click.command(
    "export",
    epilog="""\b
Examples:
  cloudcard trace export --to pcap login.trace -o login.pcap      for Wireshark
  cloudcard trace export --to jsonl login.trace -o login.jsonl    one event per line
""",
)
@click.argument("path", metavar="FILE", type=INPUT)
@click.option("--to", "form", required=True, type=click.Choice(["hex", "jsonl", PCAP]))
@click.option("-o", "--output", required=True, type=OUTPUT, help="The file to write.")
def export_command(path: Path, form: str, output: Path) -> None:
    """Write a trace for other programs.

    jsonl has every line of the trace; hex has commands, responses, steps, comments and resets; pcap
    has commands and responses, as GSMTAP packets.
    """
    with opened(path) as file, _kept(output) as draft:
        lines = (line for _, line in read_all(texts(file)))
        if form == PCAP:
            for part in pcap.write(_timed(lines)):
                draft.buffer.write(part)
            return
        texted = map(logs.to_hex if form == "hex" else logs.to_json, lines)
        draft.writelines(f"{text}\n" for text in texted if text is not None)


@contextmanager
def _kept(output: Path) -> Iterator[TextIOWrapper]:
    """Open a new file, which is complete or does not exist afterwards. Raises Failure if it exists,
    or for a TraceError in the block.
    """
    if output.exists():
        raise Failure(f"{output} is there already: name another file, or remove it")
    draft = output.with_name(output.name + ".new")
    try:
        with draft.open("wb") as raw:
            file = TextIOWrapper(raw, encoding="ascii", newline="\n")
            yield file
            file.flush()
            file.detach()
        draft.replace(output)
    except (TraceError, OSError) as error:
        raise Failure(str(error)) from None
    finally:
        draft.unlink(missing_ok=True)


def _foreign(path: Path, form: str) -> Iterator[Line]:
    if form == PCAP:
        with path.open("rb") as packets:
            yield from pcap.read(packets)
    else:
        with path.open(encoding="utf-8", errors="replace") as lines:
            yield from logs.read(iter(lambda: lines.readline(LONGEST_LINE + 2), ""), form)


def _redacted(lines: Iterable[Line]) -> Iterator[Line]:
    """The lines without secrets. A recorded trace has none and is not changed."""
    redaction, responses = Redaction(secrets_of), ResponseRedaction(secrets_of)
    command = b""
    for line in lines:
        match line:
            case Sent(apdu):
                command = apdu
                yield Sent(redaction.command(apdu))
            case Received(apdu):
                redaction.answered(apdu)
                yield Received(responses.response(command, apdu))
            case Power():
                redaction.reset()
                yield line
            case _:
                yield line


def _guess(path: Path) -> str:
    with path.open("rb") as file:
        if pcap.is_capture(file.read(4)):
            return PCAP
    with path.open(encoding="utf-8", errors="replace") as lines:
        return logs.guess(
            islice(iter(lambda: lines.readline(LONGEST_LINE), ""), logs.SNIFFED_LINES)
        )


def _timed(lines: Iterable[Line]) -> Iterator[tuple[int, bytes, bytes]]:
    """Commands and responses, with the microseconds since the beginning. If a command has no
    response, it is empty.
    """
    at = sent_at = 0
    command: bytes | None = None
    for line in lines:
        match line:
            case Pause(microseconds):
                at += microseconds
            case Sent(apdu):
                if command is not None:
                    yield sent_at, command, b""
                command, sent_at = apdu, at
            case Received(apdu) if command is not None:
                yield sent_at, command, apdu
                command = None
            case _:
                pass
    if command is not None:
        yield sent_at, command, b""


def _image(path: Path, folder: Path) -> bytes:
    """Copy an image to where the trace finds it. Returns its digest."""
    return cards.save(image_file.decode(path.read_bytes()), folder)
