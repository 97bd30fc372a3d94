"""Tells the keystore what is wrong here, for the page of workstations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc

from cloud_keystore.model.fields.problems import LONGEST_CAUSE, MOST_PROBLEMS
from cloudcard.workstation.v1 import workstation_pb2 as pb
from cloudcard.workstation.v1.workstation_pb2_grpc import WorkstationServiceStub
from cloudcard_tools.doctor.checks import Level
from cloudcard_tools.doctor.report import Report
from cloudcard_tools.shared import home, identity
from cloudcard_tools.shared.calling import SECONDS, explained

ROLE = "workstation"
TOLD = "The keystore has it, for the page of workstations."
CUT = "…"


def tell(report: Report) -> str:
    """Tell the keystore under this computer's identity of a workstation, and say so. Raises
    Failure.
    """
    own = identity.load(home.of_role(ROLE))
    with explained(), identity.channel(own) as channel:
        send(report, channel)
    return TOLD


def send(report: Report, channel: grpc.Channel) -> None:
    """Tell it over a connection. Raises grpc.RpcError."""
    problems = list(_problems(report))[:MOST_PROBLEMS]
    WorkstationServiceStub(channel).ReportProblems(
        pb.ReportProblemsRequest(problems=problems), timeout=SECONDS
    )


def _problems(report: Report) -> Iterator[pb.Problem]:
    own = str(Path.home())
    for check, finding in report.findings:
        if finding.level is not Level.OK:
            yield pb.Problem(
                check=check.id,
                name=_text(check.name, own),
                failed=finding.level is Level.FAILED,
                cause=_text(finding.cause, own),
                fix=_text(finding.fix, own),
            )


def _text(text: str, own: str) -> str:
    """A text in one line, which does not say whose home folder it is about."""
    told = text if own == "/" else text.replace(own, "~")
    shown = "".join(each if each.isprintable() else " " for each in told)
    line = " ".join(shown.split())
    return line if len(line) <= LONGEST_CAUSE else f"{line[: LONGEST_CAUSE - 1]}{CUT}"
