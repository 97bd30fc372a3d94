"""`cloudcard keys authorities`: the certificates of the keystore's own authorities."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

import click
from cryptography import x509

from cloud_keystore.config import Settings
from cloud_keystore.storage import authorities as rows
from cloudcard_tools import new_files
from cloudcard_tools.keys.opening import believed
from cloudcard_tools.new_files import NEW_FOLDER
from cloudcard_tools.shared import output
from cloudcard_tools.shared.output import expiry, iso_time, json_option
from cloudcard_tools.shared.place import place_options
from cloudcard_tools.shared.sealing_options import SealingKeys, sealing_options

COLUMNS = {"name": "NAME", "subject": "SUBJECT", "since": "SINCE", "expires": "EXPIRES"}


@click.command(epilog="\b\nExample:\n  cloudcard keys authorities --export /root/authorities")
@click.option(
    "--export",
    "folder",
    type=NEW_FOLDER,
    help="Write each certificate into a file of this new folder.",
)
@sealing_options()
@place_options
@json_option
def authorities(
    folder: Path | None,
    sealing: SealingKeys,
    place: Settings,
    as_json: bool,
) -> None:
    """List the keystore's authorities, and when they end. Each has a successor in time."""
    with believed(place, sealing) as (database, _), database.read() as connection:
        found = rows.certificates(connection)
    listed: list[output.Row] = []
    for name, der in found.items():
        certificate = x509.load_der_x509_certificate(der)
        listed.append(
            {
                "name": name,
                "subject": certificate.subject.rfc4514_string(),
                "since": iso_time(certificate.not_valid_before_utc),
                "expires": expiry(certificate.not_valid_after_utc, datetime.now(UTC)),
            }
        )
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, der in found.items():
            with new_files.opened(folder / f"{name.replace(' ', '-')}.pem") as out:
                out.write(ssl.DER_cert_to_PEM_cert(der))
    output.print_rows(listed, COLUMNS, "No keystore has run here yet.", as_json=as_json)
