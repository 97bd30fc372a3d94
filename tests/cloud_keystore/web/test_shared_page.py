"""A page that several people share, in a real browser: whoever signs in with a phone approves
there, and after the sign-out nobody does (MIA-01).
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import Page, expect

from cloudcard.registry.v1 import organisations_pb2, shared_devices_pb2
from support.accessibility import check
from support.page_holders import Holder, held
from support.pages import DESK, FINGERPRINT, Site, serving, told

KEPT = """async () => {
  const { kept } = await import('/assets/authenticator/keeping.js');
  return [await kept('own') === undefined, JSON.stringify([localStorage, sessionStorage])];
}"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    expect.set_options(timeout=60_000)
    with serving(tmp_path_factory.mktemp("shared")) as site:
        policy = organisations_pb2.Policy(largest_batch=1, shared_device_seconds=3600)
        site.keystore.registry.organisations.SetPolicy(
            organisations_pb2.SetPolicyRequest(policy=policy)
        )
        yield site


@pytest.fixture
def tablet(site: Site) -> Iterator[Page]:
    """A shared device that is set up."""
    with site.page(DESK["width"]) as page:
        asked = shared_devices_pb2.AddSharedDeviceRequest(display_name="Tablet", site="Ward 7")
        made = site.keystore.registry.shared_devices.AddSharedDevice(asked)
        page.goto(f"{site.origin}/authenticator#{made.token.text}")
        page.get_by_role("button", name="Set up this phone").click()
        expect(page.get_by_text("Tablet, Ward 7")).to_be_visible()
        yield page


def sign_in(tablet: Page, phone: Page, name: str) -> None:
    """Enter the code on the phone, compare what both screens show, and say yes."""
    tablet.get_by_role("button", name="Sign in").click()
    code = tablet.locator("#shared-text")
    expect(code).to_contain_text("CLOUDCARD:SEAT:")
    picture = Image.open(io.BytesIO(tablet.locator("#shared-picture").screenshot()))
    (read,) = zxingcpp.read_barcodes(picture)
    assert read.text == code.inner_text()
    phone.locator("#qr-text").evaluate("each => { each.closest('details').open = true; }")
    phone.get_by_label("Code below the picture").fill(code.inner_text())
    phone.get_by_role("button", name="Show the request").click()
    expect(phone.get_by_role("heading", name="Sign in to a shared device?")).to_be_visible()
    for said in ("Tablet", "Ward 7", name, tablet.locator("#shared-check").inner_text()):
        expect(phone.locator("#facts")).to_contain_text(said)
    phone.get_by_role("button", name="Approve").click()
    expect(tablet.get_by_text(f"Signed in: {name}")).to_be_visible()


def out(tablet: Page) -> None:
    """Nobody is signed in, and nothing of whoever was is left."""
    expect(tablet.get_by_role("heading", name="Nobody is signed in")).to_be_visible()
    expect(tablet.locator("#seat")).to_be_hidden()
    assert "Ada" not in tablet.content()
    assert tablet.locator("#facts").inner_html() == ""


def approved(tablet: Page, ada: Holder) -> None:
    """A request of hers rings there, and her card's key signs."""
    asked = ada.ask()
    expect(tablet.get_by_role("heading", name="Sign once?")).to_be_visible()
    expect(tablet).to_have_title(re.compile("^A request is waiting"))
    tablet.get_by_label("Number on the workstation's screen").fill(asked.number)
    tablet.get_by_role("button", name="Approve").click()
    expect(tablet.get_by_role("heading", name="Approved")).to_be_visible()
    ada.verify(ada.workstation.perform(asked.id))
    tablet.get_by_role("button", name="Done").click()
    expect(tablet).to_have_title(re.compile("^Authenticator"))


def test_whoever_signs_in_approves_until_the_sign_out(site: Site, tablet: Page) -> None:
    with held(site, "Ada Byron") as ada:
        check(tablet)
        sign_in(tablet, ada.page, "Ada Byron")
        ada.page.get_by_role("button", name="Done").click()
        expect(ada.page.locator("#seats")).to_contain_text("Tablet, Ward 7")
        check(tablet)
        approved(tablet, ada)
        (listed,) = [
            each
            for page in site.keystore.registry.shared_devices.ListSharedDevices(
                shared_devices_pb2.ListSharedDevicesRequest()
            )
            for each in page.devices
            if each.is_taken
        ]
        assert (listed.display_name, listed.holder) == ("Tablet", "Ada Byron")
        tablet.get_by_role("button", name="Sign out").click()
        out(tablet)
        # Her phone was told that the request has ended.
        ada.page.get_by_role("button", name="Done").click()
        waiting = ada.ask()
        expect(tablet.get_by_role("heading", name="Sign once?")).to_have_count(0)
        assert ada.state(waiting.id) == "OPERATION_STATE_PENDING"
        ada.page.get_by_role("button", name="Deny").click()


def test_the_phone_signs_out_elsewhere_and_a_launch_signs_out_too(site: Site, tablet: Page) -> None:
    """And one look that is lost costs nobody the key that the phone has approved."""
    with held(site, "Ada King") as ada:
        tablet.route("**/shared/seats/*", lambda route: route.abort(), times=1)
        sign_in(tablet, ada.page, "Ada King")
        ada.page.get_by_role("button", name="Done").click()
        ada.page.get_by_role("button", name="Sign out there").click()
        expect(tablet.get_by_text("You were signed out.")).to_be_visible()
        out(tablet)
        sign_in(tablet, ada.page, "Ada King")
        tablet.reload()
        expect(tablet.get_by_text("Tablet, Ward 7")).to_be_visible()
        out(tablet)
        ada.page.get_by_role("button", name="Done").click()
        expect(ada.page.locator("#seats-group")).to_be_hidden()


def test_the_certificate_is_renewed_and_the_key_goes_on(site: Site, tablet: Page) -> None:
    """At a sign-in too, because such a page is open for months, and with nobody signed in."""
    first = tablet.evaluate(FINGERPRINT)
    due = True

    def once(said: dict[str, object]) -> dict[str, object]:
        nonlocal due
        due, was = False, due
        return {**said, "renewal_is_due": was}

    with held(site, "Ada Ash") as ada:
        with told(tablet, "shared/terms", once):
            tablet.get_by_role("button", name="Sign in").click()
            tablet.wait_for_function(
                f"async (first) => (await ({FINGERPRINT})()) !== first",
                arg=first,
                timeout=60_000,
            )
        tablet.reload()
        expect(tablet.get_by_text("Tablet, Ward 7")).to_be_visible()
        sign_in(tablet, ada.page, "Ada Ash")
        ada.page.get_by_role("button", name="Done").click()
        approved(tablet, ada)


def test_whoever_leaves_without_a_word_is_signed_out(site: Site, tablet: Page) -> None:
    """By the page itself, whose clock the test turns."""
    with held(site, "Ada Lovelace") as ada:
        tablet.clock.install()
        sign_in(tablet, ada.page, "Ada Lovelace")
        tablet.clock.fast_forward("05:10")
        expect(tablet.get_by_text("nobody did anything here")).to_be_visible()
        out(tablet)


def test_a_removed_device_keeps_nothing(site: Site, tablet: Page) -> None:
    registry = site.keystore.registry.shared_devices
    with held(site, "Ada Quill") as ada:
        sign_in(tablet, ada.page, "Ada Quill")
        for page in registry.ListSharedDevices(shared_devices_pb2.ListSharedDevicesRequest()):
            for each in page.devices:
                if each.is_taken:
                    registry.RemoveSharedDevice(
                        shared_devices_pb2.RemoveSharedDeviceRequest(
                            device_id=each.id, reason="lost"
                        )
                    )
        expect(tablet.get_by_role("heading", name="no longer yours to approve")).to_be_visible()
        expect(tablet.locator("#seat")).to_be_hidden()
        wiped, stored = tablet.evaluate(KEPT)
        assert wiped
        assert "Ada" not in stored
