"""An operator logs in to the pages in Chromium, with the own card in a reader and the own phone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from playwright.sync_api import expect

from cloudcard_tools.demo.programs import Cloudcard
from cloudcard_tools.demo.stage import PASSCODE, Stage, free_ports
from cloudcard_tools.shared import pcsc
from cloudcard_tools.shared.processes import Nursery
from support import chromium, nss
from support.authority import Authority
from support.chromium import Person

SECONDS = 120  # for a person, on a busy computer


def test_an_operator_logs_in_by_card(
    nursery: Nursery, virtual_readers: pcsc.Client, tmp_path: Path, authority: Authority
) -> None:
    """The PIN and the phone once; then the pages know who that is, until the card is suspended."""
    stage = Stage(tmp_path, nursery, interactive=False)
    origin = open_keystore(stage, authority)
    stage.meet_ada()
    stage.ask("ra", "policy", "set", "--session-uses", "20", "--session-minutes", "5")
    identify(stage)
    serial = stage.issue("p256")
    stage.start_phone()
    stage.insert(0, serial, approval="push")
    home = tmp_path / "browser"
    nss.make(home / ".pki" / "nssdb", authority.write(tmp_path))
    with (
        virtual_readers.connect(0),
        chromium.opened(nursery, home) as (page, screen),
        ThreadPoolExecutor(1) as threads,
    ):
        page.goto(f"{origin}/ra/log-in", timeout=SECONDS * 1000)
        way = page.get_by_role("button", name="Use your card").get_attribute("href")
        # The person looks for dialogs over an empty page.
        page.goto("about:blank")
        approving = threads.submit(approve, stage)
        with Person(screen, PASSCODE):
            page.goto(f"{origin}{way}", timeout=SECONDS * 1000)
        approving.result()
        assert "Log in with your card" in page.title()
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_text("Olga Operator").first).to_be_visible(timeout=SECONDS * 1000)
        assert page.url.startswith(f"{origin}/ra")
        page.goto(f"{origin}/ra/my-log-in")
        expect(page.get_by_role("heading", name="My log-in")).to_be_visible()


def open_keystore(stage: Stage, authority: Authority) -> str:
    """Start the keystore with pages and a port for cards, and enrol its first operator; the origin
    of the pages.
    """
    service, enrolment, web, cards = (f"127.0.0.1:{port}" for port in free_ports(4))
    pem = authority.write_server(stage.folder)
    stage.nursery.start_python(
        "keystore",
        *("-m", "cloudcard_tools", "serve", "--listen", service, "--enrol-listen", enrolment),
        *("--public-host", "localhost", "--web", web, "--web-cards", cards),
        *("--web-certificate", str(pem), "--web-key", str(pem)),
        CLOUDCARD_HOME=str(stage.ask.home),
    ).wait_for("Keystore ready", timeout=SECONDS)
    stage.ask("ra", "enrol", "--token-file", str(stage.ask.home / "keystore" / "operator.token"))
    return f"https://localhost:{web.rpartition(':')[2]}"


def identify(stage: Stage) -> None:
    """Say that Ada is the operator Olga, who has enrolled."""
    invited = stage.ask.json("ra", "operator", "invite", "Olga Operator")
    Cloudcard(stage.folder / "olga")("ra", "enrol", "-", stdin=invited["token"])
    stage.ask("ra", "directory", "operator", "Olga Operator", "ada@example.org")


def approve(stage: Stage) -> None:
    """What Ada does with her phone when the PIN was given."""
    asked = stage.nursery["reader-0"].wait_for_json(event="approval", timeout=SECONDS)
    operation = asked["operation"]
    stage.nursery["phone"].wait_for_json(event="request", operation=operation, timeout=SECONDS)
    stage.type_number(asked)
