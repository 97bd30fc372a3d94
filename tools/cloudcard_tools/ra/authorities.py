"""`cloudcard ra ca`: authorities of cards, and their revocation lists."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

import click
from cryptography import x509

from cloud_keystore.model.finding import Findable, find
from cloudcard.registry.v1 import authorities_pb2 as pb
from cloudcard.registry.v1.authorities_pb2_grpc import AuthorityServiceStub
from cloudcard_tools import new_files
from cloudcard_tools.new_files import NEW_FILE
from cloudcard_tools.ra.external.lists import (
    LIST_FILE,
    Place,
    bring,
    list_place_options,
    name_place,
)
from cloudcard_tools.ra.registry import list_options, operator_options, when
from cloudcard_tools.shared import output
from cloudcard_tools.shared.caller import Caller
from cloudcard_tools.shared.calling import listed
from cloudcard_tools.shared.finding import Words, choose, of_own
from cloudcard_tools.shared.output import Row

COLUMNS = {
    "name": "CA",
    "key_id": "Key identifier",
    "issues": "Issues cards",
    "expires": "Expires",
    "revoked": "Revoked",
    "list_expires": "List expires",
}
LABELS = {**COLUMNS, "list_number": "List number", "list_signed": "List signed"}
WRITTEN = {"written": "Written"}
AUTHORITIES = Words("authority", "authorities", "cloudcard ra ca list")

ca_argument = click.argument("ca")


@click.group(
    epilog="""\b
Examples:
  cloudcard ra ca list
  cloudcard ra ca show "cloudcard card CA" --export card-ca.pem
  cloudcard ra ca crl "cloudcard card CA" --export cards.crl
  cloudcard ra ca crl "Trust CA" trust-ca.crl
  cloudcard ra ca trust trust-ca.pem --name "Trust CA"
  cloudcard ra ca use "Trust CA" --organisation "St Elsewhere"
  cloudcard ra ca use own --organisation "St Elsewhere"
  cloudcard ra ca external
  cloudcard ra ca distrust "Trust CA" --yes

\b
CA is a name, a key identifier, or the beginning of one.
"""
)
def ca() -> None:
    """Authorities of cards, and what they have revoked."""


@ca.command("list")
@list_options(COLUMNS)
def ca_list(caller: Caller) -> None:
    """List the authorities that have issued cards, and when their revocation lists end."""
    rows = [_authority(each) for each in _all(caller)]
    caller.print_rows(rows, COLUMNS, "No authorities.", spare=("key_id", "expires"))


@ca.command("show")
@ca_argument
@click.option("--export", "path", type=NEW_FILE, help="Write its certificate (PEM) to this file.")
@operator_options
def ca_show(ca: str, path: Path | None, caller: Caller) -> None:
    """Show an authority, and its newest revocation list."""
    found = _find(caller, ca)
    if path is not None:
        new_files.write(path, ssl.DER_cert_to_PEM_cert(found.certificate).encode())
    _print(caller, found, path)


@ca.command(
    "crl",
    epilog="""\b
Examples:
  cloudcard ra ca crl "cloudcard card CA" --export cards.crl
  cloudcard ra ca crl "Trust CA" trust-ca.crl
  cloudcard ra ca crl "Trust CA" --url http://crl.example.org/trust-ca.crl
  cloudcard ra ca crl "Trust CA" --url http://crl.example.org/trust-ca.crl --when-stale stop
  cloudcard ra ca crl "Trust CA" --off
""",
)
@ca_argument
@click.argument("file", type=LIST_FILE, required=False)
@click.option("--export", "path", type=NEW_FILE, help="Write the list (DER) to this file.")
@list_place_options
@operator_options
def ca_crl(ca: str, file: Path | None, path: Path | None, place: Place, caller: Caller) -> None:
    """Export the newest revocation list of an authority of the keystore, such as to publish it
    elsewhere; or take FILE, the list (DER or PEM) of an external authority; or say where the
    keystore fetches that by itself.
    """
    if [file is not None, path is not None, place.is_named].count(True) != 1:
        raise click.UsageError("name a FILE, --export, --url or --off")
    if file is not None:
        bring(caller, ca, file)
        return
    if path is None:
        name_place(caller, ca, place)
        return
    found = _find(caller, ca)
    request = pb.ExportRevocationListRequest(key_id=found.key_id)
    with caller.service(AuthorityServiceStub) as stub:
        document = b"".join(each.part for each in stub.ExportRevocationList(request))
    new_files.write(path, document)
    _print(caller, found, path)


def _print(caller: Caller, found: pb.Authority, path: Path | None) -> None:
    written = {} if path is None else {"written": str(path)}
    caller.print_facts({**_authority(found), **written}, LABELS | (WRITTEN if written else {}))


def _all(caller: Caller) -> list[pb.Authority]:
    with caller.service(AuthorityServiceStub) as stub:
        pages = listed(stub.ListAuthorities, pb.ListAuthoritiesRequest())
        return [each for page in pages for each in page.authorities]


def _find(caller: Caller, text: str) -> pb.Authority:
    """The authority that a text names. Raises NothingFound, SeveralFound."""
    known = {each.key_id.hex(): each for each in _all(caller)}
    things = [Findable(key, (key,), (each.name,), each.name) for key, each in known.items()]
    found = choose(AUTHORITIES, text, of_own(find(text, things)), by_hand=caller.by_hand)
    return known[found]


def _authority(message: pb.Authority) -> Row:
    certificate = x509.load_der_x509_certificate(message.certificate)
    is_signed = message.HasField("list_end_time")
    return {
        "name": message.name,
        "key_id": message.key_id.hex(),
        "issues": message.issues,
        "expires": output.expiry(certificate.not_valid_after_utc, datetime.now(UTC)),
        "revoked": message.listed,
        "list_number": message.list_number,
        "list_signed": when(message.list_time) if is_signed else None,
        "list_expires": when(message.list_end_time) if is_signed else None,
    }
