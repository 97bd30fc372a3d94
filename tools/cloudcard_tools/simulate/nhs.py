"""The command `cloudcard simulate nhs`."""

from __future__ import annotations

import asyncio
import logging
import signal
import ssl
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click
from cryptography import x509

from cloud_keystore.config import Address
from cloud_keystore.model.errors import InvalidInput
from cloudcard.workstation.v1.workstation_pb2_grpc import WorkstationServiceStub
from cloudcard_tools.paths import FOLDER
from cloudcard_tools.shared import home, identity, logs
from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.shared.output import json_option, print_facts
from cloudcard_tools.simulate import faults, outgoing, server_keys
from cloudcard_tools.simulate.application import Simulators
from cloudcard_tools.simulate.cards import Cards
from cloudcard_tools.simulate.cis2 import clients
from cloudcard_tools.simulate.cis2.clients import ClientsUnreadable
from cloudcard_tools.simulate.cis2.places import Places
from cloudcard_tools.simulate.cis2.signing import new_key
from cloudcard_tools.simulate.directory import Directory
from cloudcard_tools.simulate.faults import NoFault
from cloudcard_tools.simulate.issuance import authority as issuing
from cloudcard_tools.simulate.issuance.certifying import Authority
from cloudcard_tools.simulate.lists import Lists, authorities
from cloudcard_tools.simulate.outgoing import CallRefused
from cloudcard_tools.simulate.phones import Phones
from cloudcard_tools.simulate.server_keys import KeysUnusable
from cloudcard_tools.simulate.serving import Ports, Serving
from private_files.rules import FileRefused

MOST_CLIENTS = 1 << 20  # bytes of the file
LABELS = {
    "start": "Start here",
    "issuer": "OpenID issuer",
    "discovery": "Discovery",
    "card": "Cards",
    "broker": "Session broker",
    "signing": "Signing service",
    "tracker": "What was signed",
    "people": "People",
    "issuance": "Card issuance",
    "trust": "Trust this",
}
FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
ENROLLED = click.Path(path_type=Path, exists=True, file_okay=False)


@click.command(
    epilog="""\b
Examples:
  cloudcard simulate nhs --clients clients.json
  cloudcard simulate nhs --clients clients.json --authority ca.pem --crl cards.crl
  cloudcard simulate nhs --clients clients.json --workstation workstation
  cloudcard simulate nhs --clients clients.json --seed 7 --fault slow=3 --fault expired
  cloudcard simulate nhs --clients clients.json --json

docs/nhs.md says what is simulated and what is not.
"""
)
@click.option(
    "--clients",
    "clients_file",
    type=FILE,
    required=True,
    help="The registered clients, a JSON list (docs/nhs.md).",
)
@click.option(
    "--listen", default="127.0.0.1:8443", show_default=True, help="Address of the services (TLS)."
)
@click.option(
    "--card-listen",
    default="127.0.0.1:8444",
    show_default=True,
    help="Address where a card's certificate is asked for (mutual TLS).",
)
@click.option(
    "--public-host",
    default="localhost",
    show_default=True,
    help="Name at which browsers and clients reach both.",
)
@click.option(
    "--authority",
    "authority_files",
    type=FILE,
    multiple=True,
    help="Certificates (PEM) of the authorities whose cards log in, as `cloudcard ra ca show CA "
    "--export` writes them. Without one only those do that are certified here.",
)
@click.option(
    "--crl",
    "lists",
    multiple=True,
    metavar="FILE|URL",
    help="A revocation list of such an authority, read anew for each card.",
)
@click.option(
    "--workstation",
    type=ENROLLED,
    help="Folder of a workstation that is enrolled at a keystore: its holders log in with their "
    "phones.",
)
@click.option("--seed", default=1, show_default=True, help="Makes the people of the directory.")
@click.option(
    "--fault",
    "fault_words",
    multiple=True,
    metavar="FAULT[=SECONDS]",
    help=f"What goes wrong from the beginning: {', '.join(faults.Fault)}.",
)
@click.option("--data", type=FOLDER, help="Folder of the authority that certifies the server.")
@json_option
def nhs(
    clients_file: Path,
    listen: str,
    card_listen: str,
    public_host: str,
    authority_files: Sequence[Path],
    lists: Sequence[str],
    workstation: Path | None,
    seed: int,
    fault_words: Sequence[str],
    data: Path | None,
    as_json: bool,
) -> None:
    """Services that look to their clients like those of the NHS, in one process, until Ctrl-C.

    An OpenID provider like CIS2: people log in with a card's key, a phone or a one-time code, and
    choose a role. A broker of sessions like SSB, and a service that has prescriptions signed.
    Nobody in the directory exists; no host of the NHS is ever called; nothing of it is accredited.
    """
    try:
        main, cards = Address.parse(listen), Address.parse(card_listen)
        registered = clients.read(clients_file.read_bytes()[:MOST_CLIENTS].decode("utf-8"))
        wrong = faults.parse(fault_words)
        at = Places(public_host, main.port, cards.port)
        others = _authorities(authority_files, lists)
        folder = data or home.folder() / "simulator"
        now = datetime.now(UTC)
        trusted = server_keys.authority(folder, public_host, now)
        issuer = issuing.load(folder, at, now)
        known = [*others, issuer.certificate]
        contexts = [server_keys.server(folder, public_host, now) for _ in range(2)]
    except (
        InvalidInput,
        ClientsUnreadable,
        NoFault,
        CallRefused,
        KeysUnusable,
        FileRefused,
    ) as error:
        raise Failure(str(error)) from None
    except UnicodeDecodeError:
        raise Failure(f"{clients_file} is no text in UTF-8") from None
    trust = ssl.create_default_context()
    trust.load_verify_locations(trusted)
    own_list = partial(_with_own, Lists(lists, trust).read, issuer)
    phones = None if workstation is None else _phones(workstation)
    simulators = Simulators(
        at,
        registered,
        Cards(known, own_list, Directory(seed)),
        new_key(),
        partial(outgoing.get, tls=trust),
        wrong,
        phones,
        authority=issuer,
    )
    ports = Ports((main, contexts[0]), (cards, server_keys.asking_for_cards(contexts[1], known)))
    told = {**simulators.facts(), "trust": str(trusted)}
    logs.configure(logging.INFO, "json" if as_json else "text")
    shown = partial(print_facts, told, LABELS, as_json=as_json)
    try:
        asyncio.run(_serve(Serving(simulators, trust), ports, shown))
    finally:
        if phones is not None:
            phones.leave_all()


async def _serve(serving: Serving, ports: Ports, ready: Callable[[], None]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    await serving.serve(ports, stop, ready)


def _phones(folder: Path) -> Phones:
    """Rings phones as this workstation. Raises IdentityUnusable."""
    return Phones(WorkstationServiceStub(identity.channel(identity.load(folder))))


def _with_own(
    others: Callable[[], Sequence[x509.CertificateRevocationList]], issuer: Authority
) -> Sequence[x509.CertificateRevocationList]:
    """Revocation lists of others, and that of the authority here. Raises ListMissing."""
    return [*others(), issuer.revocations(datetime.now(UTC))]


def _authorities(files: Sequence[Path], lists: Sequence[str]) -> list[x509.Certificate]:
    """The authorities of cards. Raises Failure and CallRefused."""
    for each in lists:
        if "://" in each:
            outgoing.require_callable(each)
    try:
        found = authorities(files)
    except ValueError:
        raise Failure("--authority names a file that is no certificate in PEM") from None
    if found and not lists:
        raise Failure(
            "name the revocation list of the authority with --crl: no card counts without"
        )
    return found
