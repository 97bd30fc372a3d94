"""`cloudcard serve`: the keystore, with no configuration."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import click
import structlog

from cloud_keystore import config
from cloud_keystore.config import Address, Mail, Settings, Web
from cloud_keystore.hardening import harden
from cloud_keystore.model.certificates import Published
from cloud_keystore.model.errors import KeystoreError
from cloud_keystore.model.limits import MOST_SPARE_KEYS, Limits, with_limits
from cloud_keystore.model.spine.terms import SpineTerms
from cloud_keystore.run import serving
from cloud_keystore.run.opening import open_keystore
from cloud_keystore.run.owning import own, whole_or_nothing
from cloudcard_tools import ending
from cloudcard_tools.serve import processes
from cloudcard_tools.serve.authority_options import authority_options
from cloudcard_tools.serve.hook_options import Hooks, hook_options
from cloudcard_tools.serve.mail_options import mail_options
from cloudcard_tools.serve.spine_options import spine_options
from cloudcard_tools.serve.web_options import web_options
from cloudcard_tools.shared import logs
from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.shared.place import place_options
from cloudcard_tools.shared.sealing_options import SealingKeys, sealing_options

log = structlog.get_logger()

NO_OPERATORS = 3  # exit status of the process that prepares a keystore without any


@click.command(
    epilog="""\b
Examples:
  cloudcard serve
  cloudcard serve --workers 4 --http-listen 127.0.0.1:7445
  cloudcard serve --data /var/lib/cloudcard --listen 0.0.0.0:7443 \\
      --enrol-listen 0.0.0.0:7444 --public-host keystore.example.org
  PGPASSFILE=/etc/cloudcard/pgpass cloudcard serve --data /var/lib/cloudcard \\
      --database postgresql://cloudcard@db.example.org/cloudcard
"""
)
@place_options
@click.option(
    "--listen",
    default="127.0.0.1:7443",
    show_default=True,
    help="Address of the services (mutual TLS).",
)
@click.option(
    "--enrol-listen",
    default="127.0.0.1:7444",
    show_default=True,
    help="Address for enrolment by token.",
)
@click.option(
    "--public-host",
    default="127.0.0.1",
    show_default=True,
    help="Host name or IP address at which clients reach both, without scheme and port.",
)
@click.option(
    "--public-address",
    "public_addresses",
    multiple=True,
    metavar="HOST:PORT",
    help="Where clients reach the services, if not at --public-host and the port of --listen: one "
    "name for all replicas, or repeated, the numeric address of each.",
)
@click.option(
    "--crl-url",
    default="",
    help="Where the revocation list is published; goes into the certificates of new cards.",
)
@click.option(
    "--ca-url",
    default="",
    help="Where the certificate of the authority of cards is published; goes into the certificates "
    "of new cards.",
)
@click.option(
    "--status-listen",
    default="",
    help="Address where anybody can ask whether cards' certificates are good (CRL and OCSP, plain "
    "HTTP), such as 0.0.0.0:7446. Default: none.",
)
@click.option(
    "--status-url",
    default="",
    help="Where others reach --status-listen, such as http://pki.example.org; goes into the "
    "certificates of new cards.",
)
@click.option(
    "--rest",
    "rest_listen",
    default="",
    metavar="HOST:PORT",
    help="Address of the REST API (TLS), such as 0.0.0.0:7447. Default: none.",
)
@click.option(
    "--est",
    "est_listen",
    default="",
    metavar="HOST:PORT",
    help="Address of EST (RFC 7030, TLS), by which workstations enrol too, such as 0.0.0.0:7448. "
    "Default: none.",
)
@click.option(
    "--webauthn-rp-id",
    default="",
    help="Domain that passkeys are made for; by default --public-host, if it is a name. "
    "Passkeys are lost when it changes.",
)
@click.option(
    "--webauthn-origin",
    default="",
    help="Origin of the page where passkeys are used; by default https:// and that domain.",
)
@click.option(
    "--attestation-roots",
    "attestation_files",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    multiple=True,
    metavar="FILE",
    help="Root certificates (PEM) of makers of authenticators, for policies that name models of "
    "passkeys.",
)
@sealing_options(
    "file:PATH, passphrase:PATH or pkcs11:NAME of a sealing key; the first seals, "
    "further ones open. Default: sealing.key in the data folder."
)
@click.option(
    "--key-backend",
    type=click.Choice(["software", "pkcs11"]),
    default="software",
    show_default=True,
    help="Where the keys of new cards are made.",
)
@click.option(
    "--spare-keys",
    type=click.IntRange(0, MOST_SPARE_KEYS),
    default=0,
    show_default=True,
    help="How many software keys of each kind, RSA-2048 and P-256, are made in advance, so that "
    "cards are issued at once.",
)
@click.option(
    "--http-listen",
    default="",
    help="Address for /metrics and /health, plain HTTP, such as 127.0.0.1:7445. Default: none.",
)
@click.option(
    "--reflection",
    is_flag=True,
    help="Describe the services to programs such as grpcurl, for every caller with a certificate.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Processes that share the ports (Linux). One that ends is started again. With "
    "--http-listen each has a port of its own, counted from the one given.",
)
@click.option(
    "--limit",
    "limits",
    multiple=True,
    metavar="NAME=LIMIT",
    help="How fast one caller can call each process: workstation=100/1000 (per second, at once); "
    "or another limit: message=10. Repeatable.",
)
@mail_options
@hook_options
@authority_options
@spine_options
@web_options
@click.option(
    "--log-format",
    type=click.Choice(["auto", "text", "json"]),
    default="auto",
    show_default=True,
    help="auto: text on a terminal, else JSON. json: every line that it writes, for programs.",
)
def serve(  # one argument for each option
    place: Settings,
    listen: str,
    enrol_listen: str,
    public_host: str,
    public_addresses: tuple[str, ...],
    crl_url: str,
    ca_url: str,
    status_listen: str,
    status_url: str,
    rest_listen: str,
    est_listen: str,
    webauthn_rp_id: str,
    webauthn_origin: str,
    attestation_files: tuple[Path, ...],
    sealing: SealingKeys,
    key_backend: str,
    spare_keys: int,
    http_listen: str,
    reflection: bool,
    workers: int,
    limits: tuple[str, ...],
    mail: Mail | None,
    hooks: Hooks,
    ca_hosts: tuple[Address, ...],
    spine: SpineTerms | None,
    web: Web | None,
    log_format: logs.Form,
) -> None:
    """Run the keystore.

    The first start makes everything in the data folder: sealing key, database, certificate
    authorities, and a one-time token for the first operator. Stop it with Ctrl-C.
    """
    logs.configure(logging.INFO, log_format)
    logs.take_all(log_format)
    # Only the service can read its files, whatever the permissions of the data folder.
    os.umask(0o077)
    harden()
    try:
        settings = replace(
            place,
            listen=Address.parse(listen),
            enrol_listen=Address.parse(enrol_listen),
            public_host=config.public_host(public_host),
            public_addresses=tuple(map(Address.parse_public, public_addresses)),
            published=Published(crl_url, ca_url, status_url.removesuffix("/")),
            status_listen=Address.parse(status_listen) if status_listen else None,
            rest_listen=Address.parse(rest_listen) if rest_listen else None,
            est_listen=Address.parse(est_listen) if est_listen else None,
            webauthn_rp_id=webauthn_rp_id,
            webauthn_origin=webauthn_origin,
            attestation_roots=tuple(
                root for each in attestation_files for root in config.attestation_roots(each)
            ),
            sealing_keys=sealing.named,
            token=sealing.token,
            key_backend=key_backend,
            spare_keys=spare_keys,
            http_listen=Address.parse(http_listen) if http_listen else None,
            reflection=reflection,
            limits=with_limits(Limits(), limits),
            mail=mail,
            sms=hooks.sms,
            chat=hooks.chat,
            ca_hosts=ca_hosts,
            spine=spine,
            web=web,
            webhooks=hooks.webhooks,
            push=hooks.push,
            push_roots=hooks.push_roots,
        )
        if sys.platform == "linux":
            processes.supervise(settings, workers, log_format)
        elif workers > 1:
            raise Failure(
                "--workers needs Linux, which spreads connections over them: leave it out"
            )
        else:
            asyncio.run(_serve(settings, log_format))
    except KeystoreError as error:
        _fail(str(error), log_format)
    except OSError as error:
        _fail(ending.of(error).message, log_format)


def _fail(why: str, form: logs.Form) -> NoReturn:
    if form == "json":
        log.error(why)
        raise click.exceptions.Exit(Failure.exit_code)
    raise Failure(why) from None


async def _serve(settings: Settings, form: logs.Form) -> None:
    with (
        closing(own(settings)) as hold,
        whole_or_nothing(settings, hold) as keep,
        open_keystore(settings, hold) as parts,
    ):

        def ready() -> None:
            keep()
            processes.say_ready(settings, form, has_operators=parts.has_operators)

        await serving.serve(parts, ready)
