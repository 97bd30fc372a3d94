"""`cloudcard fixture`: what tests and traces begin with, made from a seed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click

from card_os import piv
from card_os.keys import TriesLeft
from card_os.piv.image import CardImage
from card_os.piv.names import AID, CERTIFICATE_OF_KEY, RETIRED, KeyRef
from card_os.trace.lines import HEADER, Answered, Comment, Image, Line, Seed, Sent, Step, write
from card_os.trace.replay import SeededRandom, retell
from cloudcard_tools.failure import Failure
from cloudcard_tools.local_card import ALGORITHMS
from cloudcard_tools.trace import cards
from reader_bridge.local.card import MOST_TRIES, TRIES, LocalCard
from reader_bridge.local.derived_keys import derive
from reader_bridge.local.making import new_card
from reader_bridge.local.profiles import PROFILES

MADE = datetime(2026, 1, 1, tzinfo=UTC)  # a card of a seed is as old in every year
LEAST_SEED, MOST_SEED = 1, 64  # bytes
SELECT = bytes([0x00, 0xA4, 0x04, 0x00, len(AID), *AID, 0x00])
STATUS = bytes([0x00, 0x20, 0x00, KeyRef.PIN])


@dataclass(frozen=True, slots=True)
class Recipe:
    """Which local card stands for a profile."""

    profile: str
    algorithm: str = "p256"
    without: frozenset[int] = frozenset()  # keys


RECIPES: Mapping[str, Recipe] = {
    "v1": Recipe("plain", "rsa2048", frozenset({int(KeyRef.SIGNATURE)})),
    "v2": Recipe("plain", "rsa2048"),
    **{name: Recipe(name) for name in PROFILES},
}


@click.group(
    epilog="""\b
Examples:
  cloudcard fixture card --profile v2 --locked -o tests/traces
  cloudcard fixture card --profile developer --tries 1 --seed 0badcafe -o tests/traces
"""
)
def fixture() -> None:
    """Make a card for traces, from a seed."""


@fixture.command("card")
@click.option("--profile", type=click.Choice(list(RECIPES)), default="v2", show_default=True)
@click.option("--algorithm", type=click.Choice(list(ALGORITHMS)), help="Of the card's keys.")
@click.option("--retired", type=click.IntRange(0, len(RETIRED)), default=0, help="Retired keys.")
@click.option("--tries", type=click.IntRange(0, MOST_TRIES), help="Tries left of the PIN.")
@click.option("--locked", is_flag=True, help="No try of the PIN is left.")
@click.option("--seed", default="00", show_default=True, help="Hexadecimal: 1 to 64 bytes.")
@click.option(
    "-o",
    "--output",
    "folder",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of traces: gets the image in `cards`, and a trace to go on from.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def card_command(
    profile: str,
    algorithm: str | None,
    retired: int,
    tries: int | None,
    locked: bool,
    seed: str,
    folder: Path,
    as_json: bool,
) -> None:
    """Make a card's image for traces, and a trace that names it.

    The same options make the same bytes, keys and certificates too: they follow from the seed, and
    are no secret. How many tries are left is not in the image: it is what the trace answers.
    """
    if locked and tries:
        raise click.UsageError("a card with --locked has no --tries left")
    left = 0 if locked else TRIES if tries is None else tries
    value = _seed(seed)
    image = make(RECIPES[profile], algorithm, retired, value).image()
    path = folder / f"{profile}-{'locked' if left == 0 else f'{left}-tries'}.trace"
    if path.exists():
        raise Failure(f"{path} is there already: move it away, or choose another folder")
    try:
        digest = cards.save(image, folder)
        text = "".join(f"{write(line)}\n" for line in skeleton(image, digest, value, left))
        path.write_text(f"{HEADER}\n{text}", encoding="ascii", newline="\n")
    except OSError as error:
        raise Failure(f"{folder} cannot be written to: {error.strerror}") from None
    if as_json:
        click.echo(json.dumps({"trace": str(path), "card": digest.hex(), "tries": left}, indent=2))
    else:
        click.echo(f"{path}, of card {digest.hex()}")


def make(recipe: Recipe, algorithm: str | None, retired: int, seed: bytes) -> LocalCard:
    """The card of a recipe and a seed: always the same."""
    random = SeededRandom(b"card " + seed)
    made = new_card(
        PROFILES[recipe.profile],
        ALGORITHMS[algorithm or recipe.algorithm],
        random,
        MADE,
        retired,
        partial(derive, random=random),
    )
    for key_ref in sorted(recipe.without):
        made = made.with_key(key_ref, None).with_object(CERTIFICATE_OF_KEY[key_ref], b"")
    return made


def skeleton(image: CardImage, digest: bytes, seed: bytes, tries: int) -> Iterator[Line]:
    """A trace that selects the application and asks how many tries the PIN has left."""
    random = SeededRandom()
    asked: tuple[Line, ...] = (
        Comment("add commands and key results, then: cloudcard trace replay --bless"),
        Seed(seed),
        Step("select"),
        Sent(SELECT),
        Step("tries left"),
        Sent(STATUS),
        Answered(TriesLeft(tries, max(TRIES, tries), False)),
    )
    yield Image(digest)
    yield from retell(piv.new_card(image, random), random, enumerate(asked, 3))


def _seed(text: str) -> bytes:
    try:
        seed = bytes.fromhex(text)
    except ValueError:
        seed = b""
    if not LEAST_SEED <= len(seed) <= MOST_SEED:
        raise click.BadParameter(
            f"a seed has {LEAST_SEED} to {MOST_SEED} bytes, in hexadecimal", param_hint="--seed"
        )
    return seed
