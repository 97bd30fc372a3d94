"""The command itself, and enrolment of an operator."""

from __future__ import annotations

from pathlib import Path

import click

from cloudcard_tools.ra.accounts import account
from cloudcard_tools.ra.alerts import alerts
from cloudcard_tools.ra.authorities import ca
from cloudcard_tools.ra.cards import card
from cloudcard_tools.ra.devices import device
from cloudcard_tools.ra.directories.deciding import directory
from cloudcard_tools.ra.directories.mapping import (
    directory_map,
    directory_mappings,
    directory_operator,
    directory_operators,
    directory_unmap,
)
from cloudcard_tools.ra.domains import domain
from cloudcard_tools.ra.external.est import ca_est
from cloudcard_tools.ra.external.requests import requests
from cloudcard_tools.ra.external.trusting import ca_distrust, ca_external, ca_trust, ca_use
from cloudcard_tools.ra.feedback import feedback
from cloudcard_tools.ra.identities import auditor, operator, workstation
from cloudcard_tools.ra.notifications import notify
from cloudcard_tools.ra.organisations import organisation
from cloudcard_tools.ra.people import user
from cloudcard_tools.ra.policies.policies import policy
from cloudcard_tools.ra.profiles import profile
from cloudcard_tools.ra.programs.clients import client
from cloudcard_tools.ra.programs.webhooks import webhook
from cloudcard_tools.ra.registry import ROLE
from cloudcard_tools.ra.reports import expiring, pending
from cloudcard_tools.ra.rights.requests import request
from cloudcard_tools.ra.rights.roles import role
from cloudcard_tools.ra.rights.visiting import log_in
from cloudcard_tools.ra.sharing.shared_devices import shared_device
from cloudcard_tools.ra.sheets.exporting import export
from cloudcard_tools.ra.sheets.importing import import_people
from cloudcard_tools.ra.sheets.report import report
from cloudcard_tools.shared import enrolling


@click.group(
    epilog="""\b
Examples:
  cloudcard ra enrol --token-file ~/.local/share/cloudcard/keystore/operator.token
  cloudcard ra log-in
  cloudcard ra user add "Ada Byron" --email ada@example.org
  cloudcard ra user show ada@example.org
  cloudcard ra user close ada@example.org --reason "left the trust"
  cloudcard ra account list ada@example.org
  cloudcard ra import people.csv
  cloudcard ra export users -o people.csv
  cloudcard ra domain add example.org
  cloudcard ra directory differences
  cloudcard ra directory map "RA agents" ra-agent --directory "HR system"
  cloudcard ra pending
  cloudcard ra expiring
  cloudcard ra report cards
  cloudcard ra profile list
  cloudcard ra card issue ada@example.org --profile v2
  cloudcard ra card list --json
  cloudcard ra device remove "Ada's phone" --reason lost
  cloudcard ra shared-device add "Ward 7 tablet" --site "Ward 7"
  cloudcard ra workstation remove WARD7-PC3 --reason stolen
  cloudcard ra operator invite "Olga Hopper"
  cloudcard ra client add "HR system" --role ra-agent
  cloudcard ra webhook add "HR system" https://hr.example.org/hook
  cloudcard ra role grant "Olga Hopper" ra-agent --organisation "St Elsewhere"
  cloudcard ra request list
  cloudcard ra alerts list
  cloudcard ra notify list --failed
  cloudcard ra feedback nps
  cloudcard ra policy set --session-uses 500 --session-minutes 480
"""
)
def ra() -> None:
    """Registration authority: people, workstations and cards."""


@ra.command()
@enrolling.token_argument
@enrolling.token_file_option
@enrolling.identity_option(ROLE)
def enrol(token: str | None, token_file: Path | None, folder: Path | None) -> None:
    """Enrol an operator on this computer, with a one-time TOKEN."""
    enrolling.enrol(token, token_file, folder, ROLE)


ra.add_command(log_in)
ra.add_command(user)
ra.add_command(account)
ra.add_command(import_people)
ra.add_command(export)
ra.add_command(domain)
ra.add_command(directory)
for each in (
    directory_map,
    directory_mappings,
    directory_unmap,
    directory_operator,
    directory_operators,
):
    directory.add_command(each)
ra.add_command(pending)
ra.add_command(expiring)
ra.add_command(report)
ra.add_command(workstation)
ra.add_command(operator)
ra.add_command(auditor)
ra.add_command(profile)
ra.add_command(card)
card.add_command(requests)
ra.add_command(ca)
for each in (ca_trust, ca_est, ca_use, ca_external, ca_distrust):
    ca.add_command(each)
ra.add_command(device)
ra.add_command(shared_device)
ra.add_command(alerts)
ra.add_command(notify)
ra.add_command(feedback)
ra.add_command(organisation)
ra.add_command(policy)
ra.add_command(role)
ra.add_command(client)
ra.add_command(webhook)
ra.add_command(request)
