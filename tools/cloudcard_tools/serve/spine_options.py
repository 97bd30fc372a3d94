"""The options that say which session broker is asked whose tickets are."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

import click

from cloud_keystore.model.errors import KeystoreError
from cloud_keystore.model.spine.terms import SpineTerms
from cloudcard_tools.shared.failures import Failure

Command = Callable[..., None]
READ = click.Path(exists=True, dir_okay=False, resolve_path=True)


def spine_options(command: Command) -> Command:
    """Add the options; pass them to the command as `spine`, which is None without a broker. Raises
    Failure for what makes no sense.
    """

    @click.option(
        "--spine",
        "spine_url",
        default="",
        metavar="URL",
        help="Session broker that is asked whose the tickets are which workstations bring (https). "
        "Default: none is asked.",
    )
    @click.option(
        "--spine-roots",
        type=READ,
        help="Authorities (PEM) by which the broker is known. Default: this computer's.",
    )
    @click.option(
        "--spine-certificate",
        type=READ,
        help="The keystore's certificate there (PEM).",
    )
    @click.option(
        "--spine-key",
        type=READ,
        help="Its private key (PEM, without a password), readable by its owner alone.",
    )
    @click.option(
        "--spine-simulated",
        type=READ,
        help="Instead of --spine: tickets that count, a JSON object, for development alone.",
    )
    @wraps(command)
    def with_spine(
        spine_url: str,
        spine_roots: str | None,
        spine_certificate: str | None,
        spine_key: str | None,
        spine_simulated: str | None,
        **others: object,
    ) -> None:
        files = (spine_roots, spine_certificate, spine_key, spine_simulated)
        given = (spine_url, *(each or "" for each in files))
        try:
            terms = SpineTerms(*given) if any(given) else None
        except KeystoreError as error:
            raise Failure(str(error)) from None
        command(spine=terms, **others)

    return with_spine
