"""A registration authority at its desk: a keystore that sends e-mail and is asked about cards, and
people who enrol by what is sent to them. Everything is done by commands.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import cast
from urllib.parse import unquote

from cloudcard_tools.demo import programs
from cloudcard_tools.demo.programs import Cloudcard, Ended
from cloudcard_tools.demo.stage import Stage, free_ports
from cloudcard_tools.shared.processes import Json, Nursery
from support import stepped_clock
from support.mail_server import MailServer, options_to
from support.polling import until

LINK = re.compile(r"https://cards\.example\.org#(\S+)")


@dataclass
class Office:
    """An operator and the keystore, which can move on in time."""

    folder: Path
    nursery: Nursery
    mail: MailServer
    database: tuple[str, ...] = ()  # options
    clock: Mapping[str, str] = field(default_factory=dict)  # of programs that live in its time
    desk: Cloudcard = field(init=False)
    _options: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.desk = Cloudcard(self.folder / "desk")
        service, enrolment, status = (f"127.0.0.1:{port}" for port in free_ports(3))
        self._options = (
            *("serve", "--data", str(self.folder / "keystore"), "--listen", service),
            *("--enrol-listen", enrolment, "--status-listen", status),
            *("--status-url", f"http://{status}", *options_to(self.mail), *self.database),
            # Nobody waits for reminders to those who are not invited any more.
            *("--remind-day", "0"),
        )

    def open(self) -> None:
        """Start the keystore, and enrol its first operator."""
        child = self.nursery.start_python("keystore", "-m", "cloudcard_tools", *self._options)
        child.wait_for("Keystore ready", timeout=60)
        token = self.folder / "keystore" / "operator.token"
        self.desk("ra", "enrol", "--token-file", str(token))

    def move_on(self, days: int) -> None:
        """Start the keystore anew, so many days later."""
        self.clock = stepped_clock.environment(self.folder) | {"STEPPED_DAYS": str(days)}
        self.nursery.stop("keystore")
        program = str(Path(sys.executable).with_name("cloudcard"))
        child = self.nursery.start("keystore", program, *self._options, **self.clock)
        child.wait_for("Keystore ready", timeout=60)

    def ra(self, *words: str | Path) -> dict[str, Json]:
        """What a command of the registration authority tells. It must succeed."""
        return cast("dict[str, Json]", self.desk.json("ra", *map(str, words)))

    def listed(self, *words: str) -> list[dict[str, Json]]:
        """The rows that a command shows."""
        return cast("list[dict[str, Json]]", self.ra(*words))

    def refused(self, *words: str | Path) -> dict[str, Json]:
        """What a command tells that must not succeed."""
        ended = self.attempt(*words, "--json")
        assert ended.code == 1, ended.output + ended.errors
        return cast("dict[str, Json]", json.loads(ended.output))

    def attempt(self, *words: str | Path) -> Ended:
        """How a command ends."""
        command = [sys.executable, "-m", "cloudcard_tools", "ra", *map(str, words)]
        return programs.run(command, CLOUDCARD_HOME=str(self.desk.home))

    def letters(self, address: str, count: int = 1) -> list[EmailMessage]:
        """What somebody has got, once it is so much."""
        until(lambda: self.mail.addresses.count(address) >= count)
        return [each for each in self.mail.letters if each["To"] == address]

    def export(self, serial: str, name: str) -> Path:
        """A new folder with the certificates of a card."""
        folder = self.folder / name
        self.desk("ra", "card", "show", serial, "--export", str(folder))
        return folder


def invite_of(letter: EmailMessage) -> str:
    """The token in the link of a letter."""
    body = letter.get_body(("plain",))
    assert body is not None
    [found] = LINK.findall(body.get_content())
    return unquote(found)


def enrolled(folder: Path, nursery: Nursery, name: str, letter: EmailMessage) -> Stage:
    """Somebody who has enrolled a phone by the link in a letter."""
    stage = Stage(folder, nursery, interactive=False)
    stage.ask("authenticator", "enrol", "-", "--name", f"{name}'s phone", stdin=invite_of(letter))
    return stage
