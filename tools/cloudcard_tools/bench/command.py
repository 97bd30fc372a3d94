"""The command line of the benches."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from rich.text import Text

from cloudcard_tools.bench import apdu, card, journal, reader, waiting
from cloudcard_tools.bench import trace as traces
from cloudcard_tools.bench.growth.command import growth_command
from cloudcard_tools.bench.registry.command import registry_command
from cloudcard_tools.bench.scale.command import scale_command
from cloudcard_tools.bench.signing.command import sign_command
from cloudcard_tools.bench.web.command import web_command
from cloudcard_tools.shared import logs, output, pcscd
from cloudcard_tools.shared.output import json_option
from cloudcard_tools.shared.tables import Column, print_table

EXAMPLES = """\b
Examples:
  cloudcard bench card
  cloudcard bench card --json --cards 10000 --peer
  cloudcard bench apdu
  cloudcard bench apdu --json --count 20000
  cloudcard bench apdu --peer
  cloudcard bench reader --json
  cloudcard bench sign
  cloudcard bench sign --json --seconds 5
  cloudcard bench waiting --json
  cloudcard bench journal --rows 10000000
  cloudcard bench growth --rows 100000
  cloudcard bench sign --postgres postgresql://bench@127.0.0.1/bench
  cloudcard bench scale
  cloudcard bench registry --users 100000 --json
  cloudcard bench web --users 100000 --json
  cloudcard bench trace --json
"""


@click.group(epilog=EXAMPLES)
def bench() -> None:
    """Measure how fast the card and the keystore are."""
    logs.apart()


bench.add_command(sign_command)
bench.add_command(scale_command)
bench.add_command(registry_command)
bench.add_command(web_command)


@bench.command("apdu", epilog=EXAMPLES)
@click.option(
    "--count",
    type=click.IntRange(1, 10_000_000),
    default=5000,
    show_default=True,
    help="Commands to each card.",
)
@click.option("--peer", "with_peer", is_flag=True, help="Also measure vsmartcard's emulator.")
@json_option
def apdu_command(count: int, with_peer: bool, as_json: bool) -> None:
    """Measure the time of a command through pcscd, on our card and on one that only echoes.

    Starts pcscd if none is running. Both virtual readers must be free.
    """
    with TemporaryDirectory(prefix="cloudcard-bench-") as name:
        folder = Path(name)
        with (
            pcscd.available(folder / "pcscd.log", say_waiting),
            output.progress() as progress,
        ):
            task = progress.add_task("Measuring", total=apdu.steps(count, with_peer=with_peer))
            result = apdu.measure(
                folder,
                count,
                with_peer=with_peer,
                done=lambda commands: progress.advance(task, commands),
            )
    if as_json:
        click.echo(json.dumps(facts(result), indent=2))
    else:
        print_result(result)
        click.echo(result.machine)


@bench.command("card", epilog=EXAMPLES)
@click.option(
    "--count",
    type=click.IntRange(1, 10_000_000),
    default=2000,
    show_default=True,
    help="Runs of each command.",
)
@click.option(
    "--cards",
    type=click.IntRange(1, 1_000_000),
    default=500,
    show_default=True,
    help="Cards to hold at once.",
)
@click.option("--peer", "with_peer", is_flag=True, help="Also measure vsmartcard's emulator.")
@json_option
def card_command(count: int, cards: int, with_peer: bool, as_json: bool) -> None:
    """Measure the card alone: its time for a command, and its memory."""
    with output.progress() as progress:
        task = progress.add_task("Measuring", total=card.steps(count, cards))
        result = card.measure(
            count,
            cards,
            with_peer=with_peer,
            done=lambda steps: progress.advance(task, steps),
        )
    if as_json:
        click.echo(json.dumps(card_facts(result), indent=2))
    else:
        print_card_result(result)
        click.echo(result.machine)


@bench.command("reader", epilog=EXAMPLES)
@click.option(
    "--count",
    type=click.IntRange(reader.ROUNDS, 1_000_000),
    default=6000,
    show_default=True,
    help="Commands to each card.",
)
@json_option
def reader_command(count: int, as_json: bool) -> None:
    """Measure our own driver beside vpcd, with a pcscd of this command's own.

    It needs the repository, a compiler and namespaces: run it as root, or where users have them.
    """
    with (
        TemporaryDirectory(prefix="cloudcard-bench-") as name,
        output.progress() as progress,
    ):
        task = progress.add_task("Measuring", total=reader.steps())
        result = reader.measure(Path(name), count, lambda steps: progress.advance(task, steps))
    if as_json:
        click.echo(json.dumps(asdict(result), indent=2))
        return
    for title, value, most in result.goals():
        met = "met" if value <= most else "not met"
        click.echo(f"{title:34} {value:8.2f}  goal {most:g}, {met}")
    click.echo(result.machine)


@bench.command("waiting", epilog=EXAMPLES)
@click.option(
    "--waiting",
    "count",
    type=click.IntRange(1, 100_000),
    default=10_000,
    show_default=True,
    help="Number of operations that wait; with a call each, at most 15000.",
)
@click.option(
    "--calls",
    type=click.Choice(["one", "each"]),
    default="one",
    show_default=True,
    help="Let each workstation's operations wait over one call, or by a call each.",
)
@click.option(
    "--samples",
    type=click.IntRange(1, 100_000),
    default=waiting.SAMPLES,
    show_default=True,
    help="Number of approvals to measure meanwhile.",
)
@json_option
def waiting_command(count: int, calls: str, samples: int, as_json: bool) -> None:
    """Measure how long an approval takes to become a signature while thousands wait."""
    with (
        TemporaryDirectory(prefix="cloudcard-bench-") as name,
        output.progress() as progress,
    ):
        task = progress.add_task("Measuring", total=3)
        result = waiting.measure(
            Path(name),
            count,
            samples,
            lambda steps: progress.advance(task, steps),
            together=calls == "one",
        )
    if as_json:
        click.echo(json.dumps(asdict(result), indent=2))
        return
    how = "over one call of each workstation" if result.together else "by a call each"
    click.echo(f"{result.waiting} operations wait at one keystore, {how}.")
    for title, value, most in result.goals():
        met = "met" if value <= most else "not met"
        click.echo(f"{title:30} {value:8.1f}  goal {most:.0f}, {met}")
    click.echo(
        "Approvals that wait over one call take, compared with a call each: "
        f"p50 {result.p50_ratio:.2f}, p99 {result.p99_ratio:.2f}."
    )
    click.echo(result.machine)


@bench.command("journal", epilog=EXAMPLES)
@click.option(
    "--rows",
    type=click.IntRange(1, 100_000_000),
    default=1_000_000,
    show_default=True,
    help="Number of entries.",
)
@click.option(
    "--database",
    "address",
    default="",
    metavar="URL",
    help="Use this empty PostgreSQL database instead of SQLite.",
)
@json_option
def journal_command(rows: int, address: str, as_json: bool) -> None:
    """Measure how fast the journal takes in entries, and how fast it finds them again."""
    with (
        TemporaryDirectory(prefix="cloudcard-bench-") as name,
        output.progress() as progress,
    ):
        task = progress.add_task("Measuring", total=2 * rows)
        result = journal.measure(
            Path(name), rows, address, lambda done: progress.advance(task, done)
        )
    if as_json:
        click.echo(json.dumps(asdict(result), indent=2))
        return
    click.echo(
        f"{result.rows} entries: {result.insert_per_s:.0f} written and "
        f"{result.take_in_per_s:.0f} taken into the tree a second."
    )
    for what, p50 in result.search_p50_ms.items():
        p99 = result.search_p99_ms[what]
        click.echo(f"A page by {what:12} p50 {p50:8.2f} ms   p99 {p99:8.2f} ms")
    click.echo(result.machine)


bench.add_command(growth_command)


@bench.command("trace", epilog=EXAMPLES)
@click.argument(
    "folder",
    default=traces.CORPUS,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
@click.option(
    "--runs",
    type=click.IntRange(1, 10_000),
    default=15,
    show_default=True,
    help="How often to replay the folder, and the short trace.",
)
@json_option
def trace_command(folder: Path, runs: int, as_json: bool) -> None:
    """Measure replays: all traces in FOLDER, and 50 commands through the command line.

    FOLDER is tests/traces by default, if this runs from a checkout.
    """
    with (
        TemporaryDirectory(prefix="cloudcard-bench-") as name,
        output.progress() as progress,
    ):
        task = progress.add_task("Measuring", total=2 * runs)
        result = traces.measure(
            folder, Path(name), runs, lambda steps: progress.advance(task, steps)
        )
    if as_json:
        click.echo(json.dumps(asdict(result), indent=2))
        return
    click.echo(f"{result.traces} traces, {result.commands} commands.")
    for title, value, wanted, met in result.goals():
        click.echo(f"{title:20} {value:10.3f}  goal {wanted:g}, {'met' if met else 'not met'}")
    click.echo(result.machine)


def card_facts(result: card.Result) -> dict[str, str | int | float]:
    """A result for programs, with the peer's times beside ours."""
    own = {key: value for key, value in asdict(result).items() if key != "peer"}
    other = asdict(result.peer) if result.peer else {}
    return {**own, **{f"peer_{key}": value for key, value in other.items()}}


def figures(first: str, *headings: str) -> list[Column]:
    """The columns of a table of figures."""
    return [Column(first), *(Column(heading, right=True) for heading in headings)]


def print_card_result(result: card.Result) -> None:
    """Print a result for people."""
    headings = ("Median, us", "Goal", "vsmartcard's emulator")[: 3 if result.peer else 2]
    facts = card_facts(result)
    rows: list[list[str | Text]] = []
    for key, name in card.NAMES.items():
        limit = card.GOALS.get(key)
        value = float(facts[key])
        cells: list[str | Text] = [name, f"{value:.1f}"]
        cells.append(goal(limit, met=value <= limit) if limit else "")
        if result.peer:
            cells.append(f"{facts[f'peer_{key}']:.1f}" if f"peer_{key}" in facts else "")
        rows.append(cells)
    print_table(figures("In the card alone", *headings), rows)


def say_waiting() -> None:
    """Say why nothing happens yet."""
    click.echo("Another demo, bench or test is using pcscd: waiting for it to end.", err=True)


def facts(result: apdu.Result) -> dict[str, str | int | float]:
    """A result for programs, without what was not measured."""
    measured = {key: value for key, value in asdict(result).items() if value is not None}
    return {**measured, "ratio": result.ratio}


def print_result(result: apdu.Result) -> None:
    """Print a result for people."""
    ratio_met = result.ratio <= apdu.RATIO_GOAL
    core_met = result.core_us <= apdu.CORE_GOAL_US
    rows: list[tuple[str, str, str | Text]] = [
        ("echo, with quick acknowledgements", f"{result.echo_us:.1f}", ""),
        ("this card, discovery object", f"{result.card_us:.1f}", ""),
        ("  times the echo", f"{result.ratio:.2f}", goal(apdu.RATIO_GOAL, met=ratio_met)),
        ("  in the card alone", f"{result.core_us:.1f}", goal(apdu.CORE_GOAL_US, met=core_met)),
        ("echo without quick acknowledgements", f"{result.naive_us:.1f}", ""),
    ]
    if result.peer_us is not None:
        rows.append(("vsmartcard's emulator, a challenge", f"{result.peer_us:.1f}", ""))
    print_table(figures("Median of a round trip", "us", "Goal"), rows)


def goal(limit: float, *, met: bool) -> Text:
    """A goal, coloured by whether it is met."""
    return Text(f"<= {limit:g}", "green" if met else "red")
