"""The command `cloudcard eps`."""

from __future__ import annotations

import base64
import ssl
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeAlias

import click
import grpc
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from cloudcard_tools import new_files
from cloudcard_tools.eps import batches, checking
from cloudcard_tools.eps.batches import MOST, Batch
from cloudcard_tools.eps.canonical import MOST_BYTES, Unreadable
from cloudcard_tools.eps.checking import Invalid, Trust
from cloudcard_tools.eps.desk import Desk
from cloudcard_tools.eps.signatures import ALGORITHMS, Algorithm
from cloudcard_tools.new_files import INTO
from cloudcard_tools.reader.of_keystore import CHANNELS
from cloudcard_tools.reader.screen import Screen
from cloudcard_tools.shared import identity
from cloudcard_tools.shared.caller import Caller, caller_options
from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.shared.output import Row, json_option, print_json, print_rows
from cloudcard_tools.simulate.cards import ListMissing
from cloudcard_tools.simulate.lists import Lists, authorities

ROLE = "workstation"
SUFFIX = ".signature"
FILES = click.Path(path_type=Path, exists=True, dir_okay=False)
FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
Check: TypeAlias = Callable[[bytes, Trust, datetime], x509.Certificate]
CHECKED = {"id": "Prescription", "counts": "Counts", "signer": "Signed by", "reason": "Why not"}


@click.group(
    epilog="""\b
Examples:
  cloudcard eps sign --card 1500000000000017 --into signed prescription.xml
  cloudcard eps verify --signatures signed --authority ca.pem --crl ca.crl prescription.xml

docs/nhs.md says what is signed, and what a signature is worth.
"""
)
def eps() -> None:
    """Signatures of prescriptions, as the Electronic Prescription Service has them."""


@eps.command(
    epilog="""\b
Examples:
  cloudcard eps sign --card 1500000000000017 --into signed prescription.xml
  cloudcard eps sign --card 1500000000000017 --into signed prepared/*.json
  cloudcard eps sign --card 1500000000000017 --json --passcode-stdin prepared/*.json < passcode
"""
)
@click.argument("paths", metavar="FILE...", nargs=-1, required=True, type=FILES)
@click.option("--card", "serial", metavar="SERIAL", required=True, help="The signer's card.")
@click.option(
    "--into",
    metavar="FOLDER",
    type=INTO,
    help=f"Write each signature (base64) into this folder: the file's name, then {SUFFIX}.",
)
@click.option(
    "--algorithm",
    type=click.Choice(list(ALGORITHMS)),
    default="RS256",
    show_default=True,
    help="By which messages are signed; an answer of $prepare says its own.",
)
@click.option(
    "--approval",
    type=click.Choice(list(CHANNELS)),
    default="push",
    show_default=True,
    help="How the request reaches the signer's phone.",
)
@click.option(
    "--program",
    default="Prescriptions",
    show_default=True,
    help="The prescribing system, as the phone shows it.",
)
@click.option(
    "--passcode-stdin", is_flag=True, help="Read the card's passcode from standard input."
)
@caller_options(ROLE)
def sign(
    paths: Sequence[Path],
    serial: str,
    into: Path | None,
    algorithm: str,
    approval: str,
    program: str,
    passcode_stdin: bool,
    caller: Caller,
) -> None:
    """Sign prescriptions with key 9C of the signer's card: up to 250 under one approval on the
    phone, all of them or none.

    FILE is an answer of $prepare (JSON), what an application asks a signing service for (JSON), or
    an HL7 message with one prescription (XML).
    """
    if into is None and not caller.as_json:
        raise click.UsageError("name a folder with --into, or print the signatures with --json")
    batch = _batch(paths, ALGORITHMS[algorithm])
    names = {each.id: f"{each.id}{SUFFIX}" for each in batch.prepared}
    if into is not None:
        for name in names.values():
            new_files.require_new(into / name)
    own = identity.load(caller.folder)
    with (
        caller.service(_channel) as channel,
        # Programs read the output, so that what the signer sees goes to the other one.
        Screen(sys.stderr, caller.as_json).prompter() as prompter,
    ):
        desk = Desk(channel, own.display_name, serial, prompter, CHANNELS[approval])
        certificate = desk.certificate()
        proof = desk.proof(_passcode(from_stdin=passcode_stdin))
        values = desk.sign(batch, certificate, proof, program)
    try:
        signed = batch.signed(values, certificate)
    except Unreadable as error:
        raise Failure(f"the keystore has answered wrongly: {error}") from None
    encoded = {number: base64.b64encode(each) for number, each in signed.items()}
    if into is not None:
        new_files.write_all(into, {names[number]: each for number, each in encoded.items()})
    if caller.as_json:
        print_json(_told(encoded, certificate))
    else:
        click.echo(f"Signed by {_name(certificate)}: {len(signed)}, in {into}")


@eps.command(
    epilog="""\b
Examples:
  cloudcard eps verify --signatures signed --authority ca.pem --crl ca.crl prescription.xml
  cloudcard eps verify --signatures signed --authority ca.pem --crl http://localhost/ca.crl *.xml
"""
)
@click.argument("paths", metavar="FILE...", nargs=-1, required=True, type=FILES)
@click.option(
    "--signatures",
    "folder",
    type=FOLDER,
    required=True,
    help=f"Folder with the signatures: each FILE's name, or the id of what it has, then {SUFFIX}.",
)
@click.option(
    "--authority",
    "authority_files",
    type=FILES,
    multiple=True,
    required=True,
    help="Certificates (PEM) of the authorities of signers, and of those above them.",
)
@click.option(
    "--crl",
    "lists",
    multiple=True,
    metavar="FILE|URL",
    help="A revocation list of each of them: nothing counts without.",
)
@json_option
@click.pass_context
def verify(
    context: click.Context,
    paths: Sequence[Path],
    folder: Path,
    authority_files: Sequence[Path],
    lists: Sequence[str],
    as_json: bool,
) -> None:
    """Say which signatures of prescriptions count; exit status 1 if any does not.

    FILE is what was signed: an HL7 message, an answer of $prepare, or what an application asks a
    signing service for. Only messages say when they are signed: the signature of anything else
    counts if its certificate is in force now.

    After keyCompromise, cACompromise or aACompromise nothing counts that the key has ever signed;
    after any other revocation, what it has signed since.
    """
    try:
        found = Lists(lists, ssl.create_default_context()).read()
        trust = Trust(authorities(authority_files), found)
    except ListMissing as error:
        raise Failure(str(error)) from None
    except ValueError:
        raise Failure("--authority names a file that is no certificate in PEM") from None
    now = datetime.now(UTC)
    rows = [row for path in paths for row in _checked(path, folder, trust, now)]
    print_rows(rows, CHECKED, "", as_json=as_json)
    if not all(each["counts"] for each in rows):
        context.exit(1)


def _channel(channel: grpc.Channel) -> grpc.Channel:
    return channel


def _batch(paths: Sequence[Path], algorithm: Algorithm) -> Batch:
    """What the files have to be signed. Raises Failure."""
    found: list[batches.Prepared] = []
    for path in paths:
        try:
            found += batches.read(path.stem, _content(path), algorithm)
        except Unreadable as error:
            raise Failure(f"{path}: {error}") from None
        if len(found) > MOST:
            break
    try:
        return batches.batch(found)
    except Unreadable as error:
        raise Failure(f"{error}: nothing was signed") from None


def _checked(path: Path, folder: Path, trust: Trust, now: datetime) -> Sequence[Row]:
    """Whether the signatures of a file count."""
    content = _content(path)
    if not batches.is_json(content):
        return [_row(path.stem, folder, partial(checking.check, content), trust, now)]
    try:
        # The algorithm is for messages.
        found = batches.read(path.stem, content, ALGORITHMS["RS256"])
    except Unreadable as error:
        return [_refused(path.stem, str(error))]
    return [
        _row(each.id, folder, partial(checking.check_prepared, each.signed_info), trust, now)
        for each in found
    ]


def _row(number: str, folder: Path, check: Check, trust: Trust, now: datetime) -> Row:
    signature = folder / f"{number}{SUFFIX}"
    try:
        certificate = check(base64.b64decode(_content(signature), validate=True), trust, now)
    except FileNotFoundError:
        return _refused(number, f"there is no {signature}")
    except Invalid as error:
        return _refused(number, str(error))
    except ValueError:
        return _refused(number, "the signature is not encoded as base64")
    return {"id": number, "counts": True, "signer": _name(certificate), "reason": ""}


def _refused(number: str, reason: str) -> Row:
    return {"id": number, "counts": False, "signer": None, "reason": reason}


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MOST_BYTES + 1)


def _passcode(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().strip()
    if not sys.stdin.isatty():
        raise click.UsageError("nobody is here to type the passcode: use --passcode-stdin")
    typed: str = click.prompt("Passcode", hide_input=True, err=True)
    return typed


def _name(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else certificate.subject.rfc4514_string()


def _told(encoded: dict[str, bytes], certificate: x509.Certificate) -> Row:
    """As a signing service answers."""
    return {
        "signatures": [
            {"id": number, "signature": each.decode()} for number, each in encoded.items()
        ],
        "certificate": base64.b64encode(certificate.public_bytes(Encoding.DER)).decode(),
    }
