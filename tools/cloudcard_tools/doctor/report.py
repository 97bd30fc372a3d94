"""The report of the doctor: every check with its finding."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from cloudcard_tools.doctor.checks import Check, Finding, Level, examine
from cloudcard_tools.shared.output import Row


@dataclass(frozen=True, slots=True)
class Report:
    """The findings, and how long the checks took."""

    findings: Sequence[tuple[Check, Finding]]
    milliseconds: int

    @property
    def is_well(self) -> bool:
        """Whether no check failed."""
        return all(finding.level is not Level.FAILED for _, finding in self.findings)

    def facts(self) -> Row:
        """The report for programs."""
        return {
            "ok": self.is_well,
            "milliseconds": self.milliseconds,
            "checks": [
                {
                    "id": check.id,
                    "name": check.name,
                    "ok": finding.level is not Level.FAILED,
                    "level": finding.level.value,
                    "cause": finding.cause,
                    "fix": finding.fix,
                }
                for check, finding in self.findings
            ],
        }


def examined(checks: Sequence[Check]) -> Report:
    """Make all checks, and report."""
    begun = time.monotonic()
    found = examine(checks)
    took = round(1000 * (time.monotonic() - begun))
    return Report(tuple(zip(checks, found, strict=True)), took)
