"""Records a card that is in a reader's slot."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from card_os.card import Card
from card_os.piv import CardImage, new_card
from card_os.trace import redaction
from card_os.trace.replay import SeededRandom
from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.trace.replay import cards
from reader_bridge.recorder import Recorder

SEED_BYTES = 32


@dataclass(frozen=True, slots=True)
class Recorded:
    """A card, and the recorder that listens to it."""

    card: Card
    recorder: Recorder


@contextmanager
def recorded(image: CardImage, path: Path) -> Iterator[Recorded]:
    """A card of this image which is recorded into a new file; the image is written beside it.

    Its random bytes come from a seed in the trace: whoever reads that knows them, so a card is
    recorded for tests and not in use. Raises Failure where the file cannot be made.
    """
    try:
        file = path.open("x", encoding="ascii", newline="\n")
        shown = redaction.image(image)  # of the second card too, which says what is written
        digest = cards.save(shown, path.parent)
    except FileExistsError:
        raise Failure(f"{path} is there already: name another file, or remove it") from None
    except OSError as error:
        raise Failure(f"{path} cannot be written: {error.strerror}") from None
    seed = os.urandom(SEED_BYTES)
    with file:

        def write_line(line: str) -> None:
            file.write(line + "\n")
            file.flush()

        card = new_card(image, SeededRandom(seed))
        recorder = Recorder(
            card,
            new_card(shown, SeededRandom(seed)),
            digest,
            seed,
            write_line,
            datetime.now(UTC),
            time.monotonic,
        )
        yield Recorded(card, recorder)
