"""Outcomes as JUnit XML, which every CI system can show."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from card_os.application import Application
from cloudcard_tools.trace.replay.replaying import Outcome
from cloudcard_tools.trace.replay.report import report


def text(outcomes: Sequence[Outcome], applications: Sequence[Application] = ()) -> str:
    """A document with one test case for each file."""
    suite = ElementTree.Element(
        "testsuite",
        name="cloudcard traces",
        tests=str(len(outcomes)),
        failures=str(sum(bool(each.differences) for each in outcomes)),
        errors=str(sum(bool(each.problem) and not each.differences for each in outcomes)),
        time=f"{sum(each.seconds for each in outcomes):.3f}",
    )
    for each in outcomes:
        case = ElementTree.SubElement(
            suite,
            "testcase",
            classname="cloudcard.trace",
            name=str(each.path),
            time=f"{each.seconds:.3f}",
        )
        if not each.passed:
            kind = "failure" if each.differences else "error"
            lines = list(report(each, applications))
            ElementTree.SubElement(case, kind, message=lines[0]).text = "\n".join(lines)
    document: bytes = ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)
    return document.decode()
