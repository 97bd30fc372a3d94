"""`cloudcard ra card requests`: what an external authority is to certify, and what it has."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cloud_keystore.model.pki.external import MOST_CERTIFICATES
from cloudcard.registry.v1 import external_pb2 as pb
from cloudcard.registry.v1.external_pb2_grpc import ExternalServiceStub
from cloudcard_tools import new_files
from cloudcard_tools.new_files import INTO, NEW_FILE
from cloudcard_tools.ra.external import reading
from cloudcard_tools.ra.registry import operator_options, when
from cloudcard_tools.shared.caller import Caller
from cloudcard_tools.shared.calling import listed
from cloudcard_tools.shared.confirming import dry_run_option
from cloudcard_tools.shared.output import Row

FILES = click.Path(exists=True, dir_okay=False, path_type=Path)
COLUMNS = {
    "card_serial": "Card",
    "key_ref": "Key",
    "holder": "Holder",
    "authority": "Certified by",
    "issued": "Issued",
    "asked": "Asked",
    "next": "Next",
    "reason": "Why not",
    "fix": "What to do",
}
OUTCOME = {
    pb.CERTIFICATE_OUTCOME_COMPLETED: "installed",
    pb.CERTIFICATE_OUTCOME_KEPT: "waits for the others",
    pb.CERTIFICATE_OUTCOME_THERE: "was there",
    pb.CERTIFICATE_OUTCOME_REFUSED: "refused",
}
IMPORTED = {"card_serial": "Card", "key_ref": "Key", "outcome": "Certificate"}
REFUSED = IMPORTED | {"reason": "Why", "fix": "What to do"}
EXPORTED = {"written": "Written to", "cards": "Cards", "requests": "Requests"}
NOTHING = "No card waits for certificates."


@click.group(
    epilog="""\b
Examples:
  cloudcard ra card requests list
  cloudcard ra card requests export for-the-ca
  cloudcard ra card requests export --zip for-the-ca.zip
  cloudcard ra card requests import from-the-ca/*.pem
"""
)
def requests() -> None:
    """Cards whose certificates an external authority issues."""


@requests.command("list")
@operator_options
def requests_list(caller: Caller) -> None:
    """List the keys that wait for certificates."""
    caller.print_rows([_row(each) for each in _waiting(caller)], COLUMNS, NOTHING)


@requests.command("export")
@click.argument("into", metavar="[FOLDER]", type=INTO, required=False)
@click.option("--zip", "archive", type=NEW_FILE, help="Write one zip file instead of a folder.")
@operator_options
def requests_export(into: Path | None, archive: Path | None, caller: Caller) -> None:
    """Write the requests of all keys that wait for certificates into FOLDER, each to a file of its
    own (PKCS#10, PEM): CARD-KEY.csr.
    """
    if (into is None) == (archive is None):
        raise click.UsageError("name a folder, or --zip FILE")
    waiting = _waiting(caller)
    files = {
        f"{each.card_serial}-{each.key_ref:02X}.csr": x509.load_der_x509_csr(each.csr).public_bytes(
            Encoding.PEM
        )
        for each in waiting
    }
    written = archive if into is None else into
    if archive is not None and files:
        new_files.write(archive, _zipped(files))
    elif into is not None and files:
        new_files.write_all(into, files)
    facts: Row = {
        "written": str(written) if files else None,
        "cards": len({each.card_serial for each in waiting}),
        "requests": len(files),
    }
    caller.print_facts(facts, EXPORTED)
    if not files and not caller.as_json:
        click.echo(NOTHING, err=True)


@requests.command("import")
@click.argument("paths", metavar="FILE...", nargs=-1, required=True, type=FILES)
@dry_run_option
@operator_options
def requests_import(paths: Sequence[Path], dry_run: bool, caller: Caller) -> None:
    """Bring certificates (PEM, DER or PKCS#7), each for the key that is in it. A card is complete
    as soon as all its keys have one. If one is refused, none is installed.

    Certificates of authorities between the trusted one and the cards' are taken from the files
    too. What was brought before changes nothing.
    """
    found = dict.fromkeys(each for path in paths for each in reading.read(path))
    own = [each for each in found if not reading.is_authority(each)] or [*found]
    between = [_der(each) for each in found if each not in own]
    parts = [own[at : at + MOST_CERTIFICATES] for at in range(0, len(own), MOST_CERTIFICATES)]
    with caller.service(ExternalServiceStub) as stub:

        def bring(*, dry_run: bool) -> Iterator[pb.ImportedCertificate]:
            for part in parts:
                request = pb.ImportCertificatesRequest(
                    certificates=map(_der, part), between=between, dry_run=dry_run
                )
                yield from stub.ImportCertificates(request).certificates

        # All are looked at before any is installed.
        done = [*bring(dry_run=True)]
        refused = [each for each in done if each.outcome == pb.CERTIFICATE_OUTCOME_REFUSED]
        if not refused and not dry_run:
            done = [*bring(dry_run=False)]
    told = refused or done
    caller.print_rows([_imported(each) for each in told], REFUSED if refused else IMPORTED, "")
    if refused:
        click.echo("Nothing was installed: leave out or correct what was refused.", err=True)
        click.get_current_context().exit(1)
    if not caller.as_json:
        _tell(done, dry_run=dry_run)


def _tell(done: Sequence[pb.ImportedCertificate], *, dry_run: bool) -> None:
    for each in done:
        if each.subject:
            click.echo(
                f"Key {each.key_ref:02X} of card {each.card_serial} was certified for another "
                f"subject than was asked: {each.subject}",
                err=True,
            )
    if dry_run:
        click.echo("Nothing was changed: this is what would.", err=True)


def _waiting(caller: Caller) -> list[pb.CardRequest]:
    with caller.service(ExternalServiceStub) as stub:
        pages = listed(stub.ListCardRequests, pb.ListCardRequestsRequest())
        return [each for page in pages for each in page.requests]


def _row(message: pb.CardRequest) -> Row:
    return {
        "card_serial": message.card_serial,
        "key_ref": f"{message.key_ref:02X}",
        "holder": message.user_display_name,
        "authority": message.authority,
        "issued": when(message.create_time),
        "asked": message.tries or None,
        "next": when(message.next_time) if message.HasField("next_time") else None,
        "reason": message.reason or None,
        "fix": message.fix or None,
    }


def _imported(message: pb.ImportedCertificate) -> Row:
    return {
        "card_serial": message.card_serial or None,
        "key_ref": f"{message.key_ref:02X}" if message.key_ref else None,
        "outcome": OUTCOME.get(message.outcome, "unknown"),
        "subject": message.subject or None,
        "reason": message.reason or None,
        "fix": message.fix or None,
    }


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def _zipped(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return made.getvalue()
