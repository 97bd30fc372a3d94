"""`cloudcard keys operator`: an operator is invited without another one, by the sealing key."""

from __future__ import annotations

import os
from hashlib import sha256

import click

from cloud_keystore import config
from cloud_keystore.audit import alerts
from cloud_keystore.config import Address, Settings
from cloud_keystore.model.actors import DATA_FOLDER
from cloud_keystore.model.clock import utc_now
from cloud_keystore.people.people import People
from cloud_keystore.pki import authorities
from cloudcard_tools.keys.opening import believed
from cloudcard_tools.shared import output
from cloudcard_tools.shared.output import iso_time, json_option
from cloudcard_tools.shared.place import place_options
from cloudcard_tools.shared.sealing_options import SealingKeys, sealing_options

LABELS = {"token": "Token", "token_expires": "Token expires"}


@click.command(epilog='\b\nExample:\n  cloudcard keys operator "Olga Hopper"')
@click.argument("name")
@click.option(
    "--enrol-listen",
    default="127.0.0.1:7444",
    show_default=True,
    help="Where the service listens for enrolment, as it was started.",
)
@click.option(
    "--public-host",
    default="127.0.0.1",
    show_default=True,
    help="Host at which clients reach it, as it was started.",
)
@sealing_options()
@place_options
@json_option
def operator(
    name: str,
    enrol_listen: str,
    public_host: str,
    sealing: SealingKeys,
    place: Settings,
    as_json: bool,
) -> None:
    """Print a one-time token that invites an operator called NAME, if no operator is left who
    could. It takes the sealing key, and is told in the journal and by an alert.
    """
    with believed(place, sealing) as (database, seal):
        own = authorities.load_or_make(database, seal, utc_now)
        port = Address.parse(enrol_listen).port
        people = People(
            database=database,
            clock=utc_now,
            random=os.urandom,
            enrolment_address=str(Address(config.public_host(public_host), port)),
            enrolment_sha256=sha256(own.enrolment.der).digest(),
            seal=seal,
        )
        made = people.add_operator(name, actor=DATA_FOLDER)
        with database.write() as connection:
            alerts.local_operator(connection, name, utc_now(), os.urandom)
    facts = {"token": made.text, "token_expires": iso_time(made.expire_time)}
    output.print_facts(facts, LABELS, as_json=as_json)
