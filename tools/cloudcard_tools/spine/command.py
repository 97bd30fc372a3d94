"""The command `cloudcard spine`."""

from __future__ import annotations

import asyncio
import ssl
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

import click

from cloud_keystore.est.spine import sources
from cloud_keystore.est.spine.checking import Checking
from cloud_keystore.model.spine.tickets import LONGEST_TICKET, TicketAnswer, Verdict
from cloudcard_tools.shared.failures import Failure, OutOfReach, Refused
from cloudcard_tools.shared.output import Row, json_option, print_facts
from cloudcard_tools.spine import card as cards
from cloudcard_tools.spine import https, proving
from cloudcard_tools.spine.broker import Broker, Role, Ticket
from cloudcard_tools.spine.reporting import report

LOOK_SECONDS = 1.0
DIGESTS = ("sha1", "sha256")
FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
LABELS = {"person": "Logged in", "role": "Role", "organisation": "Organisation", "ticket": "Ticket"}
MODULE = "opensc-pkcs11.so"
REASONS: Mapping[Verdict, str] = {
    Verdict.REFUSED: https.REFUSED,
    Verdict.UNREACHABLE: https.UNREACHABLE,
    Verdict.UNCLEAR: "ANSWER_MALFORMED",
    Verdict.CLOCK_OFF: "CLOCK_OFF",
}
CHECKED = {"name": "Name", "person": "Number", "service": "Service", "held": "Roles"}

broker_option = click.option(
    "--broker", "url", required=True, metavar="URL", help="Where the broker is (https)."
)
trust_option = click.option(
    "--trust", type=FILE, help="The authority (PEM) of the broker's certificate."
)


@click.group(
    epilog="""\b
Examples:
  cloudcard spine login --broker https://localhost:8443 --trust authority.pem
  cloudcard spine check --broker https://localhost:8443 --trust authority.pem < ticket
  cloudcard spine report --card 1500000000000017 < ticket

docs/nhs.md says what the simulated broker does.
"""
)
def spine() -> None:
    """Log in at a simulated session broker with a card in a reader, and check its tickets. No host
    of the NHS is ever called.
    """


@spine.command(
    epilog="""\b
Examples:
  cloudcard spine login --broker https://localhost:8443 --trust authority.pem
  cloudcard spine login --broker https://localhost:8443 --trust authority.pem --role 128945352888
  cloudcard spine login --broker https://localhost:8443 --trust authority.pem --once --json
"""
)
@broker_option
@trust_option
@click.option(
    "--module", default=MODULE, show_default=True, help="The PKCS#11 library that has the card."
)
@click.option(
    "--digest",
    type=click.Choice(DIGESTS),
    default="sha256",
    show_default=True,
    help="How the challenge is signed; older clients sign with SHA-1.",
)
@click.option("--role", "role_id", metavar="ID", help="The role.  [default: the only one, or ask]")
@click.option("--pin-stdin", is_flag=True, help="Read the PIN from standard input.")
@click.option("--once", is_flag=True, help="Print the ticket and leave it open.")
@json_option
def login(
    url: str,
    trust: Path | None,
    module: str,
    digest: str,
    role_id: str | None,
    pin_stdin: bool,
    once: bool,
    as_json: bool,
) -> None:
    """Log in with the card in the reader, and end the ticket when the card is removed, or on
    Ctrl-C.
    """
    broker = _broker(url, trust)
    with cards.opened(module, _pin(from_stdin=pin_stdin), digest) as held:
        name, challenge = broker.activate()
        proof = proving.proof(challenge, held.certificate, digest, held.sign)
        ticket = broker.log_in(name, proof)
    role = _role(ticket, role_id)
    if role is not None:
        broker.choose(ticket, role)
    print_facts(_told(ticket, role), LABELS, as_json=as_json)
    sys.stdout.flush()
    if not once:
        _keep(broker, ticket, held)


@spine.command(
    epilog="""\b
Examples:
  cloudcard spine check --broker https://localhost:8443 --trust authority.pem < ticket
  cloudcard spine check --broker https://localhost:8443 --trust authority.pem --json < ticket
"""
)
@broker_option
@trust_option
@json_option
def check(url: str, trust: Path | None, as_json: bool) -> None:
    """Say whose the ticket is that standard input has, by name, number and roles, as a keystore
    finds it out; exit status 1 unless the broker says so for certain, and now.
    """
    broker = _broker(url, trust)
    parts = urlsplit(url)
    source = sources.Broker(
        (parts.hostname or "", parts.port or https.PORT), parts.path.rstrip("/"), broker.tls
    )
    answer = asyncio.run(Checking(source).check(sys.stdin.readline(LONGEST_TICKET + 2).strip()))
    found = answer.identity
    if found is None:
        raise _failure(answer)
    told: Row = {
        "person": found.uid,
        "name": found.name,
        "service": "training" if found.is_training else "live",
        "held": "\n".join(f"{each.id}  {each.organisation}  {each.name}" for each in found.roles),
        "roles": [asdict(each) for each in found.roles],
    }
    print_facts(told, CHECKED, as_json=as_json)


def _failure(answer: TicketAnswer) -> Failure:
    text, reason = f"{answer.why}; {answer.fix}", REASONS[answer.verdict]
    return OutOfReach(text, reason) if reason == https.UNREACHABLE else Refused(text, reason)


def _broker(url: str, trust: Path | None) -> Broker:
    try:
        return Broker(url, ssl.create_default_context(cafile=trust))
    except ssl.SSLError:
        raise Failure("--trust names a file that is no certificate in PEM") from None


def _keep(broker: Broker, ticket: Ticket, held: cards.Card) -> None:
    """Keep a ticket as long as its card is in the reader. Raises CardGone."""
    try:
        while True:
            time.sleep(LOOK_SECONDS)
            held.require_there()
    finally:
        with suppress(Failure):
            broker.leave(ticket)


def _role(ticket: Ticket, wanted: str | None) -> Role | None:
    """The role that is wanted; without a wish the only one, or the one that somebody chooses."""
    known = {each.id: each for each in ticket.roles}
    if wanted is not None:
        if wanted not in known:
            raise Failure(f"there is no role {wanted}: choose {', '.join(known) or 'none'}")
        return known[wanted]
    if len(known) == 1:
        return ticket.roles[0]
    if not known or not sys.stdin.isatty():
        return None
    for each in ticket.roles:
        click.echo(f"{each.id}  {each.organisation}  {each.name}", err=True)
    chosen: str = click.prompt("Role", type=click.Choice(list(known)), err=True)
    return known[chosen]


def _pin(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().strip()
    if not sys.stdin.isatty():
        raise click.UsageError("nobody is here to type the PIN: use --pin-stdin")
    typed: str = click.prompt("PIN", hide_input=True, err=True)
    return typed


def _told(ticket: Ticket, role: Role | None) -> Row:
    return {
        "person": ticket.person,
        "role": role.id if role else None,
        "organisation": role.organisation if role else None,
        "ticket": ticket.value,
        "roles": [{"id": each.id, "orgcode": each.organisation} for each in ticket.roles],
    }


spine.add_command(report)
