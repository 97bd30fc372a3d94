"""The command line of the bench of growth."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from cloudcard_tools.bench.growth import measuring
from cloudcard_tools.shared import output
from cloudcard_tools.shared.output import json_option

EXAMPLES = """\b
Examples:
  cloudcard bench growth --rows 100000
  cloudcard bench growth --json
  cloudcard bench growth --database postgresql://bench@127.0.0.1/bench
"""


@click.command("growth", epilog=EXAMPLES)
@click.option(
    "--rows",
    type=click.IntRange(2000, 10_000_000),
    default=measuring.MANY,
    show_default=True,
    help="Cards when the keystore has grown, each with an open session. A million take 8 GB.",
)
@click.option(
    "--database",
    "address",
    default="",
    metavar="URL",
    help="Use this empty PostgreSQL database, of a server on this computer, instead of SQLite.",
)
@click.option(
    "--waiting",
    type=click.IntRange(100, 100_000),
    default=measuring.WAITING,
    show_default=True,
    help="Number of operations that wait, for the memory of each.",
)
@json_option
def growth_command(rows: int, address: str, waiting: int, as_json: bool) -> None:
    """Measure whether a keystore that has grown still does its work at the same cost.

    It makes a keystore with a thousand cards, and measures; then it adds cards and measures again.
    """
    with (
        TemporaryDirectory(prefix="cloudcard-bench-") as name,
        output.progress() as progress,
    ):
        task = progress.add_task("Measuring", total=measuring.steps(rows, waiting))
        result = measuring.measure(
            Path(name), rows, address, lambda steps: progress.advance(task, steps), waiting
        )
    if as_json:
        click.echo(json.dumps(result.facts(), indent=2))
        return
    click.echo(f"{result.many.cards} cards and open sessions, compared with {result.few.cards}.")
    for title, value, most in result.goals():
        met = "met" if value <= most else "not met"
        click.echo(f"{title:52} {value:10.2f}  goal {most:g}, {met}")
    click.echo(result.machine)
