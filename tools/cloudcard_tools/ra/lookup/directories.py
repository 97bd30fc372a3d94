"""`cloudcard ra account directory`: where the Windows accounts of an organisation are looked up."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from cryptography.hazmat.primitives.serialization import Encoding

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.finding import Sort
from cloud_keystore.model.lookups.directories import MAIL, SAM, UPN, USERS, AccountDirectory
from cloudcard.registry.v1 import accounts_pb2 as pb
from cloudcard.registry.v1.accounts_pb2_grpc import AccountServiceStub
from cloudcard_tools.ra.external import reading
from cloudcard_tools.ra.lookup import passwords
from cloudcard_tools.ra.lookup.connection import bound
from cloudcard_tools.ra.registry import find, operator_options, organisation_option
from cloudcard_tools.shared.caller import Caller
from cloudcard_tools.shared.confirming import irreversible
from cloudcard_tools.shared.failures import Failure, NothingFound
from cloudcard_tools.shared.output import Row

LABELS = {
    "url": "Directory",
    "bind_dn": "Bind as",
    "base_dn": "Below",
    "domain": "Domain",
    "filter": "Filter",
    "attributes": "Attributes",
    "inherited": "Of an organisation above",
}
NONE_NAMED = "nobody has named one: `cloudcard ra account directory set`"


@click.group(
    epilog="""\b
Examples:
  cloudcard ra account directory set ldaps://dc1.corp.example --domain CORP \\
      --bind-dn "cn=ra,ou=services,dc=corp,dc=example" --base-dn dc=corp,dc=example
  cloudcard ra account directory password
  cloudcard ra account directory show
  cloudcard ra account directory remove --yes
"""
)
def directory() -> None:
    """The directory in which an organisation's Windows accounts are looked up, by LDAP."""


@directory.command("set")
@click.argument("url")
@click.option("--domain", required=True, help="Domain of the accounts, such as CORP.")
@click.option("--bind-dn", required=True, help="As whom operators bind there.")
@click.option("--base-dn", required=True, help="Entry below which people are.")
@click.option("--filter", "narrowing", default=USERS, show_default=True, help="Only such entries.")
@click.option(
    "--tls-ca",
    "anchors",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Certificates by which the server is known.  [default: those this computer trusts]",
)
@click.option("--sam-attribute", default=SAM, show_default=True, help="With the account's name.")
@click.option("--upn-attribute", default=UPN, show_default=True, help="With the principal name.")
@click.option("--mail-attribute", default=MAIL, show_default=True, help="With the e-mail address.")
@click.option("--plain", is_flag=True, help="Without TLS: a server on this computer, for tests.")
@organisation_option
@operator_options
def directory_set(
    url: str,
    domain: str,
    bind_dn: str,
    base_dn: str,
    narrowing: str,
    anchors: Path | None,
    sam_attribute: str,
    upn_attribute: str,
    mail_attribute: str,
    plain: bool,
    organisation: str,
    caller: Caller,
) -> None:
    """Look up accounts at URL, ldaps://HOST or ldap://HOST with StartTLS, for an organisation and
    those below it without a directory of their own. Each operator gives the password of --bind-dn
    once (`account directory password`); the keystore neither has it nor calls the directory.
    """
    named = pb.AccountDirectory(
        url=url,
        bind_dn=bind_dn,
        base_dn=base_dn,
        domain=domain,
        filter=narrowing,
        anchors=_pem(anchors) if anchors else b"",
        sam_attribute=sam_attribute,
        upn_attribute=upn_attribute,
        mail_attribute=mail_attribute,
        plain=plain,
    )
    where = find(caller, Sort.ORGANISATION, organisation)
    with caller.service(AccountServiceStub) as stub:
        asked = pb.SetAccountDirectoryRequest(organisation_id=where, directory=named)
        changed = stub.SetAccountDirectory(asked).changed
    caller.print_facts({"url": url, "changed": changed}, {"url": LABELS["url"]})
    if not changed and not caller.as_json:
        click.echo("It was so before.", err=True)


@directory.command("show")
@organisation_option
@operator_options
def directory_show(organisation: str, caller: Caller) -> None:
    """Show the directory that counts in an organisation."""
    found = _found(caller, organisation)
    named = found.directory
    attributes = named.sam_attribute, named.upn_attribute, named.mail_attribute
    facts: Row = {
        "url": named.url,
        "bind_dn": named.bind_dn,
        "base_dn": named.base_dn,
        "domain": named.domain,
        "filter": named.filter,
        "attributes": list(attributes),
        "inherited": not found.is_own,
    }
    caller.print_facts(facts, LABELS)


@directory.command("remove")
@organisation_option
@irreversible("Accounts of the organisation are looked up in the directory no longer.")
@operator_options
def directory_remove(organisation: str, caller: Caller) -> None:
    """Look up the accounts of an organisation where the one above looks up its own, or nowhere."""
    request = pb.SetAccountDirectoryRequest(
        organisation_id=find(caller, Sort.ORGANISATION, organisation)
    )
    with caller.service(AccountServiceStub) as stub:
        removed = stub.SetAccountDirectory(request).changed
    caller.print_facts({"removed": removed}, {"removed": "Removed"})


@directory.command("password")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@organisation_option
@operator_options
def directory_password(password_stdin: bool, organisation: str, caller: Caller) -> None:
    """Keep the password of the directory in a private file beside your identity, if the directory
    takes it. Whenever the directory is another one, or known by other certificates, the password is
    asked for again.
    """
    named = checked(_found(caller, organisation).directory)
    if password_stdin:
        password = sys.stdin.readline().removesuffix("\n").removesuffix("\r")
    elif caller.by_hand:
        asked = f"Password of {named.bind_dn} at {named.url}"
        password = click.prompt(asked, hide_input=True, err=True)
    else:
        raise click.UsageError("nobody is here to type a password: use --password-stdin")
    passwords.check(password)
    with bound(named, password):
        passwords.keep(caller.folder, named, password)
    shown = {each: LABELS[each] for each in ("url", "bind_dn")}
    caller.print_facts({"url": named.url, "bind_dn": named.bind_dn, "kept": True}, shown)


def checked(message: pb.AccountDirectory) -> AccountDirectory:
    """A directory that the keystore names, if it is one that is taken. Raises Failure."""
    try:
        return AccountDirectory(
            url=message.url,
            bind_dn=message.bind_dn,
            base_dn=message.base_dn,
            domain=message.domain,
            narrowing=message.filter,
            anchors=message.anchors,
            sam=message.sam_attribute,
            upn=message.upn_attribute,
            mail=message.mail_attribute,
            plain=message.plain,
        )
    except InvalidInput as error:
        raise Failure(f"the keystore names a directory that is not taken: {error}") from None


def _found(caller: Caller, organisation: str) -> pb.GetAccountDirectoryResponse:
    where = find(caller, Sort.ORGANISATION, organisation)
    with caller.service(AccountServiceStub) as stub:
        found = stub.GetAccountDirectory(pb.GetAccountDirectoryRequest(organisation_id=where))
    if not found.HasField("directory"):
        raise NothingFound(f"the organisation has no directory of accounts: {NONE_NAMED}")
    return found


def _pem(path: Path) -> bytes:
    return b"".join(each.public_bytes(Encoding.PEM) for each in reading.read(path))
