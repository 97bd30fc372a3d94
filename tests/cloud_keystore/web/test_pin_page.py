"""A phone asks for a PIN of its own before it approves, in a real browser (AUTH-15)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from cloudcard.registry.v1 import identities_pb2
from cloudcard.workstation.v1 import workstation_pb2
from support import pictures
from support.accessibility import check
from support.page_holders import DIGEST, held
from support.pages import Site, serving

PIN, OTHER = "246802", "135791"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(tmp_path_factory.mktemp("pins")) as site:
        yield site


def choose(page: Page, *values: str) -> None:
    """Type a new PIN twice, after what is asked for before it."""
    if len(values) > 1:
        page.locator("#pin-secret").fill(values[0])
    page.get_by_label("New PIN", exact=True).fill(values[-1])
    page.get_by_label("New PIN once more").fill(values[-1])
    page.get_by_role("button", name="Save the PIN").click()


def approve(page: Page, number: str, pin: str) -> None:
    page.get_by_label("Number on the workstation's screen").fill(number)
    page.get_by_label("PIN of this phone").fill(pin)
    page.get_by_role("button", name="Approve").click()


def test_a_phone_asks_for_its_pin_and_a_code_replaces_it(site: Site) -> None:
    """BUG-14, BUG-15: the registration authority makes codes, of which the newest counts, once."""
    with held(site, "Ada Byron") as ada:
        page, identities = ada.page, site.keystore.registry.identities
        page.reload()
        page.get_by_role("button", name="Choose a PIN").click()
        check(page)
        pictures.take(page, "pin")
        choose(page, "123456")
        expect(page.get_by_text("The new PIN must be")).to_be_visible()
        check(page)
        choose(page, PIN)
        expect(page.get_by_role("heading", name="PIN chosen")).to_be_visible()
        page.get_by_role("button", name="Done").click()
        expect(page.get_by_text("This phone asks for its PIN before it approves.")).to_be_visible()
        made = ada.ask()
        check(page)
        for left in (4, 3, 2, 1):
            approve(page, made.number, "975310")
            expect(page.get_by_text(f"That was wrong. {left} tries are left.")).to_be_visible()
        approve(page, made.number, "975310")
        expect(page.get_by_text("The PIN is locked, after too many wrong ones.")).to_be_visible()
        assert ada.state(made.id) == "OPERATION_STATE_PENDING"
        asked_no_more = workstation_pb2.CancelOperationRequest(operation_id=made.id)
        ada.workstation.stub.CancelOperation(asked_no_more, timeout=60)
        expect(page.get_by_text("The workstation no longer asks.")).to_be_visible()
        page.get_by_role("button", name="Done").click()
        listed = identities.ListDevices(identities_pb2.ListDevicesRequest(user_id=ada.user_id))
        (device,) = (each for response in listed for each in response.devices)
        asked = identities_pb2.CreateAppPinCodeRequest(device_id=device.id)
        old, new = (identities.CreateAppPinCode(asked).code for _ in range(2))
        page.get_by_role("button", name="I have a code for another PIN").click()
        choose(page, old, OTHER)
        expect(page.get_by_text("That was wrong. 4 tries are left.")).to_be_visible()
        choose(page, new, OTHER)
        expect(page.get_by_role("heading", name="PIN chosen")).to_be_visible()
        page.get_by_role("button", name="Done").click()
        made = ada.ask()
        approve(page, made.number, OTHER)
        expect(page.get_by_role("heading", name="Approved")).to_be_visible()
        ada.verify(ada.workstation.perform(made.id, DIGEST))


def test_a_page_that_does_not_ask_for_the_pin_approves_nothing(site: Site) -> None:
    """Somebody has changed the page on a phone that was found: the keystore asks."""
    with held(site, "Bea Blum") as bea:
        page = bea.page
        page.reload()
        page.get_by_role("button", name="Choose a PIN").click()
        choose(page, PIN)
        expect(page.get_by_role("heading", name="PIN chosen")).to_be_visible()
        hidden = '{"is_set": false, "tries_left": 0}'
        page.route(
            "**/authenticator/v1/pin",
            lambda route: route.fulfill(status=200, content_type="application/json", body=hidden),
        )
        page.reload()
        expect(page.get_by_role("button", name="Choose a PIN")).to_be_visible()
        made = bea.ask()
        expect(page.get_by_label("PIN of this phone")).to_be_hidden()
        page.get_by_label("Number on the workstation's screen").fill(made.number)
        page.get_by_role("button", name="Approve").click()
        expect(page.get_by_text("this phone asks for its PIN first")).to_be_visible()
        assert bea.state(made.id) == "OPERATION_STATE_PENDING"
        page.unroute("**/authenticator/v1/pin")
        page.reload()
        approve(page, made.number, PIN)
        expect(page.get_by_role("heading", name="Approved")).to_be_visible()
