"""How a page stands with its keystore, in a real browser: it renews its certificate, keeps nothing
after it was removed, says when cards end, and asks what its holder thinks.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from cloudcard.registry.v1 import identities_pb2, organisations_pb2
from support.accessibility import check
from support.page_holders import DIGEST, held
from support.pages import FINGERPRINT, Site, serving, told

KEEPS_NOTHING = """async () => {
  const { kept } = await import('/assets/authenticator/keeping.js');
  return (await Promise.all(['own', 'begun', 'history', 'bell'].map(kept))).every((each) => !each);
}"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(tmp_path_factory.mktemp("standing")) as site:
        yield site


def test_the_certificate_is_renewed_and_the_key_goes_on(site: Site) -> None:
    with held(site, "Ada Byron") as ada:
        first = ada.page.evaluate(FINGERPRINT)
        due = True

        def once(said: dict[str, object]) -> dict[str, object]:
            nonlocal due
            due, was = False, due
            return {**said, "renewal_is_due": was}

        renewal = ada.page.expect_response("**/authenticator/v1/renewal")
        with told(ada.page, "terms", once), renewal:
            ada.page.reload()
        ada.page.wait_for_function(
            f"async (first) => (await ({FINGERPRINT})()) !== first", arg=first
        )
        ada.page.reload()
        made = ada.ask()
        ada.page.get_by_label("Number on the workstation's screen").fill(made.number)
        ada.page.get_by_role("button", name="Approve").click()
        expect(ada.page.get_by_role("heading", name="Approved")).to_be_visible()
        ada.verify(ada.workstation.perform(made.id, DIGEST))


def test_a_phone_that_was_removed_keeps_nothing_at_its_next_launch(site: Site) -> None:
    """DEV-02: and can be set up again."""
    user_id, token = site.invited("Bea Blum")
    with site.page() as page:
        site.enrol(page, token)
        assert not page.evaluate(KEEPS_NOTHING)
        page.goto(f"{site.origin}/")
        identities = site.keystore.registry.identities
        listed = identities.ListDevices(identities_pb2.ListDevicesRequest(user_id=user_id))
        (device,) = (each for response in listed for each in response.devices)
        assert device.software.version  # DEV-01
        removed = identities_pb2.RemoveDeviceRequest(device_id=device.id, reason="lost")
        identities.RemoveDevice(removed)
        page.goto(f"{site.origin}/authenticator")
        expect(page.get_by_text("no longer yours to approve with")).to_be_visible()
        page.wait_for_function(KEEPS_NOTHING)
        check(page)
        page.get_by_role("button", name="I have a new link or code").click()
        expect(page.get_by_role("heading", name="Set up this phone")).to_be_visible()


def test_holders_are_asked_what_they_think_and_told_when_a_card_ends(site: Site) -> None:
    """COM-07, and the end of a card in days."""
    policy = organisations_pb2.Policy(largest_batch=1, survey_after=1)
    asked = organisations_pb2.SetPolicyRequest(policy=policy)
    site.keystore.registry.organisations.SetPolicy(asked)
    with held(site, "Cy Cole") as cy:
        page = cy.page
        made = cy.ask()
        page.get_by_label("Number on the workstation's screen").fill(made.number)
        page.get_by_role("button", name="Approve").click()
        expect(page.get_by_role("heading", name="Approved")).to_be_visible()
        cy.workstation.perform(made.id, DIGEST)
        with told(page, "cards", ending):
            page.get_by_role("button", name="Done").click()
            expect(page.get_by_text("It ends in 12 days, on ")).to_be_visible()
        question = page.get_by_role("group", name="Would you recommend your card to a colleague?")
        expect(question).to_be_visible()
        page.get_by_role("button", name="Send").click()
        expect(page.get_by_text("Choose a number from 0 to 10")).to_be_visible()
        check(page)
        page.get_by_label("9", exact=True).check()
        page.get_by_label("Why?").fill("It is quick.")
        page.get_by_role("button", name="Send").click()
        expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
        page.get_by_role("button", name="Done").click()
        expect(page.get_by_role("heading", name="No request is waiting")).to_be_visible()
        expect(question).to_be_hidden()


def ending(said: dict[str, object]) -> dict[str, object]:
    """Cards that end soon."""
    cards: list[dict[str, object]] = said["cards"]  # type: ignore[assignment]
    return {**said, "cards": [{**each, "days_left": 12} for each in cards]}


def test_a_page_that_is_too_old_says_so(site: Site) -> None:
    _, token = site.invited("Di Dorn")
    with site.page() as page:
        site.enrol(page, token)
        with told(page, "terms", lambda said: {**said, "is_outdated": True}):
            page.reload()
            expect(page.get_by_role("heading", name="This page is too old")).to_be_visible()
        check(page)
        page.get_by_role("button", name="Get the newest version").click()
        expect(page.get_by_text("This phone is connected.")).to_be_visible()


def test_a_keystore_of_before_is_asked_for_nothing_that_it_does_not_know(site: Site) -> None:
    """N-2: it does not say what it offers."""
    with held(site, "Eve Ek") as eve:
        asked: list[str] = []
        eve.page.on("request", lambda sent: asked.append(sent.url.rpartition("/")[2]))
        eve.page.route("**/authenticator/v1/terms", lambda route: route.fulfill(status=404))
        with eve.page.expect_response("**/authenticator/v1/terms"):
            eve.page.reload()
        expect(eve.page.get_by_text("This phone is connected.")).to_be_visible()
        eve.ask()
        assert {"survey", "sign-ins", "renewal"}.isdisjoint(asked)
