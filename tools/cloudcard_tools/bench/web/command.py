"""The command line of the bench of the pages."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from cloudcard_tools.bench.options import database_option, users_option
from cloudcard_tools.bench.web import measuring
from cloudcard_tools.bench.web.measuring import GOALS, Task
from cloudcard_tools.shared import output
from cloudcard_tools.shared.output import json_option


@click.command(
    "web",
    epilog="""\b
Examples:
  cloudcard bench web --users 10000
  cloudcard bench web --users 100000 --json
  cloudcard bench web --database postgresql://bench@127.0.0.1/bench
""",
)
@users_option
@click.option(
    "--calls",
    type=click.IntRange(20, 10_000),
    default=100,
    show_default=True,
    help="Calls of each list, of which 95 in 100 take no longer than the figure, and approvals.",
)
@click.option(
    "--streams",
    type=click.IntRange(1, 10_000),
    default=5000,
    show_default=True,
    help="Pages of the authenticator that are open; at most as many as there are people.",
)
@database_option
@json_option
def web_command(users: int, calls: int, streams: int, address: str, as_json: bool) -> None:
    """Measure the pages of a keystore of many people, over TLS: lists, search, the authenticator's
    first load, rings and approvals at an open page, and the memory of pages that are open.
    """
    task = Task(users, address, calls, min(streams, users))
    total = 2 * users + task.phones + task.streams
    with TemporaryDirectory(prefix="cloudcard-bench-") as name, output.progress() as progress:
        steps = progress.add_task("Adding people, cards, phones and pages", total=total)
        result = measuring.measure(Path(name), task, lambda added: progress.advance(steps, added))
    if as_json:
        click.echo(json.dumps(result.facts(), indent=2))
        return
    for address_of, value in sorted(result.lists.items(), key=lambda each: -each[1]):
        click.echo(f"{address_of:40} {value:10.2f}")
    click.echo(f"{users} people, {result.streams} pages of the authenticator open.")
    for figure, value in result.measured.items():
        met = "met" if value <= GOALS[figure] else "not met"
        click.echo(f"{figure:24} {value:10.2f}  goal {GOALS[figure]:g}, {met}")
    click.echo(result.machine)
