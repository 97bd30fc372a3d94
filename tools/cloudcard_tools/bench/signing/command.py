"""`cloudcard bench sign`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from cloudcard_tools.bench.signing import clients, measuring
from cloudcard_tools.bench.signing.figures import BATCH, BATCHES_IN_FLIGHT, IN_FLIGHT, Result
from cloudcard_tools.bench.signing.measuring import Plan
from cloudcard_tools.shared import output
from cloudcard_tools.shared.output import json_option
from cloudcard_tools.shared.tables import Column, print_table

EXAMPLES = """\b
Examples:
  cloudcard bench sign
  cloudcard bench sign --json --seconds 60
  cloudcard bench sign --client both --workstations 10 --sessions 100
  cloudcard bench sign --postgres postgresql://bench@127.0.0.1/bench
"""
BOTH = "both"
HEADINGS = (
    "Per second",
    "to openssl",
    "Server us",
    "to openssl",
    "Client us",
    "p50, ms",
    "p99, ms",
)
FIGURES = ("per_s", "wall_ratio", "server_us", "cpu_ratio", "client_us", "p50_ms", "p99_ms")


@click.command("sign", epilog=EXAMPLES)
@click.option(
    "--seconds",
    type=click.FloatRange(0.1, 600),
    default=2.0,
    show_default=True,
    help="Seconds for each kind of call, in each round.",
)
@click.option(
    "--rounds",
    type=click.IntRange(1, 100),
    default=3,
    show_default=True,
    help="Turns of all.",
)
@click.option(
    "--workstations",
    type=click.IntRange(1, 1000),
    default=100,
    show_default=True,
    help="Each has an identity and a connection of its own.",
)
@click.option(
    "--sessions",
    type=click.IntRange(2, 100_000),
    default=1000,
    show_default=True,
    help="Open sessions, half of them of RSA-2048 keys and half of P-256 keys.",
)
@click.option(
    "--postgres",
    default="",
    metavar="URL",
    help="Measure on this empty PostgreSQL database of this computer, and compare it with SQLite, "
    "and two replicas with one.",
)
@click.option(
    "--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Of each keystore."
)
@click.option(
    "--client",
    type=click.Choice([*clients.NAMES, BOTH]),
    default=clients.NAMES[0],
    show_default=True,
    help="The native client is built here, from the repository; the one in Python is slower than "
    "the keystore.",
)
@json_option
def sign_command(
    seconds: float,
    rounds: int,
    workstations: int,
    sessions: int,
    postgres: str,
    workers: int,
    client: str,
    as_json: bool,
) -> None:
    """Measure signatures of a real keystore, by the clock and by processor time, compared with
    OpenSSL and with an empty call.

    It uses mutual TLS, sessions with their policy and a durable journal. The client is on the same
    computer.
    """
    plan = Plan(
        seconds=seconds,
        rounds=rounds,
        workstations=workstations,
        sessions=sessions,
        postgres=postgres,
        workers=workers,
        clients=clients.NAMES if client == BOTH else (client,),
    )
    with (
        TemporaryDirectory(prefix="cloudcard-bench-") as name,
        output.progress() as progress,
    ):
        task = progress.add_task("Enrolling", total=plan.steps)

        def done(what: str, steps: int) -> None:
            progress.update(task, description=what, advance=steps)

        results = measuring.measure(Path(name), plan, done)
    if as_json:
        facts = {name: result.facts() for name, result in results.items()}
        click.echo(json.dumps(facts if client == BOTH else facts[client], indent=2))
        return
    for name, result in results.items():
        print_result(name, result)


def print_result(name: str, result: Result) -> None:
    """Print a result for people."""
    facts = result.facts()
    rows = [("empty call", *_cells(facts["noop"]))]
    for group in ("rsa2048", "rsa2048_pss", "p256"):
        for kind, figures in facts[group].items():
            if isinstance(figures, dict):
                rows.append((f"{group} {kind}", *_cells(figures)))
    columns = [Column(f"The {name} client"), *(Column(each, right=True) for each in HEADINGS)]
    print_table(columns, rows)
    click.echo(
        f"{IN_FLIGHT} calls in flight, or {BATCHES_IN_FLIGHT} batches of {BATCH}; p50 and p99 with "
        f"one. {result.uses} uses."
    )
    for what in ("openssl", "limit"):
        click.echo(what + ": " + ", ".join(f"{key} {value}" for key, value in facts[what].items()))
    possible = ", ".join(f"{kind} {value}" for kind, value in result.possible().items())
    click.echo(f"RSA-2048 by CPU second to openssl, if only gRPC and keys took time: {possible}")
    for goal, value in result.goals():
        met = "met" if goal.is_met(value) else "missed"
        click.echo(f"{goal.title:45} {value:8.3f}  goal {goal.wanted}, {met}")


def _cells(figures: Mapping[str, object]) -> tuple[str, ...]:
    return tuple(str(figures.get(name, "")) for name in FIGURES)
