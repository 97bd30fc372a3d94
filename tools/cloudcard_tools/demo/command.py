"""The command `cloudcard demo`."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import click

from cloudcard_tools.demo import deciding
from cloudcard_tools.demo.scenes import Scenes
from cloudcard_tools.demo.stage import Stage
from cloudcard_tools.demo.timeline import Halted, Timeline
from cloudcard_tools.shared import pcscd
from cloudcard_tools.shared.extras import brought_by
from cloudcard_tools.shared.processes import Nursery

# What the demo's processes import. A missing package is reported before anything is started.
STARTED = (
    "cloudcard_tools.serve.command",
    "cloudcard_tools.ra",
    "cloudcard_tools.authenticator.command",
    "cloudcard_tools.reader.of_keystore",
)


@click.command(
    epilog="""\b
Examples:
  cloudcard demo
  cloudcard demo --interactive     you approve at this terminal
"""
)
@click.option("--interactive", is_flag=True, help="You approve or deny at this terminal.")
@click.option(
    "--keep", is_flag=True, help="Keep the folder with logs, signatures and certificates."
)
def demo(interactive: bool, keep: bool) -> None:
    """Show the whole product at work with OpenSC's pkcs11-tool.

    Starts a keystore, two readers and a software phone, each as a process of its own (and pcscd if
    none is running), issues two cards, signs, decrypts, agrees, denies, locks and unlocks. All
    files are in a temporary folder, and everything ends with the command. Exits with 1 if any step
    failed.
    """
    with brought_by("all", "cloudcard demo"):
        for module in STARTED:
            import_module(module)
    folder = Path(tempfile.mkdtemp(prefix="cloudcard-demo-"))
    timeline = Timeline()
    try:
        with (
            pcscd.available(folder / "pcscd.log", _say_waiting) as ours,
            Nursery(folder) as nursery,
        ):
            pcscd.require_free(0, 1)
            timeline.start()
            timeline.note(
                "pcscd was started for this demo" if ours else "the running pcscd is used"
            )
            if interactive:
                deciding.introduce()
            with suppress(Halted):  # printed and counted already
                _play(Stage(folder, nursery, interactive), timeline)
    finally:
        if keep or timeline.failed:
            click.echo(f"\nLogs and files: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    timeline.end()


def _play(stage: Stage, timeline: Timeline) -> None:
    cards: list[str] = []
    timeline.title("Setting the stage")
    with timeline.step(
        "the keystore starts with no configuration; an operator enrols", needed=True
    ):
        stage.start_keystore()
    with timeline.step(
        "the RA adds Ada and a workstation; phone and reader enrol by token", needed=True
    ):
        stage.meet_ada()
    with timeline.step(
        "the RA issues two cards; Ada chooses their passcodes on her phone", needed=True
    ):
        cards += [stage.issue("v2"), stage.issue("p256")]
    with timeline.step("the phone watches; the readers insert the cards", needed=True):
        stage.start_phone()
        stage.insert(0, cards[0], approval="push")
        stage.insert(1, cards[1], approval="qr")
    timeline.title("An unmodified PKCS#11 application at work")
    Scenes(stage, timeline, *cards).play()


def _say_waiting() -> None:
    click.echo("Another demo, bench or test is using pcscd: waiting for it to end.")
