"""Operators add passkeys in a real browser, and log in by them, against a real keystore."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest
from playwright.sync_api import CDPSession, Page, expect

from cloudcard.registry.v1 import identities_pb2
from support.accessibility import check
from support.pages import DESK, Site, serving

AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@dataclass(frozen=True)
class Desk:
    """A browser's page before an operator, and the authenticator of that browser."""

    site: Site
    page: Page
    cdp: CDPSession
    authenticator: str

    def log_in(self) -> None:
        """By a code of the command line."""
        asked = identities_pb2.CreateVisitCodeRequest()
        made = self.site.keystore.registry.identities.CreateVisitCode(asked)
        self.page.goto(f"{self.site.origin}/ra")
        self.page.get_by_label("Code").fill(made.code)
        self.page.get_by_role("button", name="Log in").click()
        expect(self.page.get_by_role("heading", name="People")).to_be_visible()

    def verifies(self, *, verified: bool) -> None:
        """Whether the person proves to the authenticator who that is."""
        said = {"authenticatorId": self.authenticator, "isUserVerified": verified}
        self.cdp.send("WebAuthn.setUserVerified", said)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(tmp_path_factory.mktemp("passkeys")) as found:
        yield replace(found, origin=found.origin.replace("127.0.0.1", "localhost"))


@contextmanager
def desk(site: Site) -> Iterator[Desk]:
    """A browser with an authenticator that knows its person."""
    with site.page(DESK["width"]) as page:
        cdp = page.context.new_cdp_session(page)
        cdp.send("WebAuthn.enable")
        made = cdp.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
        yield Desk(site, page, cdp, made["authenticatorId"])


def test_a_passkey_is_added_and_logs_in(site: Site) -> None:
    with desk(site) as own:
        page = own.page
        own.log_in()
        page.get_by_role("link", name="My log-in").click()
        expect(page.get_by_text("You have no passkeys yet.")).to_be_visible()
        check(page)
        page.get_by_label("Name").fill("Key on my key ring")
        page.get_by_role("button", name="Add a passkey").click()
        expect(page.get_by_text("The passkey is added")).to_be_visible()
        expect(page.get_by_text("Not used yet.")).to_be_visible()
        check(page)
        page.get_by_label("Name").fill("The same")
        page.get_by_role("button", name="Add a passkey").click()
        expect(page.get_by_text("has a passkey of yours already")).to_be_visible()

        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        check(page)
        page.goto(f"{site.origin}/ra/people?q=ada")
        page.get_by_role("button", name="Use a passkey").click()
        page.wait_for_url(f"{site.origin}/ra/people?q=ada")
        expect(page.get_by_label("Find somebody")).to_have_value("ada")

        page.get_by_role("link", name="My log-in").click()
        expect(page.get_by_text("Used last")).to_be_visible()
        page.get_by_role("link", name="Remove Key on my key ring").click()
        expect(page.get_by_role("heading", name="Remove the passkey")).to_be_visible()
        check(page)
        page.get_by_role("button", name="Remove the passkey").click()
        expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        page.get_by_role("button", name="Use a passkey").click()
        expect(page.get_by_text("unknown here or was removed")).to_be_visible()
        check(page)


def test_who_does_not_verify_the_person_is_not_let_in(site: Site) -> None:
    with desk(site) as own:
        page = own.page
        own.log_in()
        page.goto(f"{site.origin}/ra/my-log-in")
        page.get_by_label("Name").fill("Laptop")
        page.get_by_role("button", name="Add a passkey").click()
        expect(page.get_by_text("The passkey is added")).to_be_visible()
        page.get_by_role("button", name="Log out").click()
        own.verifies(verified=False)
        page.get_by_role("button", name="Use a passkey").click()
        expect(page.get_by_text("No passkey has answered")).to_be_visible()
        assert page.url == f"{site.origin}/ra/log-in"
        own.verifies(verified=True)
        page.get_by_role("button", name="Use a passkey").click()
        expect(page.get_by_role("heading", name="People")).to_be_visible()


def test_at_another_address_it_says_where_passkeys_work(site: Site) -> None:
    elsewhere = replace(site, origin=site.origin.replace("localhost", "127.0.0.1"))
    with desk(elsewhere) as own:
        own.page.goto(f"{elsewhere.origin}/ra/log-in")
        own.page.get_by_role("button", name="Use a passkey").click()
        expect(own.page.get_by_text(f"Passkeys work at {site.origin} alone")).to_be_visible()
        assert own.page.url == f"{elsewhere.origin}/ra/log-in"


def test_without_scripts_the_code_works_and_the_pages_say_so(site: Site) -> None:
    with site.page(DESK["width"], scripts=False) as page:
        page.goto(f"{site.origin}/ra/log-in")
        expect(page.get_by_text("This needs JavaScript. Turn it on, or log in")).to_be_visible()
        expect(page.get_by_role("button", name="Use a passkey")).to_be_hidden()
        asked = identities_pb2.CreateVisitCodeRequest()
        made = site.keystore.registry.identities.CreateVisitCode(asked)
        page.get_by_label("Code").fill(made.code)
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("link", name="My log-in").click()
        expect(page.get_by_text("This needs JavaScript.")).to_be_visible()
        expect(page.get_by_role("button", name="Add a passkey")).to_be_hidden()
        assert page.url == f"{site.origin}/ra/my-log-in"
