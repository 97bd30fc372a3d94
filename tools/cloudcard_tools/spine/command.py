"""The command `cloudcard spine`."""

from __future__ import annotations

import ssl
import sys
import time
from contextlib import suppress
from pathlib import Path

import click

from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.shared.output import Row, json_option, print_facts
from cloudcard_tools.spine import card as cards
from cloudcard_tools.spine import proving
from cloudcard_tools.spine.broker import Broker, Role, Ticket

LOOK_SECONDS = 1.0
DIGESTS = ("sha1", "sha256")
FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
LABELS = {"person": "Logged in", "role": "Role", "organisation": "Organisation", "ticket": "Ticket"}
MODULE = "opensc-pkcs11.so"


@click.group(
    epilog="""\b
Examples:
  cloudcard spine login --broker https://localhost:8443 --trust authority.pem

docs/nhs.md says what the simulated broker does.
"""
)
def spine() -> None:
    """Log in at a simulated session broker with a card in a reader. No host of the NHS is ever
    called.
    """


@spine.command(
    epilog="""\b
Examples:
  cloudcard spine login --broker https://localhost:8443 --trust authority.pem
  cloudcard spine login --broker https://localhost:8443 --trust authority.pem --role 128945352888
  cloudcard spine login --broker https://localhost:8443 --trust authority.pem --once --json
"""
)
@click.option("--broker", "url", required=True, metavar="URL", help="Where the broker is (https).")
@click.option("--trust", type=FILE, help="The authority (PEM) of the broker's certificate.")
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
    try:
        broker = Broker(url, ssl.create_default_context(cafile=trust))
    except ssl.SSLError:
        raise Failure("--trust names a file that is no certificate in PEM") from None
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
