"""The options that say where the pages for people are."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path

import click

from cloud_keystore.config import Address, Web
from cloud_keystore.model.errors import KeystoreError
from cloudcard_tools.shared.failures import Failure

Command = Callable[..., None]
READ = click.Path(path_type=Path, exists=True, dir_okay=False)


def web_options(command: Command) -> Command:
    """Add the options; pass them to the command as `web`. Raises Failure for what makes no
    sense.
    """

    @click.option(
        "--web",
        "web_listen",
        default="",
        metavar="HOST:PORT",
        help="Address of the pages for people, with the authenticator, such as 127.0.0.1:8080 "
        "(plain HTTP, for this computer or a proxy) or 0.0.0.0:8443 (TLS). Default: none.",
    )
    @click.option(
        "--web-certificate",
        type=READ,
        help="Certificate of the pages and those above it, PEM. Default: one of the keystore's "
        "own, or on 127.0.0.1, none.",
    )
    @click.option("--web-key", type=READ, help="The key of that certificate, PEM.")
    @click.option(
        "--web-cards",
        default="",
        metavar="HOST:PORT",
        help="Address at which browsers are asked for the card of an operator who logs in (mutual "
        "TLS), such as 0.0.0.0:8444. Default: none.",
    )
    @wraps(command)
    def with_web(
        web_listen: str,
        web_certificate: Path | None,
        web_key: Path | None,
        web_cards: str,
        **others: object,
    ) -> None:
        if not web_listen and (web_certificate or web_key or web_cards):
            raise Failure("--web-certificate, --web-key and --web-cards go with --web")
        try:
            cards = Address.parse(web_cards) if web_cards else None
            listen = Address.parse(web_listen) if web_listen else None
            web = None if listen is None else Web(listen, web_certificate, web_key, cards)
        except KeystoreError as error:
            raise Failure(str(error)) from None
        if cards is not None and listen is not None and cards.port == listen.port:
            raise Failure("--web-cards needs another port than --web: browsers are asked there")
        command(web=web, **others)

    return with_web
