"""`cloudcard trace`: what a card was told, recorded and replayed."""

from __future__ import annotations

from collections.abc import Mapping

import click

from cloudcard_tools.shell.lazy import LazyGroup, Row

HERE = "cloudcard_tools.trace"
COMMANDS: Mapping[str, Row] = {
    "replay": Row(
        f"{HERE}.replay.command:replay_command",
        "Send the commands of traces to the card again, and compare every response.",
    ),
    "record": Row(
        f"{HERE}.record.command:record_command",
        "Record how a card in a PC/SC reader answers a script.",
    ),
    "show": Row(
        f"{HERE}.explain.command:show_command",
        "Show a trace in words: commands, keys, objects, status words, data objects, times.",
    ),
    "import": Row(
        f"{HERE}.formats.importing:import_command",
        "Make a trace from what another program has logged.",
    ),
    "export": Row(f"{HERE}.formats.exporting:export_command", "Write a trace for other programs."),
    "minimise": Row(
        f"{HERE}.minimise.command:minimise_command",
        "Shorten a failing trace to the part that still fails in the same way.",
    ),
    "fuzz": Row(
        f"{HERE}.fuzz.command:fuzz_command",
        "Change the traces of CORPUS at random, replay them, and keep what is new or breaks.",
    ),
}


@click.group(
    cls=LazyGroup,
    rows=COMMANDS,
    epilog="""\b
Examples:
  cloudcard reader --card 1500000000000017 --record login.trace
  cloudcard trace replay login.trace
  cloudcard trace replay tests/traces --jobs 4 --junit traces.xml
  cloudcard trace record --reader Yubico --script look.txt --output look.trace
  cloudcard trace show login.trace --html login.html
  cloudcard trace import pcscd.log -o login.trace
  cloudcard trace export --to pcap login.trace -o login.pcap
  cloudcard trace minimise login.trace -o short.trace
""",
)
def trace() -> None:
    """Record what a card was told, and replay it exactly."""
