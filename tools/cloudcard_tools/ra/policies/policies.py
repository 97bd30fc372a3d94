"""`cloudcard ra policy`: what the use of a card's keys asks of its holder."""

from __future__ import annotations

import click
from click.core import ParameterSource

from cloud_keystore.model.finding import Sort
from cloudcard.approval.v1 import approval_pb2
from cloudcard.registry.v1 import organisations_pb2 as pb
from cloudcard.registry.v1.organisations_pb2_grpc import OrganisationServiceStub
from cloudcard_tools.ra.policies import values
from cloudcard_tools.ra.policies.explaining import policy_show
from cloudcard_tools.ra.policies.values import CHANNELS, POLICY_LABELS
from cloudcard_tools.ra.registry import find, list_options, operator_options
from cloudcard_tools.shared.caller import Caller
from cloudcard_tools.shared.calling import listed

NOTHING_SET = "No policy is set: a passcode and an approval each time, and no sessions."


@click.group(
    epilog="""\b
Examples:
  cloudcard ra policy set --session-uses 500 --session-minutes 480
  cloudcard ra policy set --organisation "St Elsewhere" --profile v2 --passwordless
  cloudcard ra policy set --no-sessions --lock session
  cloudcard ra policy list --all
  cloudcard ra policy show --effective "St Elsewhere"
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
@click.option("--no-sessions", is_flag=True, help="Allow none, whatever is set above.")
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
    "--portal-changes/--no-portal-changes",
    default=False,
    show_default=True,
    help="Whether holders choose another passcode and renew a card that ends soon at the portal, "
    "each with the yes of their phone.",
)
@click.option(
    "--portal-factor",
    "portal_factors",
    type=click.Choice(["phone", "sms", "passkey"]),
    multiple=True,
    help="What log-ins at the portal have to need besides the password; repeatable: one of them is "
    "enough. Holders choose it at the next log-in. By default a mailed code does.",
)
@click.option(
    "--refuse-puk/--accept-puk",
    "refuses_puk",
    default=False,
    show_default=True,
    help="Whether workstations take no PUK: another PIN is chosen on the phone.",
)
@click.option(
    "--shared-device-minutes",
    type=click.IntRange(0, 720),
    default=0,
    help="How long holders can be signed in to a device that several share (shared-device add): 5 "
    "to 720; by default not at all.",
)
@click.option(
    "--lock",
    "locked",
    type=click.Choice(list(values.TERMS)),
    multiple=True,
    help="A value of this policy that no organisation below sets otherwise; repeatable.",
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
    no_sessions: bool,
    channels: tuple[str, ...],
    passkeys: bool,
    synced_passkeys: bool,
    passkey_models: tuple[str, ...],
    code_minutes: int,
    survey_after: int,
    portal_passwords: bool,
    security_answers: int,
    portal_changes: bool,
    portal_factors: tuple[str, ...],
    refuses_puk: bool,
    shared_device_minutes: int,
    locked: tuple[str, ...],
    caller: Caller,
) -> None:
    """Put a new version of a policy in force at once, in place of what was set before. What is left
    out is inherited: from the organisation's policy for all profiles, from those above it, and last
    from the policy for all. What nobody sets has the defaults that this help shows. What an
    organisation above has locked is refused here.
    """
    if no_sessions and session_uses is not None:
        raise click.UsageError("--no-sessions and --session-uses do not go together")
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
            portal_changes=portal_changes,
            portal_factors=portal_factors,
            refuses_puk=refuses_puk,
            shared_device_seconds=shared_device_minutes * 60,
        ),
        own=pb.OwnTerms(names=_given()),
        locked=locked,
    )
    with caller.service(OrganisationServiceStub) as stub:
        made = stub.SetPolicy(request).policy
        names = values.names(stub)
    caller.print_facts(values.policy_row(made, names), POLICY_LABELS)


@policy.command("list")
@click.option("--all", "earlier", is_flag=True, help="List earlier versions too.")
@list_options(POLICY_LABELS)
def policy_list(earlier: bool, caller: Caller) -> None:
    """List the policies in force."""
    with caller.service(OrganisationServiceStub) as stub:
        request = pb.ListPoliciesRequest(include_earlier=earlier)
        pages = listed(stub.ListPolicies, request)
        found = [each for page in pages for each in page.policies]
        names = values.names(stub)
    rows = [values.policy_row(each, names) for each in found]
    caller.print_rows(rows, POLICY_LABELS, NOTHING_SET)


policy.add_command(policy_show)


def _given() -> list[str]:
    """The terms of which an option was given."""
    context = click.get_current_context()
    return [
        term
        for term, options in values.TERMS.items()
        if any(
            context.get_parameter_source(each) is not ParameterSource.DEFAULT for each in options
        )
    ]
