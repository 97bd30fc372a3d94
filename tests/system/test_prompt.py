"""The agent's window on a real screen, while an application waits for its holder."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cloudcard_tools.demo.programs import Pkcs11
from cloudcard_tools.demo.stage import PASSCODE, Stage, wait_for_card
from cloudcard_tools.shared.processes import Nursery
from reader_bridge.prompt_program import texts
from support import desktop
from support.polling import until

SECONDS = 60.0


@pytest.mark.timeout(300)
def test_a_window_shows_the_number_and_cancels(nursery: Nursery, tmp_path: Path) -> None:
    stage = Stage(tmp_path, nursery, interactive=False)
    stage.start_keystore()
    stage.meet_ada()
    serial = stage.issue("p256")
    stage.start_phone()
    document, signature = tmp_path / "document", tmp_path / "signature"
    document.write_bytes(b"seen")
    application = Pkcs11(0, PASSCODE)
    arguments = application.signing("02", "ECDSA-SHA256", document, signature)
    with desktop.opened(nursery, tmp_path) as screen, ThreadPoolExecutor(1) as threads:
        own = {name: screen.environment[name] for name in ("DISPLAY", "DBUS_SESSION_BUS_ADDRESS")}
        reader = nursery.start_python(
            "reader",
            *("-m", "cloudcard_tools", "reader", "--card", serial, "--program", "pkcs11-tool"),
            *("--json", "--prompt", "gtk", "--no-session", "--via", "vpcd"),
            **own,
            CLOUDCARD_HOME=str(stage.ask.home),
            GTK_THEME="Adwaita",
        )
        reader.wait_for_json(event="inserted", timeout=SECONDS)
        wait_for_card(0)

        signing = threads.submit(application, *arguments)
        asked = reader.wait_for_json(event="approval", timeout=SECONDS)
        number = str(asked["number"])
        screen.wait_for(texts.number_name(number))
        assert screen.named(f"{texts.WORKSTATION}: WARD7-PC3") is not None
        assert not signing.done()
        stage.ringing(asked)
        stage.nursery["phone"].send(number)
        signing.result(SECONDS)
        assert signature.stat().st_size > 60
        until(screen.is_empty, SECONDS)

        refused = threads.submit(application.attempt, *arguments)
        again = reader.wait_for_json(event="approval", timeout=SECONDS)
        screen.wait_for(texts.number_name(str(again["number"])))
        screen.press(texts.CANCEL)
        ended = reader.wait_for_json(event="decided", timeout=SECONDS)
        assert ended["outcome"] == "cancelled"
        assert refused.result(SECONDS).code != 0
        until(screen.is_empty, SECONDS)
        # The application's own retries opened no window and rang no phone.
        assert [line for line in reader.unread() if '"approval"' in line] == []
        nursery.stop("reader")
