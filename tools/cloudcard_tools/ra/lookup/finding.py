"""`cloudcard ra account find` and `check`: what directories say of people's Windows accounts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

import click

from cloud_keystore.model.finding import Sort, folded
from cloud_keystore.model.lookups.directories import AccountDirectory
from cloudcard.registry.v1 import accounts_pb2 as pb
from cloudcard.registry.v1 import finding_pb2
from cloudcard.registry.v1.accounts_pb2_grpc import AccountServiceStub
from cloudcard_tools.ra.lookup import entries, passwords
from cloudcard_tools.ra.lookup.connection import bound
from cloudcard_tools.ra.lookup.directories import NONE_NAMED, checked
from cloudcard_tools.ra.lookup.entries import Known
from cloudcard_tools.ra.registry import below_option, find, list_options
from cloudcard_tools.shared import finding
from cloudcard_tools.shared.caller import Caller
from cloudcard_tools.shared.calling import listed
from cloudcard_tools.shared.failures import NothingFound
from cloudcard_tools.shared.finding import Answer, Words
from cloudcard_tools.shared.output import Row

FOUND_COLUMNS = {
    "account": "Account",
    "upn": "UPN",
    "email": "E-mail",
    "state": "State",
    "entry": "Entry",
}
FOUND_SPARE = ("entry", "email")
CHECK_COLUMNS = {
    "account": "Account",
    "name": "Name",
    "problem": "Problem",
    "upn": "UPN",
    "directory_upn": "UPN there",
}
CHECK_SPARE = ("directory_upn", "upn")
WORDS = Words("account in use", "accounts", "cloudcard ra account find WHO")
GONE, DISABLED, OTHER_UPN = "gone", "disabled there", "another UPN there"
NOT_LOOKED_UP = "not looked up"
ALL_THERE = "Every account is in its directory, and in use there."


@click.command("find")
@click.argument("who")
@list_options(FOUND_COLUMNS)
def account_find(who: str, caller: Caller) -> None:
    """Look up WHO in the directory of their organisation: by the user principal name, and by the
    e-mail address if its holder has confirmed it. Nothing is changed.
    """
    found = _looked_up(caller, find(caller, Sort.USER, who, in_use=True))
    caller.print_rows([_row(each) for each in found], FOUND_COLUMNS, _nobody(who), FOUND_SPARE)


@click.command("check")
@below_option
@list_options(CHECK_COLUMNS)
def account_check(organisation: str, caller: Caller) -> None:
    """List the accounts that their directory no longer has, has disabled, or knows by another user
    principal name. Nothing is changed: decide about each (`account disable`, `account remove`).
    """
    where = find(caller, Sort.ORGANISATION, organisation)
    with caller.service(AccountServiceStub) as stub:
        pages = listed(stub.ListHeldAccounts, pb.ListHeldAccountsRequest(organisation_id=where))
        held = [each for page in pages for each in page.accounts]
        named = _directories(stub, {each.organisation_id for each in held})
    if held and not any(named.values()):
        raise NothingFound(f"no organisation has a directory of accounts: {NONE_NAMED}")
    of_directory = defaultdict[AccountDirectory | None, list[pb.HeldAccount]](list)
    for each in held:
        of_directory[named[each.organisation_id]].append(each)
    rows = [
        row
        for directory, some in of_directory.items()
        for row in _problems(caller, directory, some)
    ]
    caller.print_rows(rows, CHECK_COLUMNS, ALL_THERE, CHECK_SPARE)


def choose(caller: Caller, user_id: str, who: str) -> Known:
    """The account of a person that the directory has in use; if there are several, the person at
    the terminal chooses. Raises Failure.
    """
    found = {each.account: each for each in _looked_up(caller, user_id) if not each.is_disabled}
    matches = [
        finding_pb2.Match(id=each.account, name=each.upn, about=[each.email, each.entry])
        for each in found.values()
    ]
    chosen = finding.choose(WORDS, who, Answer(matches), by_hand=caller.by_hand)
    return found[chosen]


def _looked_up(caller: Caller, user_id: str) -> Sequence[Known]:
    """What the directory has of a person. Raises Failure."""
    with caller.service(AccountServiceStub) as stub:
        found = stub.GetAccountDirectory(pb.GetAccountDirectoryRequest(user_id=user_id))
    if not found.HasField("directory"):
        raise NothingFound(f"their organisation has no directory of accounts: {NONE_NAMED}")
    if not found.email and not found.upn:
        raise NothingFound(
            "they have no user principal name, and no e-mail address that they have confirmed: "
            "give the account by its name"
        )
    directory = checked(found.directory)
    with bound(directory, passwords.read(caller.folder, directory)) as connection:
        return entries.of_person(connection, found.email, found.upn)


def _directories(
    stub: AccountServiceStub, organisations: Iterable[str]
) -> Mapping[str, AccountDirectory | None]:
    """The directory that counts in each of some organisations."""
    named: dict[str, AccountDirectory | None] = {}
    for each in sorted(organisations):
        found = stub.GetAccountDirectory(pb.GetAccountDirectoryRequest(organisation_id=each))
        named[each] = checked(found.directory) if found.HasField("directory") else None
    return named


def _problems(
    caller: Caller, directory: AccountDirectory | None, held: Sequence[pb.HeldAccount]
) -> Iterator[Row]:
    """What is wrong with accounts, according to a directory."""
    theirs = {
        each.account.name: sam
        for each in held
        if directory is not None and (sam := _sam_in(directory, each.account.name))
    }
    found: Mapping[str, Known] = {}
    if directory is not None and theirs:
        with bound(directory, passwords.read(caller.folder, directory)) as connection:
            found = entries.of_accounts(connection, list(theirs.values()))
    for each in held:
        name = theirs.get(each.account.name, "")
        known = found.get(folded(name))
        problem = _problem(each.account.upn, known) if name else NOT_LOOKED_UP
        if problem:
            yield {
                "account": each.account.name,
                "name": each.user_name,
                "problem": problem,
                "upn": each.account.upn,
                "directory_upn": "" if known is None else known.upn,
            }


def _sam_in(directory: AccountDirectory, account: str) -> str:
    """The name of an account in the directory's domain; empty for one of another domain."""
    domain, _, sam = account.partition("\\")
    return sam if folded(domain) == folded(directory.domain) else ""


def _problem(upn: str, known: Known | None) -> str:
    if known is None:
        return GONE
    if known.is_disabled:
        return DISABLED
    return OTHER_UPN if upn and folded(upn) != folded(known.upn) else ""


def _row(known: Known) -> Row:
    return {
        "account": known.account,
        "upn": known.upn,
        "email": known.email,
        "state": "disabled" if known.is_disabled else "in use",
        "entry": known.entry,
    }


def _nobody(who: str) -> str:
    return f"The directory has nobody of this address or name: {who}"
