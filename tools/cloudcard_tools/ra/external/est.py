"""`cloudcard ra ca est`: where the keystore asks an external authority by itself."""

from __future__ import annotations

from pathlib import Path

import click
from cryptography.hazmat.primitives.serialization import Encoding

from cloudcard.registry.v1 import external_pb2 as pb
from cloudcard.registry.v1.external_pb2_grpc import ExternalServiceStub
from cloudcard_tools.ra.external import reading
from cloudcard_tools.ra.registry import operator_options
from cloudcard_tools.shared.caller import Caller
from cloudcard_tools.shared.failures import Failure
from private_files import rules
from private_files.rules import FileRefused

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
LARGEST_SECRET = 64 * 1024
LABELS = {"name": "External CA", "est": "Asked at"}
NOWHERE = "nowhere"


@click.command(
    "est",
    epilog="""\b
Examples:
  cloudcard ra ca est "Trust CA" https://est.example.org --tls-ca tls.pem \\
      --user ra --password-file est-password
  cloudcard ra ca est "Trust CA" https://est.example.org/.well-known/est/cards \\
      --tls-ca tls.pem --certificate keystore.pem --key keystore.key
  cloudcard ra ca est "Trust CA" --off
""",
)
@click.argument("name")
@click.argument("url", required=False, default="")
@click.option(
    "--tls-ca",
    "anchors",
    type=FILE,
    help="Certificates by which the server is known; by default that of the authority.",
)
@click.option("--user", default="", help="The keystore's user name there.")
@click.option(
    "--password-file",
    type=FILE,
    help="File with the user's password on one line, readable by its owner alone.",
)
@click.option(
    "--certificate",
    type=FILE,
    help="The keystore's certificate there, with those above it, instead of a user or besides.",
)
@click.option(
    "--key",
    "private",
    type=FILE,
    help="Its private key (PEM, without a password), readable by its owner alone.",
)
@click.option(
    "--any-subject",
    is_flag=True,
    help="Take certificates that name others than was asked for, as some authorities do.",
)
@click.option("--off", is_flag=True, help="Ask the authority no longer; files do it again.")
@operator_options
def ca_est(
    name: str,
    url: str,
    anchors: Path | None,
    user: str,
    password_file: Path | None,
    certificate: Path | None,
    private: Path | None,
    any_subject: bool,
    off: bool,
    caller: Caller,
) -> None:
    """Have the keystore ask the external authority NAME by EST (RFC 7030) at URL for the
    certificates of new cards, and of those that wait. It does so by itself, again and again until
    it has them; `card requests list` shows what is in the way. All is named anew each time. With
    cis+https://… it asks a card issuance service instead (docs/nhs.md).
    """
    if off is bool(url):
        raise click.UsageError("name the URL of the server, or --off")
    if off:
        with caller.service(ExternalServiceStub) as stub:
            stopped = stub.StopEstServer(pb.StopEstServerRequest(authority=name)).stopped
        caller.print_facts({"name": name, "est": NOWHERE, "changed": stopped}, LABELS)
        if not stopped and not caller.as_json:
            click.echo("It was asked nowhere before.", err=True)
        return
    request = pb.UseEstServerRequest(
        authority=name,
        server=pb.EstServer(
            url=url,
            user=user,
            certificate=_pem(certificate) if certificate else b"",
            any_subject=any_subject,
        ),
        password=_line(password_file) if password_file else "",
        private_key=_secret(private) if private else b"",
    )
    with caller.service(ExternalServiceStub) as stub:
        request.server.anchors = _pem(anchors) if anchors else b""
        stub.UseEstServer(request)
    caller.print_facts({"name": name, "est": url, "changed": True}, LABELS)


def _pem(path: Path) -> bytes:
    return b"".join(each.public_bytes(Encoding.PEM) for each in reading.read(path))


def _line(path: Path) -> str:
    try:
        text = _secret(path).decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        text = ""
    if not text or "\n" in text:
        raise Failure(f"{path} is to hold the password on one line")
    return text


def _secret(path: Path) -> bytes:
    """A secret from a file that is its owner's alone. Raises Failure."""
    try:
        found = rules.read(path.resolve(), LARGEST_SECRET)
    except FileRefused as refused:
        raise Failure(str(refused)) from None
    if found is None:
        raise Failure(f"{path} is gone: name another file")
    return found
