"""The options that name sealing keys and a PKCS #11 token, the same for all commands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path

import click

from cloud_keystore.config import Settings, Token
from cloud_keystore.custody.sealing.sealing_keys import FILE, Source
from cloud_keystore.model.errors import KeystoreError
from cloudcard_tools import paths
from cloudcard_tools.shared.failures import Failure

Command = Callable[..., None]
IN_USE = "A sealing key that is in use, repeatable. Default: sealing.key in the data folder."


def _token_options(command: Command) -> Command:
    """Add --hsm-module, --hsm-token and --hsm-pin-file."""
    for option in (
        click.option(
            "--hsm-pin-file",
            type=paths.FILE,
            help="File with the token's PIN, readable by its owner alone.",
        ),
        click.option("--hsm-token", default="", help="Label of the token."),
        click.option(
            "--hsm-module",
            type=paths.FILE,
            help="PKCS #11 library of a token that holds keys.",
        ),
    ):
        command = option(command)
    return command


def _token_of(module: Path | None, label: str, pin_file: Path | None) -> Token | None:
    """The token that was named, if any. Raises click.UsageError if some of the options are
    missing.
    """
    if module is None and not label and pin_file is None:
        return None
    if module is None or not label or pin_file is None:
        raise click.UsageError("--hsm-module, --hsm-token and --hsm-pin-file go together")
    return Token(module, label, pin_file)


@dataclass(frozen=True, slots=True)
class SealingKeys:
    """The sealing keys that a command was given, and the token that some of them are in."""

    named: tuple[str, ...]
    token: Token | None

    def sources(self, place: Settings) -> list[Source]:
        """The keys that were named, else the one in the data folder. Raises Failure if there is
        none.
        """
        try:
            sources = [Source.parse(each, self.token) for each in self.named]
        except KeystoreError as error:
            raise Failure(str(error)) from None
        if not sources and not place.sealing_key.exists():
            raise Failure(
                f"{place.sealing_key} is missing: name the sealing key in use with --sealing-key"
            )
        return sources or [Source(FILE, str(place.sealing_key))]


def sealing_options(
    meaning: str = IN_USE, *, required: bool = False
) -> Callable[[Command], Command]:
    """Add --sealing-key, which can be repeated, and those of a token; pass them to the command as
    `sealing`.
    """

    def adding(command: Command) -> Command:
        @click.option(
            "--sealing-key",
            "named",
            multiple=True,
            required=required,
            metavar="SOURCE",
            help=meaning,
        )
        @_token_options
        @wraps(command)
        def with_keys(
            named: tuple[str, ...],
            hsm_module: Path | None,
            hsm_token: str,
            hsm_pin_file: Path | None,
            **others: object,
        ) -> None:
            token = _token_of(hsm_module, hsm_token, hsm_pin_file)
            command(sealing=SealingKeys(named, token), **others)

        return with_keys

    return adding
