"""`cloudcard ra account`: Windows accounts of people."""

from __future__ import annotations

import click

from cloud_keystore.model.finding import Sort
from cloudcard.registry.v1 import accounts_pb2 as pb
from cloudcard.registry.v1.accounts_pb2_grpc import AccountServiceStub
from cloudcard_tools.ra.lookup.directories import directory
from cloudcard_tools.ra.lookup.finding import account_check, account_find, choose
from cloudcard_tools.ra.registry import find, list_options, operator_options, when
from cloudcard_tools.shared.caller import Caller
from cloudcard_tools.shared.calling import listed
from cloudcard_tools.shared.confirming import irreversible
from cloudcard_tools.shared.output import Value

LABELS = {"account": "Account", "upn": "UPN", "state": "State"}
ACCOUNT_COLUMNS = {**LABELS, "source": "Source", "added": "Added"}
ACCOUNT_SPARE = ("source", "upn")
NO_ACCOUNTS = "No Windows accounts yet."


@click.group(
    epilog="""\b
Examples:
  cloudcard ra account list ada@example.org
  cloudcard ra account add ada@example.org 'CORP\\ada' --upn ada@corp.example
  cloudcard ra account add ada@example.org --from-directory
  cloudcard ra account find ada@example.org
  cloudcard ra account check
  cloudcard ra account disable ada@example.org 'CORP\\ada'
  cloudcard ra account enable ada@example.org 'CORP\\ada'
  cloudcard ra account remove ada@example.org 'CORP\\ada' --yes

\b
WHO is a name, an e-mail address, a 12-digit UUID, a card's serial number, or the beginning of one.
"""
)
def account() -> None:
    """Windows accounts of people."""


account.add_command(account_find)
account.add_command(account_check)
account.add_command(directory)


@account.command("list")
@click.argument("who")
@list_options(ACCOUNT_COLUMNS)
def account_list(who: str, caller: Caller) -> None:
    """List the accounts of WHO."""
    request = pb.ListAccountsRequest(user_id=find(caller, Sort.USER, who, in_use=True))
    with caller.service(AccountServiceStub) as stub:
        pages = listed(stub.ListAccounts, request)
        rows = [account_row(each) for page in pages for each in page.accounts]
    caller.print_rows(rows, ACCOUNT_COLUMNS, NO_ACCOUNTS, ACCOUNT_SPARE)


@account.command("add")
@click.argument("who")
@click.argument("name", required=False, default="")
@click.option("--upn", default="", help="User principal name, such as ada@corp.example.")
@click.option(
    "--from-directory",
    is_flag=True,
    help="Take the account that the directory has of WHO, instead of NAME.",
)
@operator_options
def account_add(who: str, name: str, upn: str, from_directory: bool, caller: Caller) -> None:
    r"""Say that the account NAME, such as 'CORP\ada', is that of WHO. It is pending until WHO has
    finished enrolling.
    """
    if from_directory is bool(name or upn):
        raise click.UsageError("name the account, or say --from-directory")
    user_id = find(caller, Sort.USER, who, in_use=True)
    if from_directory:
        chosen = choose(caller, user_id, who)
        name, upn = chosen.account, chosen.upn
    with caller.service(AccountServiceStub) as stub:
        made = stub.AddAccount(pb.AddAccountRequest(user_id=user_id, name=name, upn=upn))
    caller.print_facts(account_row(made.account) | {"is_new": made.added}, LABELS)
    if not made.added and not caller.as_json:
        click.echo("It was there before.", err=True)


@account.command("disable")
@click.argument("who")
@click.argument("name")
@operator_options
def account_disable(who: str, name: str, caller: Caller) -> None:
    """Disable the account NAME of WHO. Somebody else can get one of this name then."""
    _update(who, name, caller, disabled=True)


@account.command("enable")
@click.argument("who")
@click.argument("name")
@operator_options
def account_enable(who: str, name: str, caller: Caller) -> None:
    """Put the account NAME of WHO back in use."""
    _update(who, name, caller, disabled=False)


@account.command("remove")
@click.argument("who")
@click.argument("name")
@irreversible("The account {name} is no longer that of {who}.")
@operator_options
def account_remove(who: str, name: str, caller: Caller) -> None:
    """Take the account NAME from WHO."""
    user_id = find(caller, Sort.USER, who, in_use=True)
    with caller.service(AccountServiceStub) as stub:
        removed = stub.RemoveAccount(pb.RemoveAccountRequest(user_id=user_id, name=name)).removed
    caller.print_facts({"account": name, "removed": removed}, {"account": LABELS["account"]})
    if not removed and not caller.as_json:
        click.echo("It was not that of this person.", err=True)


def account_row(message: pb.Account) -> dict[str, Value]:
    """An account as it is printed."""
    return {
        "account": message.name,
        "upn": message.upn,
        "state": message.state,
        "source": message.source,
        "added": when(message.create_time),
    }


def _update(who: str, name: str, caller: Caller, *, disabled: bool) -> None:
    user_id = find(caller, Sort.USER, who, in_use=True)
    request = pb.UpdateAccountRequest(user_id=user_id, name=name, disabled=disabled)
    with caller.service(AccountServiceStub) as stub:
        changed = stub.UpdateAccount(request).account
    caller.print_facts(account_row(changed), LABELS)
