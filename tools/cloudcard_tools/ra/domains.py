"""`cloudcard ra domain`: the domains that e-mail addresses can have."""

from __future__ import annotations

import click

from cloudcard.registry.v1 import domains_pb2 as pb
from cloudcard.registry.v1.domains_pb2_grpc import DomainServiceStub
from cloudcard_tools.ra.registry import list_options, operator_options, when
from cloudcard_tools.shared.caller import Caller
from cloudcard_tools.shared.calling import listed
from cloudcard_tools.shared.confirming import irreversible

LABELS = {"domain": "Domain"}
COLUMNS = {**LABELS, "added": "Added"}


@click.group(
    epilog="""\b
Examples:
  cloudcard ra domain add example.org
  cloudcard ra domain list
  cloudcard ra domain remove example.org --yes
"""
)
def domain() -> None:
    """Domains that e-mail addresses can have. Without any, all are allowed."""


@domain.command("add")
@click.argument("name")
@operator_options
def domain_add(name: str, caller: Caller) -> None:
    """Allow e-mail addresses of the domain NAME, at once. Subdomains need a line of their own, and
    addresses that people have already stay.
    """
    with caller.service(DomainServiceStub) as stub:
        added = stub.AddDomain(pb.AddDomainRequest(name=name)).added
    caller.print_facts({"domain": name, "is_new": added}, LABELS)
    if not added and not caller.as_json:
        click.echo("It was allowed before.", err=True)


@domain.command("list")
@list_options(COLUMNS)
def domain_list(caller: Caller) -> None:
    """List the allowed domains."""
    with caller.service(DomainServiceStub) as stub:
        pages = listed(stub.ListDomains, pb.ListDomainsRequest())
        found = [each for page in pages for each in page.domains]
    rows = [{"domain": each.name, "added": when(each.create_time)} for each in found]
    caller.print_rows(rows, COLUMNS, "All domains are allowed.")


@domain.command("remove")
@click.argument("name")
@irreversible("Nobody gets an e-mail address of {name} any more.")
@operator_options
def domain_remove(name: str, caller: Caller) -> None:
    """Take the domain NAME from the allowed ones. Without any, all are allowed."""
    with caller.service(DomainServiceStub) as stub:
        removed = stub.RemoveDomain(pb.RemoveDomainRequest(name=name)).removed
    caller.print_facts({"domain": name, "removed": removed}, LABELS)
    if not removed and not caller.as_json:
        click.echo("It was not in the list.", err=True)
