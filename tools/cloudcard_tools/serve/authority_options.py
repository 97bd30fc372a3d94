"""The option that says which authorities outside of the keystore it may call."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

import click

from cloud_keystore.config import Address
from cloud_keystore.model.errors import KeystoreError
from cloud_keystore.model.pki.est import HTTPS_PORT
from cloudcard_tools.shared.failures import Failure

Command = Callable[..., None]


def authority_options(command: Command) -> Command:
    """Add the option; pass it to the command as `ca_hosts`. Raises Failure for what is no host."""

    @click.option(
        "--ca-host",
        "ca_hosts",
        multiple=True,
        metavar="HOST[:PORT]",
        help="Host of an authority outside of the keystore, whose EST server operators can name. "
        f"Repeatable; by default port {HTTPS_PORT}. Default: the keystore calls none.",
    )
    @wraps(command)
    def with_authorities(ca_hosts: tuple[str, ...], **others: object) -> None:
        try:
            addresses = tuple(map(_address, ca_hosts))
        except KeystoreError as error:
            raise Failure(str(error)) from None
        command(ca_hosts=addresses, **others)

    return with_authorities


def _address(text: str) -> Address:
    has_port = ":" in text.rpartition("]")[2]
    return Address.parse_public(text if has_port else f"{text}:{HTTPS_PORT}")
