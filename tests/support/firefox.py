"""Debian's Firefox, driven over its own protocol (Marionette), which needs no other program."""

from __future__ import annotations

import json
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cloudcard_tools.shared.processes import Nursery

PORT_FILE = "MarionetteActivePort"
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the name of elements (WebDriver, 12.1)
START_SECONDS = 120.0
CALL_SECONDS = 120.0
LOOK_SECONDS = 0.1
PREFERENCES: Mapping[str, object] = {
    "marionette.port": 0,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.server": "",
    "app.update.enabled": False,
    "extensions.getAddons.cache.enabled": False,
    "browser.safebrowsing.downloads.remote.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "browser.startup.page": 0,
    "permissions.default.desktop-notification": 1,
}


class DriverError(Exception):
    """Firefox has refused a command; the text says why."""


@dataclass
class Firefox:
    """A browser with one page."""

    connection: socket.socket
    _rest: bytes = b""
    _last: int = field(default=0)

    def begin(self) -> None:
        """Take its greeting, and begin."""
        greeting = b""
        while not greeting.endswith(b"}"):
            greeting += self.connection.recv(1)
        capabilities = {"capabilities": {"alwaysMatch": {"timeouts": {"script": 110_000}}}}
        self._ask("WebDriver:NewSession", capabilities)

    def open(self, url: str) -> None:
        """Go to an address, and wait until the page is there."""
        self._ask("WebDriver:Navigate", {"url": url})

    def run(self, script: str, *values: object) -> object:
        """What an asynchronous function of the page gives."""
        body = f"""const done = arguments[arguments.length - 1];
          Promise.resolve(({script})(...Array.from(arguments).slice(0, -1))).then(
            (value) => done([value ?? null, ""]), (error) => done([null, String(error)]));"""
        asked = {"script": body, "args": list(values), "sandbox": None, "newSandbox": False}
        told = self._ask("WebDriver:ExecuteAsyncScript", asked)
        value, wrong = told["value"]  # type: ignore[misc]
        assert not wrong, wrong
        return value

    def set_offline(self, *, offline: bool) -> None:
        """Let the browser have no network, or have it back; this computer's own it has always."""
        self._ask("Marionette:SetContext", {"value": "chrome"})
        script = "Services.io.offline = arguments[0];"
        self._ask("WebDriver:ExecuteScript", {"script": script, "args": [offline]})
        self._ask("Marionette:SetContext", {"value": "content"})

    def click(self, text: str) -> None:
        """Press the button that says so."""
        there = f"//button[normalize-space(.)='{text}']"
        self._ask("WebDriver:ElementClick", {"id": self._find(there)})

    def type(self, name: str, text: str) -> None:
        """Type into the field of that id."""
        found = self._find(f"//*[@id='{name}']")
        self._ask("WebDriver:ElementClear", {"id": found})
        self._ask("WebDriver:ElementSendKeys", {"id": found, "text": text})

    def see(self, text: str) -> None:
        """Wait until the page says so."""
        until = time.monotonic() + CALL_SECONDS
        while text not in str(self.run("() => document.querySelector('main').innerText")):
            assert time.monotonic() < until, self.run("() => document.body.innerText")
            time.sleep(LOOK_SECONDS)

    def _find(self, path: str) -> str:
        """An element that is shown."""
        until = time.monotonic() + CALL_SECONDS
        while True:
            found = self._ask("WebDriver:FindElements", {"using": "xpath", "value": path})
            for each in found:
                asked = {"id": each[ELEMENT]}
                if self._ask("WebDriver:IsElementDisplayed", asked)["value"]:  # type: ignore[call-overload]
                    return str(each[ELEMENT])
            assert time.monotonic() < until, path
            time.sleep(LOOK_SECONDS)

    def _ask(self, command: str, said: Mapping[str, object]) -> object:
        self._last += 1
        message = json.dumps([0, self._last, command, said])
        self.connection.sendall(f"{len(message.encode())}:{message}".encode())
        _, name, error, result = self._message()
        assert name == self._last
        if error is not None:
            raise DriverError(f"{command}: {error}")
        return result

    def _message(self) -> list[object]:
        while b":" not in self._rest:
            self._receive()
        length, _, self._rest = self._rest.partition(b":")
        while len(self._rest) < int(length):
            self._receive()
        raw, self._rest = self._rest[: int(length)], self._rest[int(length) :]
        found: list[object] = json.loads(raw)
        return found

    def _receive(self) -> None:
        found = self.connection.recv(65536)
        assert found, "Firefox has ended"
        self._rest += found


@contextmanager
def started(
    nursery: Nursery, profile: Path, preferences: Mapping[str, object] | None = None
) -> Iterator[Firefox]:
    """A browser with a profile of its own."""
    program = shutil.which("firefox-esr")
    assert program is not None, "apt-get install firefox-esr"
    profile.mkdir()
    lines = {**PREFERENCES, **(preferences or {})}
    text = "".join(f"user_pref({json.dumps(k)}, {json.dumps(v)});\n" for k, v in lines.items())
    (profile / "user.js").write_text(text)
    command = (program, "--headless", "--marionette", "--no-remote", "--profile", str(profile))
    # Newer ones let nobody change what is the browser's own, such as its network, without.
    command += ("--remote-allow-system-access",)
    nursery.start("firefox", *command, HOME=str(profile), MOZ_DISABLE_CONTENT_SANDBOX="1")
    port, until = profile / PORT_FILE, time.monotonic() + START_SECONDS
    while not (port.exists() and port.read_text().strip().isdigit()):
        assert time.monotonic() < until, "Firefox has not begun"
        time.sleep(LOOK_SECONDS)
    with socket.create_connection(("127.0.0.1", int(port.read_text()))) as connection:
        connection.settimeout(CALL_SECONDS)
        browser = Firefox(connection)
        browser.begin()
        yield browser
    nursery.stop("firefox")
