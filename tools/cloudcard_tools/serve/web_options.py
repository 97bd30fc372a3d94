"""The options that say where the pages for people are."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path

import click

from cloud_keystore.config import Address, Web
from cloud_keystore.model.errors import KeystoreError
from cloud_keystore.model.rights.oidc import OidcTerms
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
    @click.option(
        "--web-oidc-issuer",
        default="",
        metavar="URL",
        help="The OpenID provider by which operators can log in to the pages, such as "
        "https://login.example.org. Default: none.",
    )
    @click.option(
        "--web-oidc-client-id", default="", metavar="ID", help="As whom it knows the keystore."
    )
    @click.option(
        "--web-oidc-secret-file",
        type=READ,
        help="File with the keystore's secret there, readable by its owner alone.",
    )
    @click.option(
        "--web-oidc-roots",
        type=READ,
        help="Certificates by which the provider is known, PEM. Default: those of this computer.",
    )
    @wraps(command)
    def with_web(
        web_listen: str,
        web_certificate: Path | None,
        web_key: Path | None,
        web_cards: str,
        web_oidc_issuer: str,
        web_oidc_client_id: str,
        web_oidc_secret_file: Path | None,
        web_oidc_roots: Path | None,
        **others: object,
    ) -> None:
        if not web_listen and (web_certificate or web_key or web_cards):
            raise Failure("--web-certificate, --web-key and --web-cards go with --web")
        provider = web_oidc_issuer, web_oidc_client_id, web_oidc_secret_file
        if any(provider) and not (all(provider) and web_listen):
            raise Failure(
                "--web-oidc-issuer, --web-oidc-client-id and --web-oidc-secret-file go together, "
                "and with --web"
            )
        if web_oidc_roots and not web_oidc_issuer:
            raise Failure("--web-oidc-roots goes with --web-oidc-issuer")
        try:
            cards = Address.parse(web_cards) if web_cards else None
            listen = Address.parse(web_listen) if web_listen else None
            roots = "" if web_oidc_roots is None else str(web_oidc_roots.resolve())
            at = web_oidc_issuer, web_oidc_client_id, str(web_oidc_secret_file), roots
            oidc = OidcTerms(*at) if web_oidc_issuer else None
            web = None if listen is None else Web(listen, web_certificate, web_key, cards, oidc)
        except KeystoreError as error:
            raise Failure(str(error)) from None
        if cards is not None and listen is not None and cards.port == listen.port:
            raise Failure("--web-cards needs another port than --web: browsers are asked there")
        command(web=web, **others)

    return with_web
