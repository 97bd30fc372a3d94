"""A page that is closed rings: a real keystore, a push service that is none of ours, and a real
browser's worker (AUTH-01).
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from cloud_keystore.web.proofs import decoded, encoded
from support.authority import Authority
from support.hooks import Gateway, serving
from support.page_holders import CALLS, DIGEST, held
from support.pages import Site
from support.pages import serving as serving_pages
from support.polling import until
from support.push_browser import PushBrowser, claims

RUNG = "This phone rings when something waits for you."
# What a browser does with its push service, which no browser without the internet has.
SUBSCRIBING = """(() => {
  const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")),
    (each) => each.charCodeAt(0)).buffer;
  let own = null;
  PushManager.prototype.getSubscription = async () => own;
  PushManager.prototype.subscribe = async ({ userVisibleOnly, applicationServerKey }) => {
    if (userVisibleOnly !== true || applicationServerKey.length !== 65) throw new TypeError("no");
    own = {
      endpoint: "%s",
      options: { applicationServerKey: applicationServerKey.buffer },
      getKey: (name) => bytes({ p256dh: "%s", auth: "%s" }[name]),
      unsubscribe: async () => { own = null; return true; },
    };
    return own;
  };
})()"""
SHOWN = """async () => {
  const registration = await navigator.serviceWorker.getRegistration("/authenticator");
  return (await registration.getNotifications()).map(({ title, body, tag }) => [title, body, tag]);
}"""
TAPPED = """async () => {
  const opened = [];
  self.clients.openWindow = async (url) => { opened.push(url); };
  const [notification] = await self.registration.getNotifications();
  const event = new NotificationEvent("notificationclick", { notification });
  let done;
  event.waitUntil = (promise) => { done = promise; };
  self.dispatchEvent(event);
  await done;
  return [opened, (await self.registration.getNotifications()).length];
}"""


@dataclass(frozen=True)
class Place:
    """A keystore with pages, and a push service that it may call."""

    site: Site
    service: Gateway

    def endpoint(self, name: str) -> str:
        return f"https://localhost:{self.service.port}/{name}"

    def rung(self, name: str) -> list[tuple[dict[str, str], bytes]]:
        """What has come for a browser."""
        return [(fields, raw) for path, fields, raw in self.service.received if path == f"/{name}"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder, authority = tmp_path_factory.mktemp("push"), Authority()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(authority.write_server(folder))
    options = ("--push-host", "localhost", "--push-roots", str(authority.write(folder)))
    with serving(Gateway(), tls) as service, serving_pages(folder, options) as site:
        yield Place(site, service)


def let_ring(page: Page, place: Place, name: str, browser: PushBrowser) -> None:
    """Let a page ring, as its holder does."""
    keys = encoded(browser.public), encoded(browser.secret)
    page.context.grant_permissions(["notifications"], origin=place.site.origin)
    page.context.add_init_script(SUBSCRIBING % (place.endpoint(name), *keys))
    page.reload()
    page.get_by_role("button", name="Let this phone ring").click()
    expect(page.get_by_text(RUNG)).to_be_visible()


def deliver(context: BrowserContext, origin: str, content: str) -> None:
    """Bring a message to the page's worker, as a browser does for its push service."""
    page = context.new_page()
    page.goto(f"{origin}/")
    session = context.new_cdp_session(page)
    found: list[str] = []
    session.on(
        "ServiceWorker.workerRegistrationUpdated",
        lambda said: found.extend(each["registrationId"] for each in said["registrations"]),
    )
    session.send("ServiceWorker.enable")
    while not found:
        page.wait_for_timeout(50)
    sent = {"origin": origin, "registrationId": found[0], "data": content}
    # A worker that is being replaced loses a message, which a push service would send again.
    while not page.evaluate(SHOWN):
        session.send("ServiceWorker.deliverPushMessage", sent)
        for _ in range(40):
            if page.evaluate(SHOWN):
                break
            page.wait_for_timeout(50)
    page.close()


def test_a_page_that_is_closed_rings(place: Place) -> None:
    """What comes by the push service names nobody; a tap opens the page, and there it is."""
    site, browser = place.site, PushBrowser()
    with held(site, "Ada Byron") as ada:
        let_ring(ada.page, place, "ada", browser)
        key = decoded(ada.page.evaluate(CALLS, ["GET", "bell"])["key"])
        context = ada.page.context
        ada.page.close()
        made = ada.workstation.create(os.urandom(16), DIGEST)
        until(lambda: bool(place.rung("ada")))
        (fields, raw) = place.rung("ada")[0]
        assert (fields["Urgency"], fields["Topic"], fields["Content-Encoding"]) == (
            "high",
            "waiting",
            "aes128gcm",
        )
        assert 0 < int(fields["TTL"]) <= 120
        said = claims(fields["Authorization"], key)
        assert said["aud"] == f"https://localhost:{place.service.port}"
        content = browser.read(raw).decode()
        for secret in ("Ada", ada.serial, made.id, ada.user_id):
            assert secret not in content + str(fields)

        deliver(context, site.origin, content)
        page = context.new_page()
        page.goto(f"{site.origin}/")
        assert page.evaluate(SHOWN) == [
            [
                "Something waits for you",
                "Open your authenticator to see what it is.",
                "waiting",
            ]
        ]
        (worker,) = context.service_workers
        assert worker.evaluate(TAPPED) == [["/authenticator"], 0]
        page.goto(f"{site.origin}/authenticator")
        expect(page.get_by_role("heading", name="Sign once?")).to_be_visible()
        page.get_by_label("Number on the workstation's screen").fill(made.number)
        page.get_by_role("button", name="Approve").click()
        expect(page.get_by_role("heading", name="Approved")).to_be_visible()
        ada.verify(ada.workstation.perform(made.id, DIGEST))
        assert len(place.rung("ada")) == 1


def test_a_page_that_is_open_looks_at_once_and_shows_no_old_ring(place: Place) -> None:
    with held(place.site, "Bea Blum") as bea:
        let_ring(bea.page, place, "bea", PushBrowser())
        deliver(bea.page.context, place.site.origin, "{}")
        # Who sees the page again needs no ring any more.
        bea.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        bea.page.wait_for_function(f"async () => (await ({SHOWN})()).length === 0")
        expect(bea.page.get_by_text("This phone is connected.")).to_be_visible()
        assert bea.page.evaluate(SHOWN) == []


def test_a_holder_who_wants_no_ring_gets_none(place: Place) -> None:
    with held(place.site, "Cy Cole") as cy:
        let_ring(cy.page, place, "cy", PushBrowser())
        cy.page.reload()
        expect(cy.page.get_by_text(RUNG)).to_be_visible()  # as it was chosen
        cy.page.get_by_role("button", name="Ring it no longer").click()
        expect(cy.page.get_by_role("button", name="Let this phone ring")).to_be_visible()
        cy.page.reload()
        expect(cy.page.get_by_role("button", name="Let this phone ring")).to_be_visible()
        cy.ask()
    with held(place.site, "Di Dorn") as di:
        let_ring(di.page, place, "di", PushBrowser())
        di.workstation.create(os.urandom(16), DIGEST)
        until(lambda: bool(place.rung("di")))
    assert place.rung("cy") == []


def test_a_browser_that_does_not_let_pages_ring_says_so(place: Place) -> None:
    with held(place.site, "Eve Ek") as eve:
        eve.page.context.add_init_script(
            "Object.defineProperty(Notification, 'permission', { get: () => 'denied' })"
        )
        eve.page.reload()
        expect(eve.page.get_by_text("Your browser does not let this page ring")).to_be_visible()
        assert eve.page.get_by_role("button", name="Let this phone ring").is_hidden()


def test_a_keystore_of_another_version_is_not_asked_for_rings(place: Place) -> None:
    """N-2: the keystore before this one does not know the call; nothing is offered then."""
    with held(place.site, "Flo Fay") as flo:
        flo.page.route("**/authenticator/v1/bell", lambda route: route.fulfill(status=404))
        with flo.page.expect_response("**/authenticator/v1/bell"):
            flo.page.reload()
        expect(flo.page.get_by_text("This phone is connected.")).to_be_visible()
        assert flo.page.locator("#bell").is_hidden()
