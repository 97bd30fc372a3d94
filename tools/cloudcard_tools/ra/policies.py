"""`cloudcard ra organisation` and `ra policy`: organisations, and policies for using card keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import click

from cloud_keystore.model.finding import Sort
from cloudcard.approval.v1 import approval_pb2
from cloudcard.registry.v1 import organisations_pb2 as pb
from cloudcard.registry.v1.organisations_pb2_grpc import OrganisationServiceStub
from cloudcard_tools.ra.registry import find, list_options, operator_options, when
from cloudcard_tools.shared.caller import Caller
from cloudcard_tools.shared.calling import listed
from cloudcard_tools.shared.confirming import confirm, dry_run_option, yes_option
from cloudcard_tools.shared.output import Row

CHANNELS = {"push": approval_pb2.CHANNEL_PUSH, "qr": approval_pb2.CHANNEL_QR}
CHANNEL_NAMES = {number: name for name, number in CHANNELS.items()}
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
    "organisations": "Organisations below",
    "policies": "Policies",
}
POLICY_LABELS = {
    "organisation_name": "Organisation",
    "profile": "Profile",
    "version": "Version",
    "passwordless": "Without passcode",
    "largest_batch": "Largest batch",
    "largest_commitment_batch": "Commitment batch",
    "session_uses": "Uses in a session",
    "session_seconds": "Seconds of a session",
    "channels": "Ways to the holder",
    "passkeys": "Passkeys",
    "synced_passkeys": "Synced passkeys",
    "passkey_models": "Models of passkeys",
    "code_seconds": "Seconds of a code",
    "survey_after": "Survey after",
    "portal_passwords": "Portal passwords",
    "security_answers": "Security answers",
    "refuses_puk": "Refuses the PUK",
    "set": "Set",
}
NOTHING_SET = "No policy is set: a passcode and an approval each time, and no sessions."


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
    operators, auditors, roles, and organisations below it. After an interruption, give the same
    command again.
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


@click.group(
    epilog="""\b
Examples:
  cloudcard ra policy set --session-uses 500 --session-minutes 480
  cloudcard ra policy set --organisation "St Elsewhere" --profile v2 --passwordless
  cloudcard ra policy list --all
"""
)
def policy() -> None:
    """Policies: what the use of a card's keys asks of its holder."""


@policy.command("set")
@click.option(
    "--organisation",
    default="",
    help="Its name or ID, or the beginning of one; by default all.",
)
@click.option("--profile", default="", help="Name of the card profile; by default all.")
@click.option(
    "--passwordless/--passcode",
    default=False,
    show_default=True,
    help="Whether the approval alone is enough. Key 9C always asks for the passcode.",
)
@click.option(
    "--largest-batch",
    type=click.IntRange(1, 250),
    default=1,
    show_default=True,
    help="How many inputs one approval may cover.",
)
@click.option(
    "--largest-commitment-batch",
    type=click.IntRange(1, 250),
    default=1,
    show_default=True,
    help="The same for keys for content commitment, such as 9C.",
)
@click.option("--session-uses", type=click.IntRange(1, 100_000), help="Most uses in a session.")
@click.option("--session-minutes", type=click.IntRange(1, 720), help="How long a session lasts.")
@click.option(
    "--channel",
    "channels",
    type=click.Choice(list(CHANNELS)),
    multiple=True,
    help="An approval channel to allow; by default all.",
)
@click.option("--passkeys/--no-passkeys", default=True, show_default=True)
@click.option("--synced-passkeys/--no-synced-passkeys", default=False, show_default=True)
@click.option(
    "--passkey-model",
    "passkey_models",
    multiple=True,
    metavar="AAGUID",
    help="Accept only passkeys of this model, which its maker attests; repeatable.",
)
@click.option(
    "--code-minutes",
    type=click.IntRange(5, 720),
    default=60,
    show_default=True,
    help="How long an unlock code is good (card code).",
)
@click.option(
    "--survey-after",
    type=click.IntRange(0, 1000),
    default=0,
    help="After how many authentications holders are asked whether they recommend the card; by "
    "default never (feedback nps).",
)
@click.option(
    "--portal-passwords/--no-portal-passwords",
    default=False,
    show_default=True,
    help="Whether holders can have a password for the portal.",
)
@click.option(
    "--security-answers",
    type=click.IntRange(0, 3),
    default=0,
    show_default=True,
    help="How many security questions are answered right, besides a code by e-mail, to set "
    "another password.",
)
@click.option(
    "--refuse-puk/--accept-puk",
    "refuses_puk",
    default=False,
    show_default=True,
    help="Whether workstations take no PUK: another PIN is chosen on the phone.",
)
@operator_options
def policy_set(
    organisation: str,
    profile: str,
    passwordless: bool,
    largest_batch: int,
    largest_commitment_batch: int,
    session_uses: int | None,
    session_minutes: int | None,
    channels: tuple[str, ...],
    passkeys: bool,
    synced_passkeys: bool,
    passkey_models: tuple[str, ...],
    code_minutes: int,
    survey_after: int,
    portal_passwords: bool,
    security_answers: int,
    refuses_puk: bool,
    caller: Caller,
) -> None:
    """Put a new version of a policy in force at once. Options that are left out get their defaults.

    The most specific policy holds: organisation and profile, organisation, profile, all.
    """
    if (session_uses is None) != (session_minutes is None):
        raise click.UsageError("--session-uses and --session-minutes go together")
    session = None
    if session_uses is not None and session_minutes is not None:
        session = approval_pb2.SessionTerms(most_uses=session_uses, seconds=session_minutes * 60)
    request = pb.SetPolicyRequest(
        organisation_id=find(caller, Sort.ORGANISATION, organisation),
        profile=profile,
        policy=pb.Policy(
            passwordless=passwordless,
            largest_batch=largest_batch,
            largest_commitment_batch=largest_commitment_batch,
            session=session,
            channels=[CHANNELS[each] for each in channels],
            passkeys=passkeys,
            synced_passkeys=synced_passkeys,
            passkey_models=[each.lower() for each in passkey_models],
            unlock_code_seconds=code_minutes * 60,
            survey_after=survey_after,
            portal_passwords=portal_passwords,
            security_answers=security_answers,
            refuses_puk=refuses_puk,
        ),
    )
    with caller.service(OrganisationServiceStub) as stub:
        made = stub.SetPolicy(request).policy
        names = _names(stub)
    caller.print_facts(_policy(made, names), POLICY_LABELS)


@policy.command("list")
@click.option("--all", "earlier", is_flag=True, help="List earlier versions too.")
@list_options(POLICY_LABELS)
def policy_list(earlier: bool, caller: Caller) -> None:
    """List the policies in force."""
    with caller.service(OrganisationServiceStub) as stub:
        request = pb.ListPoliciesRequest(include_earlier=earlier)
        pages = listed(stub.ListPolicies, request)
        found = [each for page in pages for each in page.policies]
        names = _names(stub)
    caller.print_rows([_policy(each, names) for each in found], POLICY_LABELS, NOTHING_SET)


def _organisation(message: pb.Organisation, names: Mapping[str, str]) -> Row:
    above = message.parent_id
    return {
        "id": message.id,
        "name": message.name,
        "parent": above or None,
        "parent_name": names.get(above),
        "help_contact": message.help_contact or None,
    }


def _names(stub: OrganisationServiceStub) -> Mapping[str, str]:
    """The names of all organisations, by identifier; policies for all have an asterisk."""
    pages = listed(stub.ListOrganisations, pb.ListOrganisationsRequest())
    found = [each for page in pages for each in page.organisations]
    return {"": "*"} | {each.id: each.name for each in found}


def _policy(message: pb.PolicyVersion, names: Mapping[str, str]) -> Row:
    policy = message.policy
    has_session = policy.HasField("session")
    return {
        "organisation": message.organisation_id or "*",
        "organisation_name": names[message.organisation_id],
        "profile": message.profile or "*",
        "version": message.version,
        "passwordless": policy.passwordless,
        "largest_batch": policy.largest_batch,
        "largest_commitment_batch": policy.largest_commitment_batch,
        "session_uses": policy.session.most_uses if has_session else None,
        "session_seconds": policy.session.seconds if has_session else None,
        "channels": " ".join(CHANNEL_NAMES.get(each, "unknown") for each in policy.channels),
        "passkeys": policy.passkeys,
        "synced_passkeys": policy.synced_passkeys,
        "passkey_models": " ".join(policy.passkey_models),
        "code_seconds": policy.unlock_code_seconds,
        "survey_after": policy.survey_after or None,
        "portal_passwords": policy.portal_passwords,
        "security_answers": policy.security_answers or None,
        "refuses_puk": policy.refuses_puk,
        "set": when(message.create_time),
    }
