"""QR codes, as the camera of a real browser sees them, and in photos."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from cloudcard.workstation.v1 import workstation_pb2
from support.keystore_process import PASSCODE
from support.page_holders import CALLS, DIGEST, held, issued
from support.pages import Site, photo_of, serving


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(tmp_path_factory.mktemp("scanning")) as site:
        yield site


def scan(page: Page, button: str = "Scan a workstation") -> None:
    """Let the page use the camera, and open it."""
    page.context.grant_permissions(["camera"])
    page.get_by_role("button", name=button).click()


def uses_camera(page: Page) -> bool:
    """Whether the page still looks through the camera."""
    return bool(page.evaluate("() => document.getElementById('camera').srcObject !== null"))


def take_photo(page: Page, content: bytes, kind: str = "image/jpeg") -> None:
    """Choose a file in place of a photo."""
    photo = {"name": "photo", "mimeType": kind, "buffer": content}
    page.get_by_label("Or take a photo of it, or choose one").set_input_files([photo])  # type: ignore[list-item]


def test_a_request_is_scanned_from_the_workstations_screen(site: Site) -> None:
    """AUTH-03: who has scanned the code approves without a number."""
    with held(site, "Ada Byron") as ada:
        made = ada.scannable()
        site.show_camera(made.qr_text)
        scan(ada.page)
        expect(ada.page.get_by_role("heading", name="Sign once?")).to_be_visible()
        assert not uses_camera(ada.page)
        expect(ada.page.get_by_label("Number on the workstation's screen")).to_be_hidden()
        ada.page.get_by_role("button", name="Approve").click()
        expect(ada.page.get_by_role("heading", name="Approved")).to_be_visible()
        ada.verify(ada.workstation.perform(made.id, DIGEST))


def test_a_photo_does_where_no_camera_is_to_be_had(site: Site) -> None:
    site.show_camera("anything")  # which nobody has let the page use
    with held(site, "Bea Blum") as bea:
        page = bea.page
        page.get_by_role("button", name="Scan a workstation").click()
        expect(page.get_by_text("This page may not use the camera")).to_be_visible()
        take_photo(page, b"no picture")
        expect(page.get_by_text("This file is no picture")).to_be_visible()
        take_photo(page, photo_of("https://example.org/"))
        expect(page.get_by_text("This is not the code of a workstation")).to_be_visible()
        made = bea.scannable()
        take_photo(page, photo_of(made.qr_text))
        expect(page.get_by_role("heading", name="Sign once?")).to_be_visible()
        assert bea.serial in page.locator("#facts").inner_text()


def test_a_code_of_somebody_elses_card_is_refused_and_told_at_home(site: Site) -> None:
    with held(site, "Cy Cole") as cy, held(site, "Di Dorn") as di:
        made = cy.scannable()
        di.page.get_by_role("button", name="Scan a workstation").click()
        take_photo(di.page, photo_of(made.qr_text))
        expect(di.page.locator("#problem-text")).to_contain_text("this code is not for you")
        expect(di.page.get_by_role("heading", name="No request is waiting")).to_be_visible()
        assert cy.state(made.id) == "OPERATION_STATE_PENDING"


def test_whoever_goes_back_is_no_longer_seen(site: Site) -> None:
    with held(site, "Eve Ek") as eve:
        site.show_camera("https://example.org/")
        scan(eve.page)
        expect(eve.page.get_by_text("This is not the code of a workstation")).to_be_visible()
        eve.page.get_by_role("button", name="Go back").click()
        expect(eve.page.get_by_role("heading", name="No request is waiting")).to_be_visible()
        assert not uses_camera(eve.page)
        assert eve.page.locator("#problem").is_hidden()


def test_an_invitation_is_scanned(site: Site) -> None:
    """The code of an invitation is a link; its token is taken from it."""
    _, token = site.invited("Flo Fay")
    site.show_camera(f"{site.origin}/authenticator#{token}")
    with site.page() as page:
        page.goto(f"{site.origin}/authenticator")
        scan(page, "Scan a QR code")
        expect(page.get_by_role("textbox", name="Code")).to_have_value(token)
        page.get_by_role("button", name="Set up this phone").click()
        expect(page.get_by_text("This phone is connected.")).to_be_visible()
        assert page.url == f"{site.origin}/authenticator"


def test_whoever_has_two_cards_chooses_one_for_a_workstations_reader(site: Site) -> None:
    with held(site, "Gus Gil") as gus:
        second = issued(site, gus.user_id)
        gus.page.evaluate(CALLS, ["POST", f"cards/{second}/first-passcode", {"passcode": PASSCODE}])
        asked = workstation_pb2.BeginSignInRequest(request_id=os.urandom(16))
        begun = gus.workstation.stub.BeginSignIn(asked, timeout=60).sign_in
        gus.page.get_by_role("button", name="Scan a workstation").click()
        take_photo(gus.page, photo_of(begun.qr_text))
        expect(gus.page.get_by_role("heading", name="Which card?")).to_be_visible()
        gus.page.get_by_role("button", name=f"Card {gus.serial}").click()
        facts = gus.page.locator("#facts")
        expect(facts).to_contain_text(gus.serial)
        assert second not in facts.inner_text()
