"""`cloudcard ra log-in`: a code by which an operator logs in to the pages."""

from __future__ import annotations

import click

from cloudcard.registry.v1 import identities_pb2 as pb
from cloudcard.registry.v1.identities_pb2_grpc import IdentityServiceStub
from cloudcard_tools.ra.registry import operator_options, when
from cloudcard_tools.shared.caller import Caller
from cloudcard_tools.shared.failures import Failure

LABELS = {"page": "Page", "code": "Code", "expires": "Good until"}


@click.command(
    "log-in",
    epilog="""\b
Examples:
  cloudcard ra log-in
  cloudcard ra log-in --json
""",
)
@operator_options
def log_in(caller: Caller) -> None:
    """Print a code by which you log in, once and within five minutes, to the pages for registration
    authorities. Enter it on the page that is printed with it, and show it to nobody.
    """
    with caller.service(IdentityServiceStub) as stub:
        made = stub.CreateVisitCode(pb.CreateVisitCodeRequest())
    if not made.address:
        raise Failure("this keystore serves no pages: its operator starts it with --web")
    facts = {"page": made.address, "code": made.code, "expires": when(made.expire_time)}
    caller.print_facts(facts, LABELS)
