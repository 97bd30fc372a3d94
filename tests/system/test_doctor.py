"""The doctor at a real pcscd with our driver, cards, and OpenSC."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from card_os.piv import new_card
from cloudcard_tools.bench import own_pcscd
from cloudcard_tools.doctor import asking, daemon, driver, opensc
from cloudcard_tools.doctor.checks import Level
from cloudcard_tools.doctor.places import Places
from cloudcard_tools.shared import pcscd
from reader_bridge.carriers import handler_socket
from reader_bridge.carriers.carrier import SlotState
from reader_bridge.carriers.handler_socket import HandlerSocket
from reader_bridge.slot import Slot
from support import local_world
from support.ifd_handler import build
from support.own_pcscd import name
from support.polling import until

SLOTS = 6
SECONDS = 60.0


@dataclass(frozen=True)
class Computer:
    """A pcscd with readers of ours, and where the doctor finds it."""

    own: own_pcscd.OwnPcscd
    places: Places
    library: Path

    def configure(self, slots: int) -> None:
        """Name so many readers in the configuration, whatever pcscd has read before."""
        text = "".join(own_pcscd.slot(self.own.folder, self.library, n) for n in range(slots))
        (self.places.readers / "readers").write_text(text)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("ifd"))


@pytest.fixture(params=[SLOTS])
def computer(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    library: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Computer]:
    folder = tmp_path / "run"
    folder.mkdir()
    folder.chmod(0o755)
    readers = "".join(own_pcscd.slot(folder, library, n) for n in range(request.param))
    with own_pcscd.running(folder, readers, tmp_path / "pcscd.log") as own:
        places = Places(
            pcscd=folder / "pcscd.comm",
            readers=tmp_path / "reader.conf.d",
            handler=own.handler_socket,
        )
        monkeypatch.setenv(pcscd.SOCKET_VARIABLE, str(places.pcscd))
        monkeypatch.setattr(asking, "SECONDS", SECONDS)
        monkeypatch.setattr(handler_socket, "WELCOME_SECONDS", SECONDS)
        yield Computer(own, places, library)


def test_all_is_well_and_what_is_hidden_is_told(computer: Computer) -> None:
    places = computer.places
    assert Places().pcscd == places.pcscd  # as applications find it
    assert daemon.running(places).level is Level.OK
    assert driver.installed(places).level is Level.OK
    assert driver.answering(places).level is Level.OK
    assert daemon.sandbox(places).level is Level.OK
    answer = asking.ask("readers")
    assert daemon.access(answer).cause == f"this user is let in, and sees {SLOTS} readers"
    found = daemon.readers(places, answer)
    assert (found.level, f"{name(4)}: empty" in found.cause) == (Level.OK, True)
    hidden = shown(places)
    assert (hidden.level, name(4) in hidden.cause) == (Level.WARNING, True)
    keys = local_world.keys()
    said: list[SlotState] = []
    carrier = HandlerSocket(places.handler, 4)
    slot = Slot(carrier, new_card(keys.image, os.urandom), keys, said.append)
    slot.start()
    try:
        until(lambda: SlotState.INSERTED in said, SECONDS)
        until(lambda: f"{name(4)}: card" in daemon.readers(places, asking.ask("readers")).cause, 60)
        finding = shown(places)
    finally:
        slot.stop()
    assert (finding.level, finding.cause) == (
        Level.FAILED,
        f"it does not show a card that is in: {name(4)}",
    )
    computer.configure(SLOTS + 1)
    lost = daemon.readers(places, asking.ask("readers"))
    assert (lost.level, lost.cause) == (Level.FAILED, f"pcscd does not show Cloudcard {SLOTS}")


@pytest.mark.parametrize("computer", [daemon.MOST_READERS], indirect=True)
def test_a_list_of_readers_that_is_full(computer: Computer) -> None:
    answer = asking.ask("readers")
    found = daemon.readers(computer.places, answer)
    assert (found.level, "is all that pcscd" in found.cause) == (Level.WARNING, True)
    computer.configure(daemon.MOST_READERS + 1)
    found = daemon.readers(computer.places, answer)
    assert (found.level, "has no room for Cloudcard 16" in found.cause) == (Level.FAILED, True)


def shown(places: Places) -> opensc.Finding:
    module = places.module()
    return opensc.shown(
        places, lambda: asking.ask("readers"), lambda: asking.ask("slots", str(module))
    )
