"""Tells what a check of a journal or a pack has found."""

from __future__ import annotations

import click

from cloudcard_tools.audit.checking import Checked
from cloudcard_tools.shared import output


def report(result: Checked, *, pinned: bool, as_json: bool) -> None:
    """Print the findings, or else what was checked and what could not be shown."""
    if as_json:
        output.print_json(_facts(result, pinned=pinned))
        return
    for each in result.findings:
        where = f"line {each.line}: " if each.line else ""
        click.secho(f"{where}{each.wrong}", fg="red")
    if not result.findings:
        entries = output.counted(result.entries, "entry", "entries")
        checkpoints = output.counted(result.checkpoints, "checkpoint", "checkpoints")
        click.echo(f"{entries} under {checkpoints}: nothing is wrong.")
    for line in _counted(result):
        click.echo(line)
    for what, times in result.unshown.items():
        often = f" ({times} times)" if times > 1 else ""
        click.secho(f"This does not show {what}{often}.", fg="yellow")
    if result.findings:
        return
    if not pinned:
        click.echo("The key in the file was used. Give --journal-key to check whose journal it is.")
    click.echo("Keep this checkpoint (or use --keep): the next check proves the history with it.\n")
    click.echo(result.newest.decode(), nl=False)


def _counted(result: Checked) -> list[str]:
    """What was checked, in words."""
    counts = result.counts
    lines = [
        f"Decisions: {output.counted(counts.approved, 'approval', 'approvals')}, "
        f"{output.counted(counts.refused, 'refusal', 'refusals')}. "
        f"Sessions: {counts.sessions}. Uses of keys: {counts.uses}"
        + (f", of which {counts.failed} failed" if counts.failed else "")
        + (f" and {counts.unsettled} perhaps failed" if counts.unsettled else "")
        + "."
    ]
    if result.since is not None and result.until is not None:
        period = f"{output.iso_time(result.since)} to {output.iso_time(result.until)}"
        lines.insert(0, f"Period: {period}.")
    return lines


def _facts(result: Checked, *, pinned: bool) -> output.Row:
    counts = result.counts
    return {
        "valid": not result.findings,
        "entries": result.entries,
        "checkpoints": result.checkpoints,
        "key_pinned": pinned,
        "checkpoint": result.newest.decode(),
        "since": None if result.since is None else output.iso_time(result.since),
        "until": None if result.until is None else output.iso_time(result.until),
        "approvals": counts.approved,
        "refusals": counts.refused,
        "sessions": counts.sessions,
        "uses": counts.uses,
        "failed_uses": counts.failed,
        "unsettled_uses": counts.unsettled,
        "not_shown": [{"what": what, "times": times} for what, times in result.unshown.items()],
        "findings": [{"line": each.line, "wrong": each.wrong} for each in result.findings],
    }
