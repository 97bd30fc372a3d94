"""`cloudcard trace export`: traces for other programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from card_os.trace.lines import Line, Pause, Received, Sent, read_all
from card_os.trace.words import TraceError
from cloudcard_tools.new_files import NEW_FILE
from cloudcard_tools.trace.formats import own, pcap
from cloudcard_tools.trace.formats.reading import HEX, JSON, PCAP
from cloudcard_tools.trace.formats.written import INPUT, kept
from cloudcard_tools.trace.replay.replaying import opened, texts


@click.command(
    "export",
    epilog="""\b
Examples:
  cloudcard trace export --to pcap login.trace -o login.pcap      for Wireshark
  cloudcard trace export --to jsonl login.trace -o login.jsonl    one event per line
""",
)
@click.argument("path", metavar="FILE", type=INPUT)
@click.option("--to", "form", required=True, type=click.Choice([HEX, JSON, PCAP]))
@click.option("-o", "--output", required=True, type=NEW_FILE, help="The file to write.")
def export_command(path: Path, form: str, output: Path) -> None:
    """Write a trace for other programs.

    jsonl has every line of the trace; hex has commands, responses, steps, comments and resets; pcap
    has commands and responses, as GSMTAP packets.
    """
    with opened(path) as file, kept(output) as draft:
        lines = _some(path, (line for _, line in read_all(texts(file))))
        if form == PCAP:
            for part in pcap.write(_timed(lines)):
                draft.buffer.write(part)
            return
        texted = map(own.to_hex if form == HEX else own.to_json, lines)
        draft.writelines(f"{text}\n" for text in texted if text is not None)


def _some(path: Path, lines: Iterable[Line]) -> Iterator[Line]:
    """The lines. Raises TraceError at their end if there was no command among them."""
    commands = 0
    for line in lines:
        commands += isinstance(line, Sent)
        yield line
    if not commands:
        raise TraceError(f"{path}: the trace has no commands")


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
