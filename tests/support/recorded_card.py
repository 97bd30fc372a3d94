"""A card driven as a slot drives it, with a recorder listening."""

from __future__ import annotations

from datetime import UTC, datetime

from card_os import piv
from card_os.card import Card
from card_os.keys import KeyRequest, KeyResult, KeyService, drive
from card_os.piv import CardImage
from card_os.trace.lines import Power, read_all
from card_os.trace.replay import Replay, SeededRandom
from reader_bridge.recorder import Recorder
from support.fakes import DEVELOPER, RSA_KEYS, DrivenCard, sample_image

SEED = b"\x05" * 16
NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
DIGEST = b"\x07" * 32


class Ticks:
    """Ten microseconds from one look to the next."""

    def __init__(self) -> None:
        self.ticks = 0

    def __call__(self) -> float:
        self.ticks += 1
        return self.ticks * 1e-5


def transmit(card: Card, keys: KeyService, recorder: Recorder, apdu: bytes) -> bytes:
    """The card's response, with the recorder listening."""

    def perform(request: KeyRequest) -> KeyResult:
        recorder.asked()
        result = keys.perform(request)
        recorder.answered(result)
        return result

    recorder.sent(apdu)
    response = drive(card.exchange(apdu), perform)
    recorder.received(response)
    return response


class RecordedCard(DrivenCard):
    """A card driven as a slot drives it, with a recorder listening."""

    def __init__(
        self,
        keys: KeyService,
        image: CardImage | None = None,
        *,
        rsa: bool = False,
        developer: bool = False,
    ) -> None:
        image = image or (
            sample_image(RSA_KEYS, DEVELOPER)
            if rsa
            else sample_image(features=DEVELOPER if developer else None)
        )
        super().__init__(piv.new_card(image, SeededRandom(SEED)), keys)
        self.image = image
        self.lines: list[str] = []
        shadow = piv.new_card(image, SeededRandom(SEED))
        self.recorder = Recorder(self.card, shadow, DIGEST, SEED, self.lines.append, NOW, Ticks())

    def transmit(self, apdu: bytes) -> bytes:
        return transmit(self.card, self.keys, self.recorder, apdu)

    def reset(self) -> None:
        self.card.reset()
        self.recorder.power(Power.RESET)

    def replays(self) -> bool:
        random = SeededRandom()
        card: Card = piv.new_card(self.image, random)
        return list(Replay(card, random).run(read_all(self.lines))) == []

    def text(self) -> str:
        return "\n".join(self.lines)
