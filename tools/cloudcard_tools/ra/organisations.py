"""`cloudcard ra organisation`: organisations, a tree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import click

from cloud_keystore.model.finding import Sort
from cloudcard.registry.v1 import organisations_pb2 as pb
from cloudcard.registry.v1.organisations_pb2_grpc import OrganisationServiceStub
from cloudcard_tools.ra.registry import find, list_options, operator_options
from cloudcard_tools.shared.caller import Caller
from cloudcard_tools.shared.calling import listed
from cloudcard_tools.shared.confirming import confirm, dry_run_option, yes_option
from cloudcard_tools.shared.output import Row

ORGANISATION_LABELS = {
    "id": "Organisation",
    "name": "Name",
    "parent_name": "Below",
    "help_contact": "Help",
}
MIGRATED_LABELS = {
    "people": "People",
    "cards": "Cards",
    "workstations": "Workstations",
    "staff": "Operators and auditors",
    "roles": "Roles",
    "groups": "Roles by groups",
    "organisations": "Organisations below",
    "profiles": "Card profiles",
    "policies": "Policies",
}


@click.group(
    epilog="""\b
Examples:
  cloudcard ra organisation add "St Elsewhere"
  cloudcard ra organisation add "Ward 7" --parent "St Elsewhere"
  cloudcard ra organisation list
  cloudcard ra organisation edit "St Elsewhere" --help-contact "the service desk, 020 7946 0000"
  cloudcard ra organisation move "Ward 7" --parent "St Elsewhere"
  cloudcard ra organisation migrate "Old Trust" "St Elsewhere" --dry-run
"""
)
def organisation() -> None:
    """Organisations that cards are issued for."""


@organisation.command("add")
@click.argument("name")
@click.option(
    "--parent",
    default="",
    help="Name or ID of the organisation above it; by default the one for which you act.",
)
@operator_options
def organisation_add(name: str, parent: str, caller: Caller) -> None:
    """Add the organisation NAME."""
    request = pb.CreateOrganisationRequest(
        name=name, parent_id=find(caller, Sort.ORGANISATION, parent)
    )
    with caller.service(OrganisationServiceStub) as stub:
        made = stub.CreateOrganisation(request).organisation
    caller.print_facts(_organisation(made, {}), {"id": "Organisation", "name": "Name"})


@organisation.command("list")
@list_options(ORGANISATION_LABELS)
def organisation_list(caller: Caller) -> None:
    """List the organisations that you see."""
    with caller.service(OrganisationServiceStub) as stub:
        request = pb.ListOrganisationsRequest()
        pages = listed(stub.ListOrganisations, request)
        found = [each for page in pages for each in page.organisations]
    names = {each.id: each.name for each in found}
    rows = [_organisation(each, names) for each in found]
    caller.print_rows(rows, ORGANISATION_LABELS, "No organisations.")


@organisation.command("edit")
@click.argument("organisation")
@click.option("--name", help="The new name.")
@click.option(
    "--help-contact",
    help="Whom its people ask for help, as e-mails say; '' for whom those of the organisation "
    "above ask.",
)
@operator_options
def organisation_edit(
    organisation: str, name: str | None, help_contact: str | None, caller: Caller
) -> None:
    """Change the name of ORGANISATION, or whom its people and those below it ask for help."""
    if name is None and help_contact is None:
        raise click.UsageError("say what to change: --name or --help-contact")
    request = pb.UpdateOrganisationRequest(
        organisation_id=find(caller, Sort.ORGANISATION, organisation),
        name=name,
        help_contact=help_contact,
    )
    _update(request, caller)


@organisation.command("move")
@click.argument("organisation")
@click.option("--parent", required=True, help="Name or ID of the organisation above it.")
@yes_option
@operator_options
def organisation_move(organisation: str, parent: str, yes: bool, caller: Caller) -> None:
    """Put ORGANISATION, with all below it, below another one. Whoever has rights there has them
    here then, and whoever has them by the place of before has them no longer.
    """
    request = pb.UpdateOrganisationRequest(
        organisation_id=find(caller, Sort.ORGANISATION, organisation),
        parent_id=find(caller, Sort.ORGANISATION, parent),
    )
    confirm(f"Rights go with the place: those of {parent} hold in {organisation} too.", yes=yes)
    _update(request, caller)


@organisation.command("migrate")
@click.argument("organisation")
@click.argument("to")
@click.option(
    "--policies",
    is_flag=True,
    help="Copy policies too, where TO has none. They hold for the cards that TO has already.",
)
@dry_run_option
@yes_option
@operator_options
def organisation_migrate(  # one argument for each option
    organisation: str, to: str, policies: bool, dry_run: bool, yes: bool, caller: Caller
) -> None:
    """Move all that belongs to ORGANISATION into the organisation TO: people, cards, workstations,
    operators, auditors, roles, also those that groups give, organisations below it, and its card
    profiles. After an interruption, give the same command again.
    """
    request = pb.MigrateOrganisationRequest(
        organisation_id=find(caller, Sort.ORGANISATION, organisation),
        to_organisation_id=find(caller, Sort.ORGANISATION, to),
        with_policies=policies,
        dry_run=dry_run,
    )
    if not dry_run:
        confirm(f"All that belongs to {organisation} belongs to {to} then.", yes=yes)
    moved: Counter[str] = Counter()
    with caller.service(OrganisationServiceStub) as stub:
        while True:
            done = stub.MigrateOrganisation(request)
            moved.update(done.moved)
            if dry_run or not sum(done.moved.values()):
                break
    numbers = {each: moved[each] for each in MIGRATED_LABELS}
    labels = {**MIGRATED_LABELS, "kept": "Stays"}
    caller.print_facts({**numbers, "kept": list(done.kept), "dry_run": dry_run}, labels)
    if dry_run and not caller.as_json:
        click.echo("Nothing was changed: this is what would move.", err=True)


def _update(request: pb.UpdateOrganisationRequest, caller: Caller) -> None:
    with caller.service(OrganisationServiceStub) as stub:
        changed = stub.UpdateOrganisation(request).organisation
        pages = listed(stub.ListOrganisations, pb.ListOrganisationsRequest())
        names = {each.id: each.name for page in pages for each in page.organisations}
    caller.print_facts(_organisation(changed, names), ORGANISATION_LABELS)


def _organisation(message: pb.Organisation, names: Mapping[str, str]) -> Row:
    above = message.parent_id
    return {
        "id": message.id,
        "name": message.name,
        "parent": above or None,
        "parent_name": names.get(above),
        "help_contact": message.help_contact or None,
    }
