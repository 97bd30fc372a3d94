"""`cloudcard bench scale`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import click

from cloudcard_tools.bench.scale import checking, costs, searching
from cloudcard_tools.bench.scale.checking import Check
from cloudcard_tools.bench.scale.costs import Measured
from cloudcard_tools.bench.scale.searching import Found, NothingHolds
from cloudcard_tools.bench.scale.shapes import Demand, Shape
from cloudcard_tools.bench.scale.simulating import Terms
from cloudcard_tools.shared import output
from cloudcard_tools.shared.output import json_option
from cloudcard_tools.shared.tables import Column, print_table

EXAMPLES = """\b
Examples:
  cloudcard bench scale
  cloudcard bench scale --limits
  cloudcard bench scale --per-day 2e7 --peak 6 --batched 0.5 --p99 50 --json
  cloudcard bench scale --costs sign.json   # of cloudcard bench sign --json
"""
DAYS = (1e6, 1e7, 1e8, 1e9)
COUNTS = (1, 2, 4, 8, 16)  # of replicas, whose limits are shown
OF_EACH = 4  # cores of their computers
HEADINGS = ("A day", "A second", "Partitions", "Replicas", "Cores", "p50 ms", "p99 ms")


@click.command("scale", epilog=EXAMPLES)
@click.option(
    "--per-day",
    "days",
    type=click.FloatRange(1, 1e12),
    multiple=True,
    default=DAYS,
    help="Signatures of a day; repeatable. By default 1e6, 1e7, 1e8 and 1e9.",
)
@click.option(
    "--peak",
    type=click.FloatRange(1, 24),
    default=4.0,
    show_default=True,
    help="The busiest hour, times the day's mean.",
)
@click.option(
    "--batched",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Share of the signatures that come in batches.",
)
@click.option(
    "--batch",
    type=click.IntRange(2, 1000),
    default=250,
    show_default=True,
    help="Signatures of a batch.",
)
@click.option(
    "--uses",
    type=click.FloatRange(1, 1e6),
    default=200.0,
    show_default=True,
    help="Signatures of a session.",
)
@click.option(
    "--hours",
    type=click.FloatRange(0.01, 24),
    default=8.0,
    show_default=True,
    help="How long a session stays open.",
)
@click.option("--unary", is_flag=True, help="Each use is a call of its own; by default streams.")
@click.option(
    "--p99",
    "p99_ms",
    type=click.FloatRange(1, 10_000),
    default=100.0,
    show_default=True,
    help="Milliseconds within which 99 of 100 calls must be answered.",
)
@click.option(
    "--trip",
    "trip_ms",
    type=click.FloatRange(0, 100),
    default=0.2,
    show_default=True,
    help="Milliseconds to PostgreSQL and back.",
)
@click.option(
    "--database-cores",
    type=click.IntRange(1, 256),
    default=16,
    show_default=True,
    help="Of the computer of each PostgreSQL.",
)
@click.option(
    "--costs",
    "path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What cloudcard bench sign --json has printed. By default the figures of docs/scale.md.",
)
@click.option(
    "--limits",
    is_flag=True,
    help="Instead: what one keystore holds, and what 1 to 16 replicas on one database do.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of what comes by chance.")
@json_option
def scale_command(
    days: Sequence[float],
    peak: float,
    batched: float,
    batch: int,
    uses: float,
    hours: float,
    unary: bool,
    p99_ms: float,
    trip_ms: float,
    database_cores: int,
    path: Path | None,
    limits: bool,
    seed: int,
    as_json: bool,
) -> None:
    """Simulate how many computers the signatures of a day take, from measured costs, and what gives
    in first.

    The smallest is searched that answers 99 of 100 calls in time in the busiest hour. More than one
    partition is not in today's keystore: docs/scale.md says what that would be.
    """
    measured, terms = costs.read(path), Terms(p99_ms, trip_ms, seed)
    demand = Demand(
        per_day=days[0],
        peak=peak,
        streamed=not unary,
        batch=batch,
        batched=batched,
        uses=uses,
        hours=hours,
    )
    found: list[Found] = []
    shapes = list(_shapes(database_cores)) if limits else []
    with output.progress() as progress:
        task = progress.add_task("Simulating", total=len(shapes or days))
        try:
            for shape in shapes:
                found.append(searching.most(measured, demand, shape, terms))
                progress.advance(task)
            for day in () if limits else days:
                asked = demand.of_day(day)
                found.append(searching.smallest(measured, asked, terms, database_cores))
                progress.advance(task)
        except NothingHolds as error:
            raise click.ClickException(str(error)) from None
    checks = checking.checks(measured)
    if as_json:
        click.echo(json.dumps(_facts(measured, checks, found), indent=2))
        return
    columns = [Column(heading, right=True) for heading in HEADINGS]
    print_table([*columns, Column("First to give in")], list(map(_cells, found)))
    for line in _told(measured, checks):
        click.echo(line)


def _shapes(database_cores: int) -> Iterator[Shape]:
    """What there is without partitions."""
    for cores in searching.SIZES:
        yield Shape(1, 1, cores)
    for count in COUNTS:
        yield Shape(1, count, OF_EACH, database_cores)


def _cells(found: Found) -> tuple[str, ...]:
    shape, forecast = found.shape, found.forecast
    share = forecast.shares.get(forecast.busiest, 0.0)
    return (
        f"{found.demand.per_day:.3g}".replace("e+0", "e"),
        f"{found.demand.per_second:,.0f}",
        str(shape.partitions),
        str(shape.replicas) if shape.is_shared else "1, SQLite",
        str(shape.cores),
        f"{forecast.p50_ms:.1f}",
        f"{forecast.p99_ms:.1f}",
        f"{forecast.busiest} {share:.0%}",
    )


def _told(measured: Measured, checks: Mapping[str, Check]) -> Iterator[str]:
    """What the figures are worth."""
    for kind, check in checks.items():
        yield (
            f"Where costs were measured, {kind}: {check.simulated:,.0f} a second simulated, "
            f"{check.measured:,.0f} measured"
        )
    yield f"Costs: {measured.origin}"


def _facts(
    measured: Measured, checks: Mapping[str, Check], found: Sequence[Found]
) -> dict[str, object]:
    """The result for programs."""
    return {
        "found": [
            {
                "per_day": round(each.demand.per_day),
                "per_s": round(each.demand.per_second, 1),
                "open_sessions": round(each.demand.open_sessions),
                **asdict(each.shape),
                "all_cores": each.shape.all_cores,
                "p50_ms": round(each.forecast.p50_ms, 2),
                "p99_ms": round(each.forecast.p99_ms, 2),
                "busiest": each.forecast.busiest,
                "shares": {
                    name: round(each.forecast.shares[name], 4) for name in each.forecast.shares
                },
            }
            for each in found
        ],
        "checks": {
            kind: {name: round(value, 1) for name, value in asdict(check).items()}
            for kind, check in checks.items()
        },
        "costs": {"sqlite": asdict(measured.sqlite), "postgresql": asdict(measured.postgresql)},
        "origin": measured.origin,
    }
