"""`cloudcard ra user`: who holds cards."""

from __future__ import annotations

from collections.abc import Sequence

import click

from cloud_keystore.model.fields.pages import USER_COLUMNS
from cloud_keystore.model.finding import Sort
from cloud_keystore.model.people import UserState
from cloudcard.registry.v1 import cards_pb2, identities_pb2
from cloudcard.registry.v1 import people_pb2 as pb
from cloudcard.registry.v1.identities_pb2_grpc import IdentityServiceStub
from cloudcard.registry.v1.people_pb2_grpc import PeopleServiceStub
from cloudcard_tools.ra.accounts import (
    ACCOUNT_COLUMNS,
    ACCOUNT_SPARE,
    NO_ACCOUNTS,
    account_row,
)
from cloudcard_tools.ra.belonging.memberships import (
    MEMBERSHIP_COLUMNS,
    membership_rows,
    user_join,
    user_leave,
)
from cloudcard_tools.ra.cards import CARD_COLUMNS, card_row
from cloudcard_tools.ra.devices import DEVICE_LABELS, device_row
from cloudcard_tools.ra.leaving import ENDED_LABELS, consequence, ended
from cloudcard_tools.ra.notifications import undelivered
from cloudcard_tools.ra.progress import called, next_step
from cloudcard_tools.ra.registry import (
    below_option,
    find,
    list_options,
    operator_options,
    organisation_option,
    sort_option,
    token_facts,
    when,
)
from cloudcard_tools.ra.verifying import verify_email, verify_phone
from cloudcard_tools.shared.caller import Caller
from cloudcard_tools.shared.calling import listed
from cloudcard_tools.shared.confirming import confirm, dry_run_option, yes_option
from cloudcard_tools.shared.output import Row, Value, print_rows

FACTS = {"uuid12": "UUID", "name": "Name", "email": "E-mail", "state": "State"}
NEXT_EMAIL = {"next_email": "New e-mail, not verified", "next_email_until": "Its link ends"}
COLUMNS = {"id": "User", **FACTS, "devices": "Phones", "cards": "Cards"}
SPARE = ("id", "devices")
STATES = ("pending", "enrolled", UserState.CLOSED.value)
OF_STATE = "Only people of this state. Repeatable."
# Where the person is known
OWN_CARD_COLUMNS = {key: CARD_COLUMNS[key] for key in CARD_COLUMNS if key != "user_display_name"}
OWN_DEVICE = ("name", "state", "kind", "expires", "version", "platform", "seen", "compatibility")
OWN_DEVICE_COLUMNS = {key: DEVICE_LABELS[key] for key in OWN_DEVICE}


@click.group(
    epilog="""\b
Examples:
  cloudcard ra user add "Ada Byron" --email ada@example.org
  cloudcard ra user list --state pending --sort name
  cloudcard ra user find byron
  cloudcard ra user show ada@example.org
  cloudcard ra user invite ada@example.org
  cloudcard ra user edit ada@example.org --name "Ada Lovelace"
  cloudcard ra user join ada@example.org "St Elsewhere"
  cloudcard ra user leave ada@example.org "St Elsewhere"
  cloudcard ra user close ada@example.org --reason "left the trust"

\b
WHO is a name, an e-mail address, a 12-digit UUID, a card's serial number, or the beginning of one.
"""
)
def user() -> None:
    """People who hold cards."""


@user.command("add")
@click.argument("name")
@click.option("--email", default="", help="E-mail address; it belongs to one person.")
@click.option("--upn", default="", help="User principal name of the Windows account.")
@click.option("--sid", default="", help="Security identifier of the Windows account, S-1-5-21-….")
@click.option("--account", default="", help=r"Name of the Windows account, such as 'CORP\ada'.")
@click.option("--namesake", is_flag=True, help="Somebody else with the same name.")
@organisation_option
@operator_options
def user_add(  # one argument for each option
    name: str,
    email: str,
    upn: str,
    sid: str,
    account: str,
    namesake: bool,
    organisation: str,
    caller: Caller,
) -> None:
    """Add a person called NAME, and print a one-time token for the person's phone. Repeated with an
    e-mail address, it adds nobody, and prints no token.
    """
    request = pb.CreateUserRequest(
        display_name=name,
        email=email,
        upn=upn,
        sid=sid,
        account=account,
        namesake=namesake,
        organisation_id=find(caller, Sort.ORGANISATION, organisation),
    )
    with caller.service(PeopleServiceStub) as stub:
        made = stub.CreateUser(request)
    is_new = made.HasField("device_token")
    token = token_facts(made.device_token) if is_new else {"token": None, "token_expires": None}
    labels = {"id": "User", "uuid12": "UUID", "name": "Name"}
    if is_new:
        labels |= {"token": "Phone's token", "token_expires": "Token expires"}
    caller.print_facts(_user(made.user) | token | {"added": is_new}, labels)
    if not is_new and not caller.as_json:
        invite = f"cloudcard ra user invite {called(made.user)}"
        click.echo(f"This person was there before. A token for a phone: {invite}", err=True)


@user.command("list")
@click.option("--state", "states", type=click.Choice(STATES), multiple=True, help=OF_STATE)
@click.option("--profile", default="", help="Only who gets cards of this profile.")
@below_option
@sort_option(USER_COLUMNS)
@operator_options
def user_list(
    states: Sequence[str], profile: str, organisation: str, sort: str, caller: Caller
) -> None:
    """List people, those who have left included."""
    request = pb.ListUsersRequest(
        sort=sort,
        states=states,
        profile=profile,
        organisation_id=find(caller, Sort.ORGANISATION, organisation),
    )
    with caller.service(PeopleServiceStub) as stub:
        pages = listed(stub.ListUsers, request)
        users = [each for page in pages for each in page.users]
    nobody = "No users yet: cloudcard ra user add NAME"
    caller.print_rows([_user(each) for each in users], COLUMNS, nobody, SPARE)


@user.command("find")
@click.argument("text")
@list_options(COLUMNS)
def user_find(text: str, caller: Caller) -> None:
    """List people of whom TEXT is any part of a name, an e-mail address, an account or a 12-digit
    UUID, or the beginning of a card's serial number. Upper and lower case and accents do not
    matter.
    """
    with caller.service(PeopleServiceStub) as stub:
        found = stub.SearchUsers(pb.SearchUsersRequest(text=text))
    rows = [_user(each) for each in found.users]
    caller.print_rows(rows, COLUMNS, f'Nobody is called "{text}".', SPARE)
    if found.more:
        click.echo("There are more: give more of the name.", err=True)


@user.command("show")
@click.argument("who")
@operator_options
def user_show(who: str, caller: Caller) -> None:
    """Show WHO with cards, phones, Windows accounts, and the last twenty events in words."""
    request = pb.GetUserRequest(user_id=find(caller, Sort.USER, who, in_use=True))
    with caller.service(PeopleServiceStub) as stub:
        found = stub.GetUser(request)
    failed = undelivered(caller, request.user_id)
    cards = [_own_card(each) for each in found.cards]
    devices = [device_row(each) for each in found.devices]
    accounts = [account_row(each) for each in found.accounts]
    places = membership_rows(found.memberships)
    events = [
        {"time": when(each.time), "kind": each.kind, "text": each.text} for each in found.events
    ]
    facts = _user(found.user) | {
        "upn": found.user.upn,
        "stage": found.progress.stage,
        "since": when(found.progress.since),
        "next": next_step(found.user, found.progress),
        "undelivered": failed,
        "cards": cards,
        "devices": devices,
        "accounts": accounts,
        "organisations": places,
        "events": events,
    }
    labels = {**FACTS, "stage": "Enrolment", "since": "Since", "next": "Next step"}
    if failed:
        labels["undelivered"] = "Undelivered"
    if found.user.next_email:
        labels |= NEXT_EMAIL
    caller.print_facts(facts, labels)
    if caller.as_json:
        return
    for rows, columns, nothing, spare in (
        (cards, OWN_CARD_COLUMNS, "No cards.", ("profile", "passcode")),
        (devices, OWN_DEVICE_COLUMNS, "No phones.", ("kind", "platform", "seen")),
        (accounts, ACCOUNT_COLUMNS, NO_ACCOUNTS, ACCOUNT_SPARE),
        (places, MEMBERSHIP_COLUMNS, "", ()),
        (events, {"time": "When", "text": "What happened"}, "Nothing has happened.", ()),
    ):
        if rows is not places or len(places) > 1:
            click.echo()
            print_rows(rows, columns, nothing, as_json=False, spare=spare)


@user.command("edit")
@click.argument("who")
@click.option("--name", help="The new name.")
@click.option("--email", help="The new e-mail address; '' for none.")
@click.option("--phone", help="The new phone number; '' for none.")
@click.option("--organisation", help="Name or ID of another organisation.")
@click.option("--profile", help="Of which the next cards are; '' for the default one.")
@operator_options
def user_edit(  # one argument for each option
    who: str,
    name: str | None,
    email: str | None,
    phone: str | None,
    organisation: str | None,
    profile: str | None,
    caller: Caller,
) -> None:
    """Change the name, e-mail address, phone number or organisation of WHO, or of what profile the
    next cards are. The journal keeps the old values too, and certificates the name under which they
    were issued. Another address of somebody who has a phone is in force when it is verified, by the
    link that is mailed to it; the one before, given again, withdraws it.
    """
    if all(each is None for each in (name, email, phone, organisation, profile)):
        raise click.UsageError("say what to change, for example --name or --email")
    request = pb.UpdateUserRequest(
        user_id=find(caller, Sort.USER, who, in_use=True),
        display_name=name,
        email=email,
        phone=phone,
        organisation_id=organisation and find(caller, Sort.ORGANISATION, organisation),
        profile=profile,
    )
    with caller.service(PeopleServiceStub) as stub:
        changed = stub.UpdateUser(request).user
    labels = {key: FACTS[key] for key in ("uuid12", "name", "email")} | {"phone": "Phone number"}
    if changed.next_email:
        labels |= NEXT_EMAIL
    caller.print_facts(_person(changed), labels)


@user.command("close")
@click.argument("who")
@click.option("--reason", default="left", show_default=True, help="Why; kept in the journal.")
@dry_run_option
@yes_option
@operator_options
def user_close(who: str, reason: str, dry_run: bool, yes: bool, caller: Caller) -> None:
    """WHO leaves: revoke the cards, remove phones and invitations, and end what is open. What
    happened is kept. Repeated, it ends nothing more.
    """
    user_id = find(caller, Sort.USER, who, in_use=True)
    with caller.service(PeopleServiceStub) as stub:
        done = stub.CloseUser(pb.CloseUserRequest(user_id=user_id, dry_run=True))
        if not dry_run:
            if done.user.state != UserState.CLOSED:
                confirm(consequence(done), yes=yes)
            done = stub.CloseUser(pb.CloseUserRequest(user_id=user_id, reason=reason))
    caller.print_facts(_person(done.user) | ended(done) | {"dry_run": dry_run}, ENDED_LABELS)
    if dry_run and not caller.as_json:
        click.echo("Nothing was changed: this is what would end.", err=True)


for command in (verify_email, verify_phone, user_join, user_leave):
    user.add_command(command)


@user.command("invite")
@click.argument("who")
@operator_options
def user_invite(who: str, caller: Caller) -> None:
    """Print a one-time token for one more phone of WHO."""
    user_id = find(caller, Sort.USER, who, in_use=True)
    request = identities_pb2.CreateDeviceTokenRequest(user_id=user_id)
    with caller.service(IdentityServiceStub) as stub:
        made = stub.CreateDeviceToken(request)
    labels = {"token": "Phone's token", "token_expires": "Token expires"}
    caller.print_facts(token_facts(made.device_token), labels)


@user.command(
    "short-code",
    epilog="""\b
Examples:
  cloudcard ra user invite ada@example.org
  cloudcard ra user short-code ada@example.org
""",
)
@click.argument("who")
@operator_options
def user_short_code(who: str, caller: Caller) -> None:
    """Print twelve letters that stand for the token of the newest open invitation of WHO, to be
    read out and typed at the authenticator's page. They are good for half an hour and five tries,
    and end those of before. Ten an hour.
    """
    request = identities_pb2.CreateShortCodeRequest(
        user_id=find(caller, Sort.USER, who, in_use=True)
    )
    with caller.service(IdentityServiceStub) as stub:
        made = stub.CreateShortCode(request)
    facts = {"code": made.code, "good_until": when(made.expire_time)}
    caller.print_facts(facts, {"code": "Short code", "good_until": "Good until"})


def _own_card(message: cards_pb2.Card) -> Row:
    """A card of a person who is known."""
    return {key: value for key, value in card_row(message).items() if not key.startswith("user_")}


def _user(message: pb.User) -> dict[str, Value]:
    return _person(message) | {
        "state": message.state,
        "devices": message.device_count,
        "cards": list(message.card_serials),
    }


def _person(message: pb.User) -> dict[str, Value]:
    return {
        "id": message.id,
        "uuid12": message.uuid12,
        "name": message.display_name,
        "email": message.email,
        "email_verified": when(message.email_verify_time)
        if message.HasField("email_verify_time")
        else None,
        "next_email": message.next_email or None,
        "next_email_until": when(message.next_email_until) if message.next_email else None,
        "upn": message.upn,
        "sid": message.sid,
        "phone": message.phone,
        "phone_verified": when(message.phone_verify_time)
        if message.HasField("phone_verify_time")
        else None,
        "organisation": message.organisation_id,
        "profile": message.profile,
        "created": when(message.create_time),
    }
