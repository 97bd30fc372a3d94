"""The command line of the doctor."""

from __future__ import annotations

from pathlib import Path

import click
from rich.text import Text

from cloudcard_tools.doctor import bundle, every
from cloudcard_tools.doctor.checks import Level
from cloudcard_tools.doctor.places import Places
from cloudcard_tools.doctor.report import Report, examined
from cloudcard_tools.new_files import NEW_FILE
from cloudcard_tools.shared.extras import brought_by
from cloudcard_tools.shared.output import json_option, print_json
from cloudcard_tools.shared.tables import Column, print_table

MARK = {
    Level.OK: Text("ok", "green"),
    Level.WARNING: Text("warn", "yellow"),
    Level.FAILED: Text("fail", "red"),
}
COLUMNS = (Column("Check"), Column(""), Column("Found"))


@click.command(
    epilog="""\b
Examples:
  cloudcard doctor
  cloudcard doctor --json | jq '.checks[] | select(.ok | not)'
  cloudcard doctor --support-bundle cloudcard-support.zip
  cloudcard doctor --report

Exit status: 1 if a check failed. Warnings do not count. docs/doctor.md explains each check.
"""
)
@click.option(
    "--support-bundle",
    "support",
    type=NEW_FILE,
    help="Write the report, with versions, configuration and recent log lines, into this new ZIP "
    "file for whoever helps you. Secrets are left out; names, serial numbers and e-mail addresses "
    "are replaced.",
)
@click.option(
    "--report",
    "told",
    is_flag=True,
    help="Tell the keystore what is wrong, too: operators read it at the page of workstations.",
)
@json_option
@click.pass_context
def doctor(context: click.Context, support: Path | None, told: bool, as_json: bool) -> None:
    """Check what this computer needs, and say what to do."""
    places = Places()
    report = examined(every.checks(places))
    if as_json:
        print_json(report.facts())
    else:
        _print_table(report)
    if support is not None:
        written = bundle.write(support, report, places)
        click.echo("\n".join(written), err=as_json)
    if told:
        with brought_by("reader", "cloudcard doctor --report"):
            from cloudcard_tools.doctor import telling
        click.echo(telling.tell(report), err=as_json)
    context.exit(0 if report.is_well else 1)


def _print_table(report: Report) -> None:
    rows: list[tuple[str | Text, ...]] = []
    for check, finding in report.findings:
        rows.append((check.name, MARK[finding.level], finding.cause))
        if finding.fix:
            rows.append(("", "", Text(finding.fix, "bold")))
    print_table(COLUMNS, rows)
