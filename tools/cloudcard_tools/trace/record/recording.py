"""Records a card in a slot of the virtual reader."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TextIO

from card_os.card import Card
from card_os.piv import CardImage, new_card
from card_os.piv.secrets import without_secrets
from card_os.trace.replay import SeededRandom
from cloudcard_tools import new_files
from cloudcard_tools.shared.application import CardFactory
from cloudcard_tools.trace.replay import cards
from reader_bridge.recorder import Recorder

SEED_BYTES = 32
COMMAND = b"\n> "  # the beginning of its line


@dataclass(frozen=True, slots=True)
class Recorded:
    """A card, and the recorder that listens to it."""

    card: Card
    recorder: Recorder


@contextmanager
def recorded(image: CardImage, path: Path) -> Iterator[Recorded]:
    """A PIV card that is recorded into a new file. Its image is written beside the file. If the
    block fails before any command, no file stays.

    Raises FileExists, and OSError if the file cannot be made.
    """
    # The second card, whose responses are written, has this image too.
    shown = without_secrets(image)
    with _new(path) as file:
        digest = cards.save(shown, path.parent)
        yield _recording(file, partial(new_card, image), partial(new_card, shown), digest)


@contextmanager
def recorded_application(make: CardFactory, path: Path) -> Iterator[Recorded]:
    """A card of the user's own that is recorded into a new file. Raises what `recorded` raises."""
    with _new(path) as file:
        yield _recording(file, make, make, None)


@contextmanager
def _new(path: Path) -> Iterator[TextIO]:
    with new_files.growing(path) as file:
        try:
            yield file
        except BaseException:
            file.flush()
            if COMMAND not in path.read_bytes():
                path.unlink()
            raise


def _recording(
    file: TextIO, make: CardFactory, make_shadow: CardFactory, digest: bytes | None
) -> Recorded:
    """A card with its recorder. Its random bytes come from a seed in the trace and are therefore
    not secret: record cards for tests only.
    """
    seed = os.urandom(SEED_BYTES)

    def write_line(line: str) -> None:
        file.write(line + "\n")
        file.flush()

    card, shadow = make(SeededRandom(seed)), make_shadow(SeededRandom(seed))
    now = datetime.now(UTC)
    return Recorded(card, Recorder(card, shadow, digest, seed, write_line, now, time.monotonic))
