"""The card of `cloudcard reader --local`: its options, and the file that keeps it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias, TypeVar

import click

from card_os.piv.names import RETIRED, Algorithm, KeyRef
from card_os.piv.sizes import FACTORY_MANAGEMENT_KEY
from cloudcard_tools import paths
from cloudcard_tools.shared.failures import Failure
from private_files.rules import FileRefused
from reader_bridge.local import encoding
from reader_bridge.local.card import FACTORY_PASSCODES, LocalCard
from reader_bridge.local.file_store import FileStore
from reader_bridge.local.keys import LocalKeys
from reader_bridge.local.making import MADE_KEYS, new_card
from reader_bridge.local.profiles import PROFILES

FC = TypeVar("FC", bound=Callable[..., None])
Tell: TypeAlias = Callable[[str], None]

ALGORITHMS = {
    "rsa2048": Algorithm.RSA_2048,
    "rsa3072": Algorithm.RSA_3072,
    "rsa4096": Algorithm.RSA_4096,
    "p256": Algorithm.ECC_P256,
    "p384": Algorithm.ECC_P384,
    "25519": Algorithm.ED25519,
}
PASSCODE_NAMES = {KeyRef.PIN: "PIN", KeyRef.PUK: "PUK", KeyRef.GLOBAL_PIN: "global PIN"}


def unheard(_text: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The local card that the options ask for. None means that an option was not given."""

    profile: str | None = None
    algorithm: str | None = None
    retired: int | None = None
    state: Path | None = None  # None: the card is not kept

    def make(self, tell: Tell = unheard) -> LocalCard:
        """Make a new card, after telling so if it takes long."""
        profile, algorithm = PROFILES[self.profile or "plain"], self.algorithm or "rsa2048"
        if profile.keys and algorithm.startswith("rsa"):
            count = len(MADE_KEYS) + (self.retired or 0)
            tell(f"Making {count} keys of RSA-{algorithm.removeprefix('rsa')} for a local card.")
        return new_card(
            profile,
            ALGORITHMS[algorithm],
            os.urandom,
            datetime.now(UTC),
            self.retired or 0,
        )


def options(command: FC) -> FC:
    """Add `--local` and the options that go with it."""
    for option in reversed(
        (
            click.option("--local", is_flag=True, help="Insert a card with keys on this computer."),
            click.option(
                "--profile",
                type=click.Choice(list(PROFILES)),
                help="What the local card can do.  [default: plain]",
            ),
            click.option(
                "--algorithm",
                type=click.Choice(list(ALGORITHMS)),
                help="Algorithm of the local card's keys.  [default: rsa2048]",
            ),
            click.option(
                "--retired",
                type=click.IntRange(0, len(RETIRED)),
                metavar="COUNT",
                help="How many retired keys the local card has.  [default: 0]",
            ),
            click.option(
                "--state",
                type=paths.FILE,
                metavar="FILE",
                help="Keep the local card in this file, which is made if it is missing.",
            ),
        )
    ):
        command = option(command)
    return command


@contextmanager
def opened(wanted: Wanted, tell: Tell = unheard) -> Iterator[LocalKeys]:
    """The keys of the card, for the time of the block. Raises Failure if its file cannot be
    used. `tell` is told what takes long.
    """
    if wanted.state is None:
        yield LocalKeys(wanted.make(tell), os.urandom)
        return
    try:
        store = FileStore.take(wanted.state)
    except FileRefused as refused:
        raise Failure(str(refused)) from None
    with store:
        card = _load(store, wanted, tell)
        yield LocalKeys(card, os.urandom, lambda state: store.save(encoding.encode(state)))


def description(keys: LocalKeys) -> str:
    """A card in words, for people. Secrets are shown only if they are the well-known factory
    values.
    """
    card = keys.card
    passcodes = ", ".join(
        f"{name} {FACTORY_PASSCODES[key_ref].decode()}"
        for key_ref, name in PASSCODE_NAMES.items()
        if key_ref in card.passcodes and card.passcodes[key_ref].value == FACTORY_PASSCODES[key_ref]
    )
    lines = [f"A local card: {card.profile.title}.", f"{passcodes or 'PIN and PUK are changed'}."]
    if card.has_factory_management_key:
        lines.append(f"Management key {FACTORY_MANAGEMENT_KEY.hex()}.")
    return " ".join(lines)


def _load(store: FileStore, wanted: Wanted, tell: Tell) -> LocalCard:
    """The card in the file; a new card is stored there. Raises Failure if the file cannot be used,
    and leaves it unchanged.
    """
    try:
        data = store.load()
        if data is None:
            card = wanted.make(tell)
            store.save(encoding.encode(card))
            return card
        card = encoding.decode(data)
    except FileRefused as refused:
        raise Failure(str(refused)) from None
    except OSError as error:
        raise Failure(f"{store.path} cannot be used: {error.strerror}") from None
    except encoding.TooNew as error:
        raise Failure(
            f"{store.path} was written by a newer cloudcard ({error}): use that one"
        ) from None
    except encoding.Damaged as error:
        raise Failure(
            f"{store.path} is damaged: {error}. It was left as it is: restore it from a copy, or "
            "move it away to begin with a new card"
        ) from None
    if wanted.algorithm is not None or wanted.retired is not None:
        raise Failure(f"{store.path} holds a card already: leave out --algorithm and --retired")
    if wanted.profile not in (None, card.profile.name):
        raise Failure(
            f"{store.path} holds a card of profile {card.profile.name}: leave out --profile, or "
            "choose another file"
        )
    return card
