"""The options that say how the keystore sends e-mail."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path

import click

from cloud_keystore.config import Address, Mail, Security
from cloud_keystore.model.errors import KeystoreError
from cloud_keystore.model.outbox.notifications import REMIND_DAYS
from cloudcard_tools.shared.failures import Failure

Command = Callable[..., None]
READ = click.Path(path_type=Path, exists=True, dir_okay=False)


def mail_options(command: Command) -> Command:
    """Add the options of e-mail; pass them to the command as `mail`, which is None without a
    server. Raises Failure for what makes no sense.
    """

    @click.option(
        "--mail-server",
        default="",
        metavar="HOST:PORT",
        help="SMTP server by which people are told what concerns them. Default: nobody is told.",
    )
    @click.option("--mail-from", default="", metavar="ADDRESS", help="Sender of these e-mails.")
    @click.option(
        "--mail-security",
        type=click.Choice([each.value for each in Security]),
        default=Security.STARTTLS.value,
        show_default=True,
        help="tls: TLS from the first byte, as on port 465; none: only within this computer.",
    )
    @click.option("--mail-user", default="", help="User by which the keystore signs in there.")
    @click.option(
        "--mail-password-file",
        type=READ,
        help="File with that user's password, readable by its owner alone.",
    )
    @click.option(
        "--mail-roots",
        type=READ,
        help="Authorities (PEM) by which the server is known. Default: this computer's.",
    )
    @click.option(
        "--mail-help",
        default="your registration authority",
        show_default=True,
        help='Whom people ask for help, such as "the service desk, 020 7946 0000".',
    )
    @click.option(
        "--mail-feedback-to",
        default="",
        metavar="ADDRESS",
        help="Who is told what staff say with `cloudcard ra feedback add`. Default: nobody.",
    )
    @click.option(
        "--public-url",
        default="",
        metavar="https://…",
        help="Page for holders, to which the link of each e-mail leads.",
    )
    @click.option(
        "--remind-day",
        "remind_days",
        type=int,
        multiple=True,
        default=REMIND_DAYS,
        show_default=True,
        help="Day after an invitation on which whoever has not enrolled is reminded. Repeatable; 0 "
        "for none.",
    )
    @wraps(command)
    def with_mail(
        mail_server: str,
        mail_from: str,
        mail_security: str,
        mail_user: str,
        mail_password_file: Path | None,
        mail_roots: Path | None,
        mail_help: str,
        mail_feedback_to: str,
        public_url: str,
        remind_days: tuple[int, ...],
        **others: object,
    ) -> None:
        try:
            mail = (
                Mail(
                    server=Address.parse(mail_server),
                    sender=mail_from,
                    public_url=public_url,
                    help=mail_help,
                    security=Security(mail_security),
                    user=mail_user,
                    password_file=mail_password_file,
                    roots=mail_roots,
                    feedback_to=mail_feedback_to,
                    remind_days=tuple(sorted({*remind_days} - {0})),
                )
                if mail_server
                else None
            )
        except KeystoreError as error:
            raise Failure(str(error)) from None
        command(mail=mail, **others)

    return with_mail
