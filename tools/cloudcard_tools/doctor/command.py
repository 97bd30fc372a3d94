"""The command line of the doctor."""

from __future__ import annotations

import click
from rich.text import Text

from cloudcard_tools.doctor import computer
from cloudcard_tools.doctor.checks import Check, Finding, Level, examine, warning
from cloudcard_tools.shared.extras import install
from cloudcard_tools.shared.output import json_option, print_json
from cloudcard_tools.shared.tables import Column, print_table

MARK = {
    Level.OK: Text("ok", "green"),
    Level.WARNING: Text("look", "yellow"),
    Level.FAILED: Text("failed", "red"),
}
COLUMNS = (Column("Check"), Column(""), Column("Found"))


@click.command(
    epilog="""\b
Examples:
  cloudcard doctor
  cloudcard doctor --json | jq '.checks[] | select(.ok | not)'

Exit status: 1 if a check failed. Warnings do not count.
"""
)
@json_option
@click.pass_context
def doctor(context: click.Context, as_json: bool) -> None:
    """Check what this computer needs, and say what to do."""
    checks = (*computer.CHECKS, *_of_the_keystore())
    findings = examine(checks)
    if as_json:
        _print_json(checks, findings)
    else:
        _print_table(checks, findings)
    context.exit(int(any(finding.level is Level.FAILED for finding in findings)))


def _of_the_keystore() -> tuple[Check, ...]:
    """The checks of identities and keystore, which need the packages of the extra `reader`."""
    try:
        from cloudcard_tools.doctor import keystore
    except ModuleNotFoundError as error:
        missing = warning(
            f"the Python module {error.name!r} is missing, so this was not tried",
            f"{install('reader')} (needed for cards of a keystore)",
        )
        return (Check("Keystore", lambda: missing),)
    return keystore.CHECKS


def _print_json(checks: tuple[Check, ...], findings: list[Finding]) -> None:
    print_json(
        {
            "ok": all(finding.level is not Level.FAILED for finding in findings),
            "checks": [
                {
                    "name": check.name,
                    "ok": finding.level is not Level.FAILED,
                    "level": finding.level.value,
                    "cause": finding.cause,
                    "fix": finding.fix,
                }
                for check, finding in zip(checks, findings, strict=True)
            ],
        }
    )


def _print_table(checks: tuple[Check, ...], findings: list[Finding]) -> None:
    rows: list[tuple[str | Text, ...]] = []
    for check, finding in zip(checks, findings, strict=True):
        rows.append((check.name, MARK[finding.level], finding.cause))
        if finding.fix:
            rows.append(("", "", Text(finding.fix, "bold")))
    print_table(COLUMNS, rows)
