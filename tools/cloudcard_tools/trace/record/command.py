"""`cloudcard trace record`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from card_os.trace.words import TraceError
from cloudcard_tools import new_files
from cloudcard_tools.new_files import NEW_FILE
from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.trace.in_reader import FILE, connected, passcode_options
from cloudcard_tools.trace.replay.passcodes import read


@click.command(
    "record",
    epilog="""\b
Examples:
  cloudcard trace record --reader Yubico --script look.txt --output look.trace

\b
A script has one command per line:
  = select
  00A4040005A000000308
  = log in
  00200080 08 {pin}
""",
)
@click.option("--reader", required=True, help="The PC/SC reader; a part of its name is enough.")
@click.option("--script", type=FILE, required=True, help="What to send.")
@click.option(
    "--output",
    "-o",
    type=NEW_FILE,
    required=True,
    help="The new trace file.",
)
@passcode_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def record_command(
    reader: str,
    script: Path,
    output: Path,
    pin_file: Path | None,
    puk_file: Path | None,
    as_json: bool,
) -> None:
    """Record how a card in a PC/SC reader answers a script.

    `cloudcard reader --record` records the cards in this computer's virtual reader instead, with
    their key requests.

    Each line of the script is a command in hexadecimal digits, `= name of a step`, `# comment` or
    `@ reset`; {pin} and {puk} in a command stand for the passcodes in the files. Passcodes and
    deciphered data are replaced before anything is written. A script with a wrong line is not
    started. If the card refuses a passcode, the script ends. Exit status: 0 recorded, 1 not
    recorded, 2 wrong usage.
    """
    from cloudcard_tools.trace.record import scripted

    files = {"pin": pin_file, "puk": puk_file}
    commands = 0
    try:
        known = {name: read(path) for name, path in files.items() if path is not None}
        with script.open(encoding="ascii", errors="surrogateescape") as lines:
            commands = sum(
                isinstance(line, scripted.Command) for _, line in scripted.parse(lines, known)
            )
            lines.seek(0)
            with connected(reader) as (name, card), new_files.opened(output) as trace:
                told = scripted.record(scripted.parse(lines, known), card, name)
                trace.writelines(line + "\n" for line in told)
    except TraceError as error:
        raise Failure(f"{script}: {error}") from None
    if as_json:
        document = {"path": str(output), "reader": name, "commands": commands}
        click.echo(json.dumps(document, indent=2))
    else:
        click.echo(f"Recorded: {output}, {commands} commands", err=True)
