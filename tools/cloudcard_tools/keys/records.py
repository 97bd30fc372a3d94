"""The command that checks who wrote the records of a database, and believes those of before."""

from __future__ import annotations

from contextlib import closing

import click

from cloud_keystore.config import Settings
from cloud_keystore.custody.sealing import authenticating
from cloud_keystore.model.actors import DATA_FOLDER
from cloud_keystore.model.clock import utc_now
from cloud_keystore.run import owning
from cloud_keystore.storage.engine import Database
from cloudcard_tools.keys.opening import believed
from cloudcard_tools.shared import output
from cloudcard_tools.shared.confirming import confirm, yes_option
from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.shared.output import json_option
from cloudcard_tools.shared.place import place_options
from cloudcard_tools.shared.sealing_options import SealingKeys, sealing_options

PEOPLE = {"role": "ROLE", "name": "NAME", "state": "STATE"}
RECORDS = {"records": "RECORDS", "number": "NUMBER"}


@click.command(epilog="\b\nExample:\n  cloudcard keys authenticate --data /var/lib/cloudcard")
@yes_option
@sealing_options()
@place_options
@json_option
def authenticate(
    yes: bool,
    sealing: SealingKeys,
    place: Settings,
    as_json: bool,
) -> None:
    """Check that the keystore wrote each record; believe those of an older version, once.

    Every record has an authentication code, without which the keystore does not believe it. A
    database of an older version has none: you are shown what it holds, and are asked whether it is
    as you know it. Run this while no keystore runs.
    """
    with believed(place, sealing) as (database, _):
        if authenticating.is_due(database):
            with closing(owning.own(place)):
                _believe(database, yes=yes, as_json=as_json)
            return
        found = authenticating.examine(database)
    if found.wrong:
        raise Failure(
            f"{output.counted(found.wrong, 'record was', 'records were')} not written by the "
            f"keystore: {', '.join(found.named)}. Keep the database as evidence, and restore a "
            "backup"
        )
    output.print_facts({"records": found.authentic}, {"records": "Authentic"}, as_json=as_json)


def _believe(database: Database, *, yes: bool, as_json: bool) -> None:
    """Show what a database of an older version holds, ask, and give its records their codes."""
    report = authenticating.report(database, utc_now())
    if not as_json:
        rows: list[output.Row] = [
            {"role": role, "name": name, "state": state} for role, name, state in report.powerful
        ]
        output.print_rows(rows, PEOPLE, "No operators and no auditors.", as_json=False)
        counts: list[output.Row] = [
            {"records": name.replace("_", " "), "number": number}
            for name, number in report.records.items()
        ]
        output.print_rows(counts, RECORDS, "No records.", as_json=False)
    confirm(
        "The keystore believes all these records from now on. Whoever could write this database "
        "can have put operators, devices or cards among them: compare them with what you know.",
        yes=yes,
    )
    number = authenticating.authenticate(database, utc_now(), DATA_FOLDER)
    output.print_facts({"records": number}, {"records": "Authenticated"}, as_json=as_json)
