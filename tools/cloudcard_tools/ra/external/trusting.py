"""`cloudcard ra ca trust` and others: authorities outside of the keystore that certify cards."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cloud_keystore.model.finding import Sort
from cloud_keystore.model.pki.external import OWN
from cloudcard.registry.v1 import external_pb2 as pb
from cloudcard.registry.v1.external_pb2_grpc import ExternalServiceStub
from cloudcard_tools.ra.external import lists, reading
from cloudcard_tools.ra.registry import find, operator_options
from cloudcard_tools.shared import output
from cloudcard_tools.shared.caller import Caller
from cloudcard_tools.shared.calling import listed
from cloudcard_tools.shared.confirming import irreversible
from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.shared.output import Row

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
LABELS = {
    "name": "External CA",
    "subject": "Subject",
    "expires": "Expires",
    "below": "Below",
    "used_for": "Certifies",
    "est": "Asked at",
    "list_number": "List number",
    "list_ends": "List ends",
    "list_url": "List fetched at",
    "when_stale": "When stale",
    "reason": "Why not",
    "fix": "What to do",
}
CHOICE = {"organisation": "Organisation", "profile": "Profile", "issuer": "Certified by"}
ALL = "all"


@click.command("trust")
@click.argument("path", metavar="FILE", type=FILE)
@click.option("--name", default="", help="What to call it; by default its common name.")
@click.option(
    "--below",
    default="",
    help="Name of a trusted authority for which it issues, so that its revocation lists count.",
)
@operator_options
def ca_trust(path: Path, name: str, below: str, caller: Caller) -> None:
    """Trust the external authority whose certificate is in FILE (PEM or DER) to certify cards. It
    can be the one that issues, or one above it. It does so when it was chosen: `ca use`.
    """
    found = reading.read(path)
    if len(found) != 1:
        raise Failure(
            f"{path} holds {len(found)} certificates: give that of the authority to trust alone; "
            "those between come with the cards' certificates"
        )
    name = name or _common_name(found[0])
    certificate = found[0].public_bytes(Encoding.DER)
    request = pb.TrustAuthorityRequest(name=name, certificate=certificate, below=below)
    with caller.service(ExternalServiceStub) as stub:
        added = stub.TrustAuthority(request).added
    facts = {**_authority(name, found[0]), "below": below or None, "is_new": added}
    shown = ("name", "subject", "expires", *(["below"] if below else []))
    caller.print_facts(facts, {key: LABELS[key] for key in shown})
    if not added and not caller.as_json:
        click.echo("It was trusted before.", err=True)


@click.command("distrust")
@click.argument("name")
@irreversible("{name} can certify no cards any more.")
@operator_options
def ca_distrust(name: str, caller: Caller) -> None:
    """Take the external authority NAME away, which was never used."""
    with caller.service(ExternalServiceStub) as stub:
        removed = stub.DistrustAuthority(pb.DistrustAuthorityRequest(name=name)).removed
    caller.print_facts({"name": name, "removed": removed}, {"name": LABELS["name"]})
    if not removed and not caller.as_json:
        click.echo("There was none of this name.", err=True)


@click.command("external")
@operator_options
def ca_external(caller: Caller) -> None:
    """List the external authorities that are trusted, and which new cards they certify."""
    with caller.service(ExternalServiceStub) as stub:
        pages = listed(stub.ListExternalAuthorities, pb.ListExternalAuthoritiesRequest())
        found = [each for page in pages for each in page.authorities]
        some = listed(stub.ListIssuerChoices, pb.ListIssuerChoicesRequest())
        choices = [each for page in some for each in page.choices]
    used: dict[str, list[str]] = {}
    for each in choices:
        used.setdefault(each.authority, []).append(
            f"{each.organisation_id or ALL}/{each.profile or ALL}"
        )
    rows = [
        {
            **_authority(each.name, x509.load_der_x509_certificate(each.certificate)),
            "below": each.below or None,
            "used_for": used.get(each.name, []),
            "est": each.est.url or None,
            "est_user": each.est.user or None,
            "any_subject": each.est.any_subject,
            **lists.facts(each),
        }
        for each in found
    ]
    nothing = "No external authorities: the keystore certifies all cards."
    spare = ("below", "fix", "reason", "list_url", "when_stale", "est", "list_number")
    caller.print_rows(rows, LABELS, nothing, spare=spare)


@click.command("use")
@click.argument("name")
@click.option("--organisation", default="", help="Name or ID; by default all organisations.")
@click.option("--profile", default="", help="By default all profiles.")
@operator_options
def ca_use(name: str, organisation: str, profile: str, caller: Caller) -> None:
    """Let the external authority NAME certify new cards, or the keystore itself if NAME is "own".
    Cards that there are stay as they are. A choice for an organisation counts for more than one
    for a profile.
    """
    choice = pb.IssuerChoice(
        organisation_id=find(caller, Sort.ORGANISATION, organisation),
        profile=profile,
        authority="" if name == OWN else name,
    )
    with caller.service(ExternalServiceStub) as stub:
        changed = stub.ChooseIssuer(pb.ChooseIssuerRequest(choice=choice)).changed
    facts: Row = {
        "organisation": organisation or ALL,
        "profile": profile or ALL,
        "issuer": name,
        "changed": changed,
    }
    caller.print_facts(facts, CHOICE)
    if not changed and not caller.as_json:
        click.echo("It was so before.", err=True)


def _authority(name: str, certificate: x509.Certificate) -> Row:
    return {
        "name": name,
        "subject": certificate.subject.rfc4514_string(),
        "expires": output.expiry(certificate.not_valid_after_utc, datetime.now(UTC)),
    }


def _common_name(certificate: x509.Certificate) -> str:
    """What the authority calls itself."""
    found = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(found[0].value) if found else certificate.subject.rfc4514_string()
