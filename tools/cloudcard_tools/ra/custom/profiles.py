"""`cloudcard ra profile create`, `show`, `edit` and `delete`: profiles of organisations."""

from __future__ import annotations

import click

from cloud_keystore.model.custom.profiles import BASES
from cloud_keystore.model.finding import Sort
from cloud_keystore.model.profiles import PROFILES
from cloudcard.registry.v1 import profiles_pb2 as pb
from cloudcard.registry.v1.profiles_pb2_grpc import ProfileServiceStub
from cloudcard_tools.ra.registry import find, operator_options, organisation_option, when
from cloudcard_tools.shared.caller import Caller
from cloudcard_tools.shared.calling import listed
from cloudcard_tools.shared.confirming import irreversible
from cloudcard_tools.shared.failures import NothingFound, SeveralFound
from cloudcard_tools.shared.output import Row

LABELS = {
    "name": "Profile",
    "base": "Base",
    "series": "Series",
    "oldest_client": "Oldest app",
    "serial_prefix": "Serial",
    "validity_days": "Days",
    "organisation": "Defined by",
    "cards": "Cards",
}

series_option = click.option("--series", help="What people call its cards, such as 'Series 8'.")
oldest_option = click.option(
    "--oldest-client",
    metavar="VERSION",
    help="Holders whose phones have an older app get no card; '' for any.",
)
prefix_option = click.option(
    "--serial-prefix", help="How serial numbers begin: as those of the base; '' for the base's."
)
days_option = click.option(
    "--validity-days",
    type=click.IntRange(0),
    help="How long its cards are valid; 0 for as long as the base's.",
)


@click.command("create")
@click.argument("name")
@click.option("--base", type=click.Choice(BASES), required=True, help="Of which its cards are.")
@series_option
@oldest_option
@prefix_option
@days_option
@organisation_option
@operator_options
def profile_create(  # one argument for each option
    name: str,
    base: str,
    series: str | None,
    oldest_client: str | None,
    serial_prefix: str | None,
    validity_days: int | None,
    organisation: str,
    caller: Caller,
) -> None:
    """Define a profile called NAME, a variant of a built-in one, from which an organisation and
    those below it can issue cards.
    """
    request = pb.CreateProfileRequest(
        name=name,
        base=base,
        terms=pb.ProfileTerms(
            series=series,
            oldest_client=oldest_client,
            serial_prefix=serial_prefix,
            validity_days=validity_days,
        ),
        organisation_id=find(caller, Sort.ORGANISATION, organisation),
    )
    with caller.service(ProfileServiceStub) as stub:
        made = stub.CreateProfile(request).profile
    caller.print_facts(profile_row(made), LABELS)


@click.command("edit")
@click.argument("profile")
@click.option("--name", help="Another name.")
@series_option
@oldest_option
@prefix_option
@days_option
@organisation_option
@operator_options
def profile_edit(  # one argument for each option
    profile: str,
    name: str | None,
    series: str | None,
    oldest_client: str | None,
    serial_prefix: str | None,
    validity_days: int | None,
    organisation: str,
    caller: Caller,
) -> None:
    """Change what PROFILE says of cards that are issued or renewed from now on."""
    if all(each is None for each in (name, series, oldest_client, serial_prefix, validity_days)):
        raise click.UsageError("say what to change, for example --series or --oldest-client")
    found = _defined(caller, profile, organisation)
    request = pb.UpdateProfileRequest(
        profile_id=found.id,
        revision=found.revision,
        name=name,
        terms=pb.ProfileTerms(
            series=series,
            oldest_client=oldest_client,
            serial_prefix=serial_prefix,
            validity_days=validity_days,
        ),
    )
    with caller.service(ProfileServiceStub) as stub:
        changed = stub.UpdateProfile(request).profile
    caller.print_facts(profile_row(changed), LABELS)


@click.command("show")
@click.argument("profile")
@organisation_option
@operator_options
def profile_show(profile: str, organisation: str, caller: Caller) -> None:
    """Show PROFILE, which an organisation has defined."""
    caller.print_facts(profile_row(_defined(caller, profile, organisation)), LABELS)


@click.command("delete")
@click.argument("profile")
@irreversible("The profile {profile} is deleted for ever.")
@organisation_option
@operator_options
def profile_delete(profile: str, organisation: str, caller: Caller) -> None:
    """Delete PROFILE, of which no card is, besides revoked and cancelled ones."""
    request = pb.DeleteProfileRequest(profile_id=_defined(caller, profile, organisation).id)
    with caller.service(ProfileServiceStub) as stub:
        deleted = stub.DeleteProfile(request).profile
    caller.print_facts(profile_row(deleted), LABELS)


def defined_profiles(caller: Caller) -> list[pb.CustomProfile]:
    """The profiles that organisations have defined."""
    with caller.service(ProfileServiceStub) as stub:
        pages = listed(stub.ListCustomProfiles, pb.ListCustomProfilesRequest())
        return [each for page in pages for each in page.profiles]


def _defined(caller: Caller, profile: str, organisation: str) -> pb.CustomProfile:
    """A profile of a name. A built-in one is for the keystore to refuse."""
    if profile in PROFILES:
        return pb.CustomProfile(id=profile, name=profile)
    place = find(caller, Sort.ORGANISATION, organisation)
    found = [
        each
        for each in defined_profiles(caller)
        if profile in (each.name, each.id) and place in ("", each.organisation_id)
    ]
    if not found:
        raise NothingFound(f"there is no profile {profile}: cloudcard ra profile list")
    if len(found) > 1:
        several = f"several organisations have a profile {profile}: name the organisation"
        raise SeveralFound(several, [profile_row(each) for each in found])
    return found[0]


def profile_row(message: pb.CustomProfile) -> Row:
    """A profile as it is printed."""
    return {
        "id": message.id,
        "name": message.name,
        "base": message.base,
        "series": message.series,
        "oldest_client": message.oldest_client or None,
        "serial_prefix": message.serial_prefix,
        "validity_days": message.validity_days,
        "organisation": message.organisation_name,
        "organisation_id": message.organisation_id,
        "cards": message.cards,
        "revision": message.revision,
        "created": when(message.create_time),
    }
