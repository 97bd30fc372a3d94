"""`cloudcard serve`: the keystore, with no configuration."""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NoReturn

import click
import structlog

from cloud_keystore import config
from cloud_keystore.border.sockets import listening
from cloud_keystore.config import Address, Mail, Settings
from cloud_keystore.custody.sealing.sealing_keys import TOKEN, Source
from cloud_keystore.hardening import harden
from cloud_keystore.model.certificates import Published
from cloud_keystore.model.errors import KeystoreError
from cloud_keystore.model.limits import MOST_SPARE_KEYS, Limits, with_limits
from cloud_keystore.notify.siblings import Siblings
from cloud_keystore.run import serving
from cloud_keystore.run.opening import open_keystore
from cloud_keystore.run.owning import Hold, own, share, whole_or_nothing
from cloudcard_tools import ending
from cloudcard_tools.serve.holding import holding
from cloudcard_tools.serve.hook_options import Hooks, hook_options
from cloudcard_tools.serve.mail_options import mail_options
from cloudcard_tools.serve.supervisor import Part, Supervisor, run_once
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
        )
        if sys.platform == "linux":
            _supervise(settings, workers, log_format)
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
            say_ready(settings, form, has_operators=parts.has_operators)

        await serving.serve(parts, ready)


def say_ready(settings: Settings, form: logs.Form, *, has_operators: bool) -> None:
    """Tell on standard output that the keystore serves, what to back up, and who comes first."""
    lines = [
        f"Keystore ready on {settings.listen}, enrolment on {settings.enrol_listen}.",
        f"Data in {settings.data}{_to_back_up(settings)}.",
    ]
    if not has_operators and settings.operator_token.exists():  # not at another replica
        enrol = ["cloudcard", "ra", "enrol", "--token-file", str(settings.operator_token)]
        lines.append(f"First operator: {shlex.join(enrol)}")
    for line in lines:
        logs.say(line, form)


def _to_back_up(settings: Settings) -> str:
    """What the database cannot be opened without, where it is a file or is told by one."""
    sources = [Source.parse(each, settings.token) for each in settings.sealing_keys]
    files = [each.where for each in sources if each.kind != TOKEN]
    if not sources:
        files = [settings.sealing_key.name]
    if not files:
        return "; the sealing key is in the token: back that up apart from the database"
    return f"; back up {' and '.join(files)} apart from the database"


def _supervise(settings: Settings, workers: int, form: logs.Form) -> None:
    """Prepare and lock the data folder, and run each part of the keystore in a process of its own:
    the workers and the enrolment port face the network, and custody has the keys.
    """
    # The folder comes first: the processes of a killed supervisor give it up before their ports.
    with closing(own(settings)) as hold, ExitStack() as held:
        with whole_or_nothing(settings, hold) as keep:
            held.enter_context(holding((settings.listen, settings.enrol_listen)))
            has_operators = _prepare(settings, hold, form)
            sockets = held.enter_context(listening(settings.data))
            keep()

        def custody(siblings: Siblings) -> None:
            with closing(share(settings)) as shared, open_keystore(settings, shared) as parts:
                asyncio.run(serving.keep_custody(parts, sockets, siblings))

        def worker(siblings: Siblings) -> None:
            asked = sockets.only(sockets.main)
            asyncio.run(serving.face_clients(settings, asked, siblings))

        def newcomers(siblings: Siblings) -> None:
            asked = sockets.only(sockets.enrolment)
            asyncio.run(serving.face_newcomers(settings, asked, siblings))

        def strangers(siblings: Siblings) -> None:
            asked = sockets.only(sockets.status)
            asyncio.run(serving.face_strangers(settings, asked, siblings))

        def programs(siblings: Siblings) -> None:
            asked = sockets.only(sockets.rest)
            asyncio.run(serving.face_programs(settings, asked, siblings))

        def mailer(siblings: Siblings) -> None:
            asked = sockets.only(sockets.mail)
            asyncio.run(serving.send_mail(settings, asked, siblings))

        parts = [
            *(_part("custody", number, custody, form) for number in range(workers)),
            *(_part("worker", number, worker, form) for number in range(workers)),
            _part("enrolment", workers, newcomers, form),  # its number is that of its metrics
        ]
        if settings.status_listen is not None:
            parts.append(_part("status", workers + 1, strangers, form))
        if settings.tells:
            parts.append(_part("mail", workers + 2, mailer, form))
        if settings.rest_listen is not None:
            parts.append(_part("rest", workers + 3, programs, form))
        Supervisor(parts).run(partial(say_ready, settings, form, has_operators=has_operators))


def _prepare(settings: Settings, hold: Hold, form: logs.Form) -> bool:
    """Make or upgrade the keystore, in a process that ends with its keys. Returns whether there are
    operators.
    """

    def prepare(_: Siblings) -> None:
        with open_keystore(settings, hold) as parts:
            serving.make_ready(parts)
            if not parts.has_operators:
                raise click.exceptions.Exit(NO_OPERATORS)

    status = run_once(_part("preparing", 0, prepare, form))
    if status not in (0, NO_OPERATORS):
        raise click.exceptions.Exit(status)
    return status == 0


def _say_why(why: str, form: logs.Form) -> None:
    if form == "json":
        log.error(why)
    else:
        click.echo(f"Error: {why}", err=True)


def _part(kind: str, number: int, work: Callable[[Siblings], None], form: logs.Form) -> Part:
    """A process of the keystore, which says by itself why it fails."""

    def run(siblings: Siblings) -> int:
        logs.configure(logging.INFO, form, **{kind: number})
        try:
            work(siblings)
        except click.exceptions.Exit as ended:
            return ended.exit_code
        except (KeystoreError, OSError) as error:
            why = str(error) if isinstance(error, KeystoreError) else ending.of(error).message
            _say_why(why, form)
            return Failure.exit_code
        return 0

    waits = kind not in ("custody", "preparing")
    return Part(kind, number, run, waits=waits, rank=0 if waits else 1)
