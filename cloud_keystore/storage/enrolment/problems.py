"""Rows of what workstations said last about what is wrong with them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import astuple

from sqlalchemy import Column, Connection, ForeignKey, RowMapping, String, select

from cloud_keystore.model.fields.problems import Problem, Report
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Values
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.databases.instants import Instant
from cloud_keystore.storage.databases.portions import portions

workstation_report = authentic(
    "workstation_report",
    Column("identity_id", ForeignKey("identity.id"), primary_key=True),
    Column("problems", String, nullable=False),  # JSON: a list for each, in the order of `Problem`
    Column("report_time", Instant, nullable=False),
)


def find(connection: Connection, identity_id: str) -> Report | None:
    row = rows.one(connection, workstation_report, identity_id=identity_id)
    return None if row is None else _report(row)


def put(connection: Connection, identity_id: str, report: Report) -> None:
    """Keep what a workstation says now, in place of what it said before."""
    said = json.dumps([astuple(each) for each in report.problems], ensure_ascii=False)
    values: Values = {"problems": said, "report_time": report.report_time}
    own = [workstation_report.c.identity_id == identity_id]
    if not rows.change(connection, workstation_report, own, values):
        rows.add(connection, workstation_report, {"identity_id": identity_id, **values})


def of(connection: Connection, ids: Iterable[str]) -> Mapping[str, Report]:
    """What those of some workstations said that said anything, by identifier."""
    c = workstation_report.c
    return {
        row["identity_id"]: _report(row)
        for some in portions(ids)
        for row in rows.read(
            connection,
            workstation_report,
            select(workstation_report).where(c.identity_id.in_(some)),
        )
    }


def _report(row: RowMapping) -> Report:
    found = tuple(Problem(*each) for each in json.loads(row["problems"]))
    return Report(found, row["report_time"])
