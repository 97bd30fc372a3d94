"""The command line of the bench of many people."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from cloudcard_tools.bench.options import database_option, users_option
from cloudcard_tools.bench.registry import measuring
from cloudcard_tools.bench.registry.measuring import GOALS
from cloudcard_tools.shared import output
from cloudcard_tools.shared.output import json_option


@click.command(
    "registry",
    epilog="""\b
Examples:
  cloudcard bench registry --users 10000
  cloudcard bench registry --users 100000 --json
  cloudcard bench registry --database postgresql://bench@127.0.0.1/bench
""",
)
@users_option
@click.option(
    "--calls",
    type=click.IntRange(20, 10_000),
    default=100,
    show_default=True,
    help="Calls of each kind, of which 95 in 100 take no longer than the figure.",
)
@database_option
@json_option
def registry_command(users: int, calls: int, address: str, as_json: bool) -> None:
    """Measure a keystore of many people, each with a card: import, search, pages of people, what
    expires, the journal, issuing, and the memory of an export.
    """
    with TemporaryDirectory(prefix="cloudcard-bench-") as name, output.progress() as progress:
        task = progress.add_task("Adding people and cards", total=2 * users)
        result = measuring.measure(
            Path(name), users, address, calls, lambda added: progress.advance(task, added)
        )
    if as_json:
        click.echo(json.dumps(result.facts(), indent=2))
        return
    click.echo(f"{result.users} people, {result.cards} cards.")
    for figure, value in result.measured.items():
        met = "met" if value <= GOALS[figure] else "not met"
        click.echo(f"{figure:18} {value:10.2f}  goal {GOALS[figure]:g}, {met}")
    click.echo(result.machine)
