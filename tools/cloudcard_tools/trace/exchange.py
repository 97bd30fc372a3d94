"""`cloudcard trace import` and `export`: traces from, and for, other programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from card_os.trace.lines import HEADER, LONGEST_LINE, Received, Sent, read_all, write
from card_os.trace.redaction import Redaction
from card_os.trace.words import TraceError
from cloudcard_tools.failure import Failure
from cloudcard_tools.trace import logs, pcap

INPUT = click.Path(exists=True, dir_okay=False, path_type=Path)
OUTPUT = click.Path(dir_okay=False, path_type=Path)


@click.command(
    "import", epilog="Example: cloudcard trace import --from pcscd pcscd.log -o login.trace"
)
@click.argument("path", metavar="FILE", type=INPUT)
@click.option("--from", "form", required=True, type=click.Choice([*logs.READERS, "pcap"]))
@click.option("-o", "--output", required=True, type=OUTPUT, help="The trace to write.")
def import_command(path: Path, form: str, output: Path) -> None:
    """Make a trace of another program's log; its passcodes and keys are replaced first.

    Such a trace has no key requests: a replay in process differs where the card asks for a key.
    """
    _save(output, (part.encode() for part in _imported(path, form)))


@click.command(
    "export", epilog="Example: cloudcard trace export --to pcap login.trace -o login.pcap"
)
@click.argument("path", metavar="FILE", type=INPUT)
@click.option("--to", "form", required=True, type=click.Choice(["hex", "jsonl", "pcap"]))
@click.option("-o", "--output", required=True, type=OUTPUT, help="The file to write.")
def export_command(path: Path, form: str, output: Path) -> None:
    """Write a trace's commands and responses for other programs."""
    if form == "pcap":
        _save(output, pcap.write(_apdus(path)))
    else:
        line = logs.to_hex if form == "hex" else logs.to_json
        _save(output, (f"{line(each)}\n".encode() for each in _apdus(path)))


def _imported(path: Path, form: str) -> Iterator[str]:
    redaction = Redaction()
    yield f"{HEADER}\n# Imported from {form}.\n"
    for each in _foreign(path, form):
        hidden = Sent(redaction.command(each.apdu)) if isinstance(each, Sent) else each
        yield f"{write(hidden)}\n"


def _foreign(path: Path, form: str) -> Iterator[Sent | Received]:
    if form == "pcap":
        with path.open("rb") as packets:
            yield from pcap.read(packets)
    else:
        with path.open(encoding="utf-8", errors="replace") as lines:
            yield from logs.read(iter(lambda: lines.readline(LONGEST_LINE + 2), ""), form)


def _apdus(path: Path) -> Iterator[Sent | Received]:
    with path.open(encoding="utf-8", errors="replace") as lines:
        for _, line in read_all(lines):
            if isinstance(line, Sent | Received):
                yield line


def _save(output: Path, parts: Iterable[bytes]) -> None:
    """Write a whole file or none. Raises Failure where what is read is wrong."""
    draft = output.with_name(output.name + ".part")
    try:
        with draft.open("wb") as file:
            file.writelines(parts)
        draft.replace(output)
    except (TraceError, OSError) as error:
        draft.unlink(missing_ok=True)
        raise Failure(str(error)) from error
