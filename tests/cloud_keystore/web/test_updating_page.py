"""The page that a browser keeps gets its next version whole, and not while its holder is at
something: in a real browser, from a server whose files change.
"""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from cloud_keystore.web.assets import FOLDER, VERSION, Assets
from cloud_keystore.web.pages import Pages
from support.pages import FLAGS

ENROLLED = """async () => {
  const [{ keep }, { newKey }] = await Promise.all(['keeping', 'protocol'].map(
    (name) => import(`/assets/authenticator/${name}.js`)));
  const { privateKey } = await newKey();
  await keep('own', { id: 'a', name: 'phone', privateKey, certificateSha256: new Uint8Array(32) });
}"""
AWAY = re.compile("This phone is offline|cannot be reached")
VERSIONS = """async () => {
  const { WORDS } = await import('/assets/authenticator/words.js');
  return [document.getElementById('authenticator').dataset.version, WORDS ?? ''];
}"""


@dataclass
class Server:
    """Serves the page and its files, each of one of two versions; calls are not answered."""

    folder: Path
    server: ThreadingHTTPServer
    present: Assets
    mixed: set[str] = field(default_factory=set)  # files that are still those of before
    before: Assets | None = None

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def publish(self, text: str, *mixed: str) -> None:
        """Another version, of which some files are not there yet."""
        path = self.folder / "authenticator/words.js"
        path.write_text(f"{path.read_text()}\nexport const WORDS = {text!r};\n")
        self.before, self.present, self.mixed = self.present, Assets.read(self.folder), set(mixed)


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """The server of a copy of all files."""
    copy, pages = folder / "assets", Pages()
    shutil.copytree(FOLDER, copy)

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.removeprefix("/assets/").partition("?")[0]
            is_old = made.before is not None and path in made.mixed
            assets = made.before if is_old and made.before is not None else made.present
            found = assets.files.get(path)
            kind, body = ("", b"") if found is None else (found.media_type, found.body)
            if self.path == "/authenticator":
                said = {"version": assets.version, "product": "0.1.0"}
                kind, body = "text/html", bytes(pages.page("authenticator", **said).body)
            self.send_response(200 if body else 503)
            self.send_header("Content-Type", kind or "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.send_header(VERSION, assets.version)
            self.send_header("Service-Worker-Allowed", "/authenticator")
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        made = Server(copy, server, Assets.read(copy))
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield made
        server.shutdown()
        thread.join()


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[tuple[Server, Page]]:
    with serving(tmp_path) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=list(FLAGS)
        )
        page = browser.new_page()
        page.goto(f"{server.origin}/authenticator")
        page.evaluate(ENROLLED)
        page.evaluate("() => navigator.serviceWorker.ready.then(() => null)")
        page.reload()
        expect(page.locator("#connection")).to_have_text(AWAY, timeout=60_000)
        yield server, page
        browser.close()


def version(page: Page) -> list[str]:
    found: list[str] = page.evaluate(VERSIONS)
    return found


def update(page: Page) -> None:
    """Look for the next version, as browsers do when the page is opened."""
    page.evaluate(
        """async () => {
          const registration = await navigator.serviceWorker.getRegistration('/authenticator');
          await registration.update().catch(() => null);
          const fresh = registration.installing;
          if (fresh) await new Promise((resolve) => fresh.addEventListener('statechange', resolve));
        }"""
    )


def test_a_next_version_comes_whole_when_its_holder_is_at_nothing(
    opened: tuple[Server, Page],
) -> None:
    server, page = opened
    first = version(page)
    # Somebody is typing.
    page.get_by_text("Enter the code that a workstation shows").click()
    page.get_by_label("Code below the picture").fill("CLOUDCARD:X")
    server.publish("second")
    update(page)
    assert version(page) == first
    expect(page.get_by_label("Code below the picture")).to_have_value("CLOUDCARD:X")
    page.get_by_label("Code below the picture").blur()
    with page.expect_event("load", timeout=60_000):
        page.evaluate("() => import('/assets/authenticator/updating.js').then((m) => m.takeNext())")
    assert version(page) == [server.present.version, "second"]


def test_files_of_two_versions_are_not_kept_together(opened: tuple[Server, Page]) -> None:
    """While one process of a keystore has the next version, and another one not yet."""
    server, page = opened
    first = version(page)
    server.publish("second", "authenticator/words.js")
    update(page)
    page.reload()
    assert version(page) == first
    page.context.set_offline(True)
    page.reload()
    assert version(page) == first
