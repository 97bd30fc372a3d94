"""The pages of a keystore in a real Chromium, and the person before it."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import segno
from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from cloudcard.registry.v1 import people_pb2
from cloudcard_tools.demo.stage import free_ports
from cloudcard_tools.shared.processes import Nursery
from support.keystore_process import KeystoreProcess

PHONE = {"width": 360, "height": 740}
DESK = {"width": 1100, "height": 800}
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
CAMERA = "--use-fake-device-for-media-stream"
SEEN = (640, 480)  # by the camera, pixels
# Of the certificate that a page has
FINGERPRINT = """async () => {
  const { kept } = await import('/assets/authenticator/keeping.js');
  return Array.from((await kept('own')).certificateSha256).join();
}"""
Change: TypeAlias = Callable[[dict[str, object]], dict[str, object]]


@dataclass(frozen=True)
class Site:
    """A keystore that serves pages, and a browser."""

    keystore: KeystoreProcess
    origin: str
    browser: Browser
    film: Path  # what the browser's camera sees

    @contextmanager
    def page(self, width: int = PHONE["width"], *, scripts: bool = True) -> Iterator[Page]:
        """A page of a browser that nobody has used before. An error in it, and a request to
        another host, fail the test.
        """
        size = PHONE if width == PHONE["width"] else DESK
        context = self.browser.new_context(
            viewport=size,  # type: ignore[arg-type]
            java_script_enabled=scripts,
        )
        wrong: list[str] = []
        context.on("weberror", lambda error: wrong.append(str(error.error)))
        context.on("request", lambda asked: self._note(asked.url, wrong))
        context.on(
            "console",
            lambda said: wrong.append(said.text) if "Security Policy" in said.text else None,
        )
        page = context.new_page()
        try:
            yield page
        finally:
            context.close()
        assert wrong == []

    def _note(self, url: str, wrong: list[str]) -> None:
        if not url.startswith((self.origin, "blob:", "data:")):
            wrong.append(f"a request to {url}")

    def show_camera(self, text: str) -> None:
        """Hold a QR code before the camera."""
        self.film.write_bytes(4 * photo_of(text))

    def invited(self, name: str) -> tuple[str, str]:
        """A new person: the identifier, and the token for a phone."""
        asked = people_pb2.CreateUserRequest(display_name=name)
        made = self.keystore.registry.people.CreateUser(asked)
        return made.user.id, made.device_token.text

    def enrol(self, page: Page, token: str) -> None:
        """Open the link of an invitation, and set the phone up."""
        page.goto(f"{self.origin}/authenticator#{token}")
        page.get_by_role("button", name="Set up this phone").click()
        expect(page.get_by_text("This phone is connected.")).to_be_visible()


def photo_of(text: str) -> bytes:
    """A photo of a screen with a QR code on it, JPEG."""
    code = io.BytesIO()
    segno.make(text).save(code, kind="png", scale=6, border=4)
    photo, taken = Image.new("RGB", SEEN, "#555"), io.BytesIO()
    photo.paste(Image.open(code).convert("RGB").rotate(4, fillcolor="#555", expand=True), (90, 40))
    photo.save(taken, "jpeg", quality=80)
    return taken.getvalue()


@contextmanager
def serving(folder: Path, options: Sequence[str] = (), *, passkeys: bool = False) -> Iterator[Site]:
    """A keystore with pages on a port of its own, and a browser; with `passkeys`, at an address for
    which browsers make them.
    """
    (port,) = free_ports(1)
    origin = f"http://localhost:{port}" if passkeys else f"http://127.0.0.1:{port}"
    made_for = ("--webauthn-rp-id", "localhost", "--webauthn-origin", origin) if passkeys else ()
    with Nursery(folder / "logs") as nursery, sync_playwright() as playwright:
        film = folder / "camera.mjpeg"
        flags = [*FLAGS, CAMERA, f"--use-file-for-fake-video-capture={film}"]
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
        try:
            web = ("--web", f"127.0.0.1:{port}", *made_for, *options)
            keystore = KeystoreProcess(folder, nursery, web)
            yield Site(keystore, origin, browser, film)
        finally:
            browser.close()


@contextmanager
def told(page: Page, call: str, change: Change) -> Iterator[None]:
    """Let an answer of the keystore be another one, for a while."""

    def changed(route: Route) -> None:
        response = route.fetch()
        body = response.text()
        if response.ok:
            body = json.dumps(change(json.loads(body)))
        route.fulfill(response=response, body=body)

    page.route(f"**/authenticator/v1/{call}", changed)
    yield
    page.unroute_all(behavior="wait")
