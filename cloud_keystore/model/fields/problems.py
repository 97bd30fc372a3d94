"""What is wrong with a workstation, as it says itself: the findings of `cloudcard doctor` that are
not well, each with its cause and what to do. Nobody vouches for it, so that no right rests on it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.fields.texts import LONGEST_LABEL, text_field

MOST_PROBLEMS = 64  # in one report
LONGEST_CAUSE = 500  # characters; of what to do, too
CHECK = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Problem:
    """What a check has found, and what to do about it."""

    check: str  # its word for programs, such as "pcscd.running"
    name: str  # for people
    failed: bool  # something does not work; otherwise it deserves attention
    cause: str
    fix: str

    @classmethod
    def of(cls, check: str, name: str, failed: bool, cause: str, fix: str) -> Problem:
        """A problem of texts that a workstation gives; raises InvalidInput."""
        if len(check) > LONGEST_LABEL or CHECK.fullmatch(check) is None:
            raise InvalidInput("a check has no word such as pcscd.running")
        return cls(
            check,
            text_field("the check's name", name, LONGEST_LABEL),
            failed,
            text_field("the cause", cause, LONGEST_CAUSE),
            text_field("what to do", fix, LONGEST_CAUSE, required=False),
        )


@dataclass(frozen=True, slots=True)
class Counted:
    """How much was wrong, and when that was said last, to the hour if it is still the same."""

    failed: int
    warnings: int
    report_time: datetime


@dataclass(frozen=True, slots=True)
class Report:
    """What a workstation said last, in the order of the checks."""

    problems: tuple[Problem, ...]
    report_time: datetime

    def counted(self) -> Counted:
        """How much is wrong."""
        failed = sum(each.failed for each in self.problems)
        return Counted(failed, len(self.problems) - failed, self.report_time)
