"""Records programs at a card in the real virtual reader: one session, one trace."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TextIO

from cryptography import x509

from card_os import tlv
from card_os.card import Card
from card_os.keys import KeyRequest, KeyResult, drive
from card_os.piv import CardImage, new_card
from card_os.piv.names import CERTIFICATE_OF_KEY, Algorithm
from card_os.trace.lines import Power, Step, write
from card_os.trace.replay import SeededRandom
from cloudcard_tools.demo.programs import Ended, must, run
from cloudcard_tools.shared import pcsc
from cloudcard_tools.shared.processes import Nursery
from cloudcard_tools.trace.replay import cards
from cloudcard_tools.trace.replay.replaying import SUFFIX
from reader_bridge.local import making
from reader_bridge.local.card import LocalCard as Kept
from reader_bridge.local.keys import LocalKeys
from reader_bridge.local.profiles import PROFILES
from reader_bridge.recorder import Recorder
from reader_bridge.tasks import Cancellation
from recording.secrecy import found, of_cards, of_everybody
from support.authority import Authority
from support.probes import Probe
from support.system_cards import LocalCard, Recorded, certified, in_slot

SLOT = 0
READER = "Virtual PCD 00 00"


@dataclass(frozen=True, slots=True)
class Session:
    """What is done to a new card, and the trace's name below the corpus's folder."""

    name: str
    play: Callable[[Stage], object]
    algorithm: Algorithm = Algorithm.ECC_P256
    profile: str = "plain"


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a session plays: its card is in the reader."""

    card: LocalCard
    authority: Authority
    keys: LocalKeys
    nursery: Nursery
    folder: Path  # for the session's files; empty at its begin
    step: Callable[[str], None]
    """Names what follows in the trace. Never with a passcode in it."""

    def must(self, step: str, *command: str | Path, **environment: str) -> str:
        """Run a program that has to succeed, as a step; what it prints."""
        self.step(step)
        return must([*map(str, command)], **environment)

    def may_fail(self, step: str, *command: str | Path, **environment: str) -> Ended:
        """Run a program as a step, however it ends."""
        self.step(step)
        return run([*map(str, command)], **environment)

    def path(self, name: str, content: bytes = b"") -> Path:
        """A new file of the session."""
        path = self.folder / name
        path.write_bytes(content)
        return path


class Paper:
    """The trace's file; the card's thread and the session's write to it."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._lock = threading.Lock()

    def line(self, text: str) -> None:
        with self._lock:
            self._file.write(text + "\n")

    def step(self, name: str) -> None:
        self.line(write(Step(name)))


class Cards:
    """The cards of a recording: sessions that begin with the same card share its image."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority
        self._make = cache(self._made)

    def take(self, profile: str, algorithm: Algorithm) -> tuple[LocalKeys, list[Kept]]:
        """The keys of a new card, certified by the authority, and a list of all its states."""
        seen = [self._make(profile, algorithm)]
        return LocalKeys(seen[0], os.urandom, seen.append), seen

    def _made(self, profile: str, algorithm: Algorithm) -> Kept:
        made = making.new_card(PROFILES[profile], algorithm, os.urandom, datetime.now(UTC))
        image, _ = certified(made.image(), self._authority)
        return replace(made, objects=image.objects)


@dataclass(frozen=True, slots=True)
class Tape:
    """A card, what records it, and where to."""

    card: Card
    recorder: Recorder
    paper: Paper


class Studio:
    """Records sessions, one after the other, into a folder. Visits need no client of pcscd."""

    def __init__(self, client: pcsc.Client | None, folder: Path, scratch: Path) -> None:
        self._client = client
        self._folder = folder
        self._scratch = scratch
        self._authority = Authority()
        self._cards = Cards(self._authority)

    def record(self, session: Session) -> Path:
        """Play a session with a recorder listening; returns its trace, whose image is beside it.

        Raises what the session raises, and AssertionError where the trace is not fit to be kept.
        """
        assert self._client is not None
        keys, seen = self._cards.take(session.profile, session.algorithm)
        own = self._scratch / session.name
        with self._taped(session.name, keys, seen) as tape, Nursery(own / "logs") as nursery:
            used = Recorded(keys)
            shown = certificates(keys.image)
            card = LocalCard(SLOT, keys.image, session.algorithm, shown, used.used)
            stage = Stage(card, self._authority, keys, nursery, own, tape.paper.step)
            stage.step("the card comes into the reader")
            with in_slot(self._client, tape.card, used, SLOT, tape.recorder):
                session.play(stage)
        return self._folder / f"{session.name}{SUFFIX}"

    def visit(self, name: str, probes: Sequence[Probe]) -> Path:
        """Write the trace of a visit that no program at hand makes: the card is in no reader."""
        keys, seen = self._cards.take("plain", Algorithm.ECC_P256)
        with self._taped(name, keys, seen) as tape:
            tape.recorder.power(Power.RESET)
            for probe in probes:
                tape.paper.step(probe.step)
                answer = _send(tape, keys, probe.apdu)
                while answer[-2] == 0x61:
                    answer = _send(tape, keys, bytes((0, 0xC0, 0, 0, answer[-1])))
                assert tape.card.fault is None, probe.step
        return self._folder / f"{name}{SUFFIX}"

    @contextmanager
    def _taped(self, name: str, keys: LocalKeys, seen: list[Kept]) -> Iterator[Tape]:
        """A card to be recorded; what was recorded is kept if the block ends well."""
        path = self._folder / f"{name}{SUFFIX}"
        draft = self._scratch / f"{name}{SUFFIX}"
        for folder in (path.parent, draft.parent):
            folder.mkdir(parents=True, exist_ok=True)
        with draft.open("w", encoding="ascii", newline="\n") as file:
            yield tape(keys.image, cards.save(keys.image, self._folder), name, Paper(file))
        text = draft.read_text("ascii")
        assert "the card answered otherwise" not in text, f"{name} will not replay"
        leaked = found(text, of_everybody() | of_cards(seen))
        assert not leaked, f"{name} holds {leaked}"
        path.write_text(text, "ascii")


def tape(image: CardImage, digest: bytes, name: str, paper: Paper) -> Tape:
    """A card of this image and what records it. There are no pauses in the trace, and its seed
    comes of its name: what can be the same when it is recorded anew is.
    """
    seed = sha256(name.encode()).digest()
    shadow, card = (new_card(image, SeededRandom(seed)) for _ in range(2))
    return Tape(
        card,
        Recorder(card, shadow, digest, seed, paper.line, datetime.now(UTC), lambda: 0.0),
        paper,
    )


def _send(tape: Tape, keys: LocalKeys, apdu: bytes) -> bytes:
    """What the card says, while it is recorded."""

    def perform(request: KeyRequest) -> KeyResult:
        tape.recorder.asked()
        result = keys.perform(request, Cancellation())
        tape.recorder.answered(result)
        return result

    tape.recorder.sent(apdu)
    response = drive(tape.card.exchange(apdu), perform)
    tape.recorder.received(response)
    return response


def certificates(image: CardImage) -> dict[int, x509.Certificate]:
    """Those of a card, by key."""
    return {
        key_ref: x509.load_der_x509_certificate(dict(tlv.decode(image.objects[tag]))[0x70])
        for key_ref, tag in CERTIFICATE_OF_KEY.items()
        if tag in image.objects
    }
