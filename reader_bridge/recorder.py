"""Records a trace of a card while it is used.

A second card of the same image, the shadow, is told everything without the secrets, and the trace
holds the shadow's output. So no secret can reach the file, and the file replays by construction. If
the shadow answers otherwise than the card, the trace says so at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

import structlog

from card_os.apdu import CHAINED, Command, is_secured
from card_os.card import Card
from card_os.keys import Exchange, KeyResult, advance
from card_os.status import SW
from card_os.trace import protected
from card_os.trace.lines import (
    HEADER,
    Abandoned,
    Answered,
    Asked,
    Clock,
    Comment,
    Image,
    Line,
    Pause,
    Power,
    Received,
    Seed,
    Sent,
    write,
)
from card_os.trace.redaction import Redaction

log = structlog.get_logger()

OK = SW.OK.to_bytes(2)

Write: TypeAlias = Callable[[str], object]  # takes a line without its line feed


class Recorder:
    """Writes the trace of one card. Only the thread of the card's slot uses it.

    `card` is the card that is recorded, and `shadow` its copy; the random sources of both started
    with `seed`. `image_sha256` names the image of a PIV card; other cards have none. `monotonic`
    returns seconds.

    The parts of a protected command are held until the last one comes, because they can only be
    unwrapped together.
    """

    def __init__(
        self,
        card: Card,
        shadow: Card,
        image_sha256: bytes | None,
        seed: bytes,
        write_line: Write,
        now: datetime,
        monotonic: Callable[[], float],
    ) -> None:
        self._card = card
        self._shadow = shadow
        self._held: list[bytes] = []  # parts of a protected command
        self._write = write_line
        self._monotonic = monotonic
        self._last = monotonic()
        self._redaction = Redaction(card.secrets)
        self._exchange: Exchange | None = None
        self._word: Asked | Received | None = None  # output of the shadow that is not written yet
        write_line(HEADER)
        time = now.astimezone(UTC).replace(tzinfo=None, microsecond=0).isoformat() + "Z"
        if image_sha256 is not None:
            write_line(write(Image(image_sha256)))
        for line in (Seed(seed), Clock(time)):
            write_line(write(line))

    def power(self, power: Power) -> None:
        """The reader switches or resets the card."""
        self._reset(power)

    def hung_up(self) -> None:
        """The reader has gone while the card waited."""
        self._reset(Abandoned())

    def sent(self, apdu: bytes) -> None:
        """A command has come; the card has not been told yet."""
        if not is_secured(apdu):
            self._drop()
            self._tell(self._redaction.command(apdu))
        elif apdu[0] & CHAINED:
            self._held.append(apdu)
            self._exchange = self._word = None
        else:
            parts, self._held = [*self._held, apdu], []
            own, other = (card.secure_messaging(apdu) for card in (self._card, self._shadow))
            secrets = self._card.secrets(Command.header(apdu))
            redaction = Redaction(lambda _: secrets)
            self._tell_all(protected.renew(parts, own, other, redaction.command))

    def asked(self) -> None:
        """The card asks its key service."""
        if isinstance(self._word, Asked):
            self._say(self._word)
        else:
            self._differs("a question")

    def answered(self, result: KeyResult) -> None:
        """The key service has answered."""
        request = self._word.request if isinstance(self._word, Asked) else None
        redacted = self._redaction.result(result, request)
        self._say(Answered(redacted))
        if request is not None:
            self._advance(redacted)

    def received(self, response: bytes) -> None:
        """The card has answered."""
        if self._held:
            if response != OK:
                self._drop()
            return
        self._redaction.answered(response)
        if isinstance(self._word, Received):
            self._say(self._word)
            if self._shadow.last_error:
                self._write(write(Comment(self._shadow.last_error)))
            if self._word.apdu[-2:] == response[-2:] and len(self._word.apdu) == len(response):
                return
        self._differs(f"{len(response)} bytes and status word {response[-2:].hex()}")

    def _drop(self) -> None:
        """Write the held parts of an incomplete protected command, without their contents."""
        held, self._held = self._held, []
        if held:
            self._tell_all([protected.hide(part) for part in held])
            self._say_word()

    def _tell_all(self, parts: Sequence[bytes]) -> None:
        for number, part in enumerate(parts):
            if number:
                self._say_word()
            self._tell(part)

    def _tell(self, redacted: bytes) -> None:
        self._say(Sent(redacted))
        self._exchange = self._shadow.exchange(redacted)
        self._advance(None)

    def _say_word(self) -> None:
        if self._word is not None:
            self._say(self._word)

    def _advance(self, result: KeyResult | None) -> None:
        if self._exchange is None:
            return
        said = advance(self._exchange, result)
        if isinstance(said, bytes):
            self._exchange = None
            self._word = Received(said)
        else:
            self._word = Asked(said)

    def _reset(self, line: Line) -> None:
        self._drop()
        self._redaction.reset()
        self._say(line)
        self._shadow.reset()
        self._exchange = self._word = None

    def _differs(self, said: str) -> None:
        log.warning("the trace will not replay as it was", said=said)
        self._say(Comment(f"here the card answered otherwise: {said}"))

    def _say(self, line: Line) -> None:
        now = self._monotonic()
        pause, self._last = int((now - self._last) * 1_000_000), now
        if pause:
            self._write(write(Pause(pause)))
        self._write(write(line))
