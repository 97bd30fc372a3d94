"""The prompts on a real screen: what is seen, what screen readers know, and what keys do."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest

from cloudcard_tools.shared.processes import Child, Nursery
from reader_bridge.prompt_program import texts
from reader_bridge.prompter import Outcome
from reader_bridge.prompts import choosing
from reader_bridge.prompts.json_lines import Line, decided, drawn
from support.desktop import NOTICING, SYSTEM_PYTHON, Desktop, opened
from support.polling import until
from support.prompts import BOTH, PUSHED, QR, SCANNED, prompt

SECONDS = 60.0
NUMBER = "Number forty-two: four two"
DARKEST = 80  # of 255: the ground of a dark window is below
# The screen has 1024x768 pixels at 200 % too.
LOOKS = [
    ("gtk", {"GTK_THEME": "Adwaita"}),
    ("gtk", {"GTK_THEME": "Adwaita:dark", "GDK_SCALE": "2"}),
    ("gtk", {"GTK_THEME": "HighContrast"}),
    ("tk", {}),
    ("tk", {"GTK_THEME": "Adwaita:dark"}),
]


class Window:
    """A prompt's program, and the desktop on which it shows a window."""

    def __init__(self, child: Child, desktop: Desktop) -> None:
        self.child = child
        self.desktop = desktop
        self.tell({"event": "begin", "version": 1})
        child.wait_for_json(event="ready", timeout=SECONDS)

    def tell(self, line: Line) -> None:
        self.child.send(json.dumps(line))

    def cancelled(self) -> str:
        return str(self.child.wait_for_json(event="cancel", timeout=SECONDS)["operation"])

    def gone(self) -> bool:
        return self.desktop.is_empty()


@pytest.fixture
def nursery(tmp_path: Path) -> Iterator[Nursery]:
    with Nursery(tmp_path / "logs") as nursery:
        yield nursery


@pytest.fixture
def desktop(nursery: Nursery, tmp_path: Path) -> Iterator[Desktop]:
    with opened(nursery, tmp_path) as desktop:
        yield desktop


def start(nursery: Nursery, desktop: Desktop, kind: str, **environment: str) -> Window:
    command = choosing.own(kind).command
    child = nursery.start("prompt", *command, **{**desktop.environment, **environment})
    return Window(child, desktop)


def test_screen_readers_know_the_number_the_codes_and_the_buttons(
    nursery: Nursery, desktop: Desktop
) -> None:
    window = start(nursery, desktop, "gtk")
    window.tell(drawn(BOTH))
    assert desktop.wait_for(NUMBER).role == "label"
    seen = {each.name: each for each in desktop.seen()}
    assert seen[texts.TITLE].role == "alert"
    assert seen[texts.QR_NAME].role == "icon"
    assert {
        "For: Sign with the authentication key (9A)",
        "Program: pkcs11-tool",
        "Asked at: WARD7-PC3",
        "Card: 1000",
        "Check code: seven M Y H, five seven P F",
    } <= set(seen)
    assert any(name.endswith("left") and "minute" in name for name in seen)
    button = seen[texts.CANCEL]
    assert button.role in ("push button", "button")  # before at-spi 2.53, and since
    assert button.actions[0] == "click"
    assert button.description == texts.CANCEL_HINT

    desktop.press(texts.CANCEL)
    assert window.cancelled() == "id"
    window.tell(decided("id", Outcome.CANCELLED))
    until(window.gone, SECONDS)
    assert desktop.named(NUMBER) is None


def test_several_are_shown_one_after_the_other(nursery: Nursery, desktop: Desktop) -> None:
    window = start(nursery, desktop, "gtk")
    window.tell(drawn(BOTH))
    window.tell(drawn(prompt("second", number="17")))
    desktop.wait_for("1 of 2")
    desktop.press(texts.NEXT)
    desktop.wait_for("Number seventeen: one seven")
    desktop.press(texts.CANCEL)
    assert window.cancelled() == "second"
    window.tell(decided("second", Outcome.CANCELLED))
    desktop.wait_for(NUMBER)
    assert desktop.named(texts.NEXT) is None
    window.tell(decided("id", Outcome.EXPIRED))
    desktop.wait_for(texts.OUTCOMES["expired"])
    desktop.press(texts.CLOSE)
    until(window.gone, SECONDS)


def test_no_key_approves_or_cancels_by_itself(nursery: Nursery, desktop: Desktop) -> None:
    """As they may be meant for another window."""
    window = start(nursery, desktop, "gtk")
    window.tell(drawn(BOTH))
    desktop.wait_for(NUMBER)
    for key in ("Return", "space", "4", "Escape"):
        desktop.key(key)
    desktop.wait_for(texts.KEEP)
    assert desktop.named(texts.WITHDRAW) is not None
    desktop.key("Return")  # the question has the focus on the harmless answer
    until(lambda: desktop.named(texts.WITHDRAW) is None, SECONDS)
    desktop.key("Escape")
    desktop.wait_for(texts.WITHDRAW)
    assert window.child.unread() == []
    desktop.press(texts.WITHDRAW)
    assert window.cancelled() == "id"


@pytest.mark.parametrize(("kind", "look"), LOOKS)
def test_the_code_is_scanned_from_the_screen(
    nursery: Nursery, desktop: Desktop, kind: str, look: dict[str, str]
) -> None:
    window = start(nursery, desktop, kind, **look)
    window.tell(drawn(replace(SCANNED, number="42", card_serial="1008397352954472")))
    until(lambda: desktop.scan() == [QR], SECONDS)
    picture = desktop.picture()
    box = picture.getbbox()
    assert box is not None
    left, top, right, bottom = box
    # All of it is on the screen, in the middle.
    assert 0 < left < right < picture.width
    assert 0 < top < bottom < picture.height
    assert abs(left - (picture.width - right)) <= 4
    window.tell(decided("id", Outcome.APPROVED))
    until(window.gone, SECONDS)


@pytest.mark.parametrize(
    ("kind", "look"),
    [
        ("gtk", {"GTK_THEME": "Adwaita:dark"}),
        ("tk", {"GTK_THEME": "Adwaita:dark"}),
        ("tk", {"GTK_THEME": "", "PATH": "SAYS"}),
    ],
)
def test_a_window_is_dark_where_the_desktop_is(
    nursery: Nursery, desktop: Desktop, kind: str, look: dict[str, str], tmp_path: Path
) -> None:
    """But for the code, which is dark on light for scanners; without one here."""
    says = tmp_path / "gsettings"
    says.write_text("#!/bin/sh\necho \"'prefer-dark'\"\n")
    says.chmod(0o700)
    path = {name: f"{tmp_path}:{os.environ['PATH']}" for name in look if name == "PATH"}
    window = start(nursery, desktop, kind, **{**look, **path})
    window.tell(drawn(PUSHED))
    until(lambda: not desktop.is_empty(), SECONDS)

    def is_dark() -> bool:
        grey = desktop.picture().convert("L")
        box = grey.getbbox()
        return box is not None and median(grey.crop(box).tobytes()) < DARKEST

    until(is_dark, SECONDS)


@pytest.mark.parametrize("kind", ["gtk", "tk"])
def test_a_dead_agent_leaves_no_window(nursery: Nursery, desktop: Desktop, kind: str) -> None:
    window = start(nursery, desktop, kind)
    window.tell(drawn(BOTH))
    until(lambda: desktop.scan() == [QR], SECONDS)
    window.child.close_input()
    assert window.child.wait(SECONDS) == 0
    until(window.gone, SECONDS)


@pytest.mark.parametrize("kind", ["gtk", "tk"])
def test_malformed_lines_are_refused_and_close_nothing(
    nursery: Nursery, desktop: Desktop, kind: str
) -> None:
    window = start(nursery, desktop, kind)
    for line in ("no JSON", "[]", '{"event": "approval"}', "x" * 200_000):
        window.child.send(line)
        window.child.wait_for_json(event="refused", timeout=SECONDS)
    window.tell(drawn(BOTH))
    until(lambda: desktop.scan() == [QR], SECONDS)


@pytest.mark.parametrize("kind", ["gtk", "tk", "notify"])
def test_without_a_screen_or_a_bus_it_says_so_and_ends(nursery: Nursery, kind: str) -> None:
    nowhere = {"DISPLAY": "", "WAYLAND_DISPLAY": "", "DBUS_SESSION_BUS_ADDRESS": "unix:path=/none"}
    child = nursery.start("prompt", *choosing.own(kind).command, **nowhere)
    failed = child.wait_for_json(event="failed", timeout=SECONDS)
    assert failed["text"]
    assert child.wait(SECONDS) == 1


def test_a_notification_says_the_number_and_cancels(nursery: Nursery, desktop: Desktop) -> None:
    noticing = nursery.start(
        "notices", SYSTEM_PYTHON, "-I", "-B", "-u", str(NOTICING), **desktop.environment
    )
    noticing.wait_for("ready", SECONDS)
    window = start(nursery, desktop, "notify")
    window.tell(drawn(BOTH))
    notice = noticing.wait_for_json(event="notify", timeout=SECONDS)
    assert notice["title"] == "Approve on your phone: 42 (forty-two)"
    assert "Program: pkcs11-tool\n" in str(notice["body"])
    assert "Check code: 7MYH 57PF" in str(notice["body"])
    noticing.send("cancel")
    assert window.cancelled() == "id"
    window.tell(decided("id", Outcome.CANCELLED))
    noticing.wait_for_json(event="close", timeout=SECONDS)
