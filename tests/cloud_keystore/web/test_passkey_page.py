"""A phone whose key is a passkey, in a real browser with a virtual authenticator."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Route, expect

from cloud_keystore.web.proofs import decoded
from cloudcard.registry.v1 import cards_pb2, identities_pb2
from cloudcard.workstation.v1 import workstation_pb2
from support.fingers import BY_PASSKEY, SET_UP, Finger, enrol
from support.page_holders import DIGEST, begun
from support.pages import Site, serving


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(tmp_path_factory.mktemp("passkeys"), passkeys=True) as site:
        yield site


def devices(site: Site, user_id: str) -> list[identities_pb2.Device]:
    asked = identities_pb2.ListDevicesRequest(user_id=user_id)
    found = site.keystore.registry.identities.ListDevices(asked)
    return [each for response in found for each in response.devices]


def test_a_passkey_approves_and_only_for_its_holder(site: Site) -> None:
    """AUTH-06: finger, face or the phone's PIN, each time; and the signature verifies."""
    user_id, token = site.invited("Ada Byron")
    with site.page() as page:
        finger = Finger.on(page)
        enrol(page, site, token)
        expect(page.get_by_text("It approves by your passkey.")).to_be_visible()
        (device,) = devices(site, user_id)
        assert device.kind == identities_pb2.DEVICE_KIND_PASSKEY
        with begun(site, page, "Ada Byron", user_id) as ada:
            page.reload()
            made = ada.ask()
            finger.is_right(False)
            page.get_by_label("Number on the workstation's screen").fill(made.number)
            page.get_by_role("button", name="Approve").click()
            expect(page.get_by_text("It needs your finger, face or PIN.")).to_be_visible()
            assert ada.state(made.id) == "OPERATION_STATE_PENDING"
            finger.is_right(True)
            page.get_by_role("button", name="Approve").click()
            expect(page.get_by_role("heading", name="Approved")).to_be_visible()
            ada.verify(ada.workstation.perform(made.id, DIGEST))
            page.get_by_role("button", name="Done").click()
            denied = ada.ask()
            page.get_by_role("button", name="Deny").click()
            expect(page.get_by_role("heading", name="Denied")).to_be_visible()
            assert ada.state(denied.id) == "OPERATION_STATE_DENIED"


def test_the_browsers_key_alone_approves_nothing(site: Site) -> None:
    """Somebody who has the unlocked page, and no finger: the key that signs its calls is not the
    one that approves.
    """
    user_id, token = site.invited("Bea Blum")
    with site.page() as page:
        Finger.on(page)
        enrol(page, site, token)
        with begun(site, page, "Bea Blum", user_id) as bea:
            page.reload()
            made = bea.ask()

            def by_key(route: Route) -> None:
                said = json.loads(route.request.post_data or "")
                assertion = said.pop("assertion")
                challenge = json.loads(decoded(assertion["client_data"]))["challenge"]
                assert len(decoded(challenge)) == 32
                route.continue_(post_data=json.dumps(said))

            page.route("**/decision", by_key)
            page.get_by_label("Number on the workstation's screen").fill(made.number)
            page.get_by_role("button", name="Approve").click()
            # The proof of the call is over its body; nobody between changes it.
            expect(page.get_by_text("the proof is for another body")).to_be_visible()
            assert bea.state(made.id) == "OPERATION_STATE_PENDING"


def test_a_passkey_agrees_to_an_unlock_each_time_by_its_holders_finger(site: Site) -> None:
    """AUTH-06, AUTH-12."""
    user_id, token = site.invited("Eve Ek")
    with site.page() as page:
        finger = Finger.on(page)
        enrol(page, site, token)
        with begun(site, page, "Eve Ek", user_id) as eve:
            wrong = workstation_pb2.VerifyPasscodeRequest(
                card_serial=eve.serial, key_ref=0x80, passcode=b"999000"
            )
            for _ in range(3):
                eve.workstation.stub.VerifyPasscode(wrong, timeout=60)
            page.reload()
            agree = page.get_by_role("button", name="Agree to an unlock")
            agree.click()
            expect(page.get_by_text("nobody has asked to unlock card")).to_be_visible()
            asked = cards_pb2.UnlockCardRequest(card_serial=eve.serial)
            site.keystore.registry.cards.UnlockCard(asked)
            finger.is_right(False)
            agree.click()
            expect(page.get_by_text("It needs your finger, face or PIN.")).to_be_visible()
            finger.is_right(True)
            agree.click()
            expect(page.get_by_role("heading", name="Card unlocked")).to_be_visible()


def test_whose_answer_was_lost_gets_the_same_phone_again(site: Site) -> None:
    user_id, token = site.invited("Cy Cole")
    with site.page() as page:
        Finger.on(page)
        lost: list[str] = []

        def lose(route: Route) -> None:
            if lost:
                route.continue_()
                return
            lost.append(route.fetch().text())
            route.abort()

        page.route("**/authenticator/v1/enrolments", lose)
        page.goto(f"{site.origin}/authenticator#{token}")
        page.get_by_label(BY_PASSKEY).check()
        page.get_by_role("button", name=SET_UP).click()
        expect(page.get_by_text("The keystore cannot be reached.")).to_be_visible()
        page.get_by_role("button", name=SET_UP).click()
        expect(page.get_by_text("It approves by your passkey.")).to_be_visible()
        assert [each.id for each in devices(site, user_id)] == [json.loads(lost[0])["id"]]


def test_a_page_at_another_address_makes_no_passkey(site: Site) -> None:
    user_id, token = site.invited("Di Dorn")
    elsewhere = site.origin.replace("localhost", "127.0.0.1")
    page = site.browser.new_page()
    try:
        page.goto(f"{elsewhere}/authenticator#{token}")
        page.get_by_label(BY_PASSKEY).check()
        page.get_by_role("button", name=SET_UP).click()
        expect(page.get_by_text(f"Passkeys are made at {site.origin} alone")).to_be_visible()
        page.get_by_label(BY_PASSKEY).uncheck()
        page.get_by_role("button", name=SET_UP).click()
        expect(page.get_by_text("This phone is connected.")).to_be_visible()
        (device,) = devices(site, user_id)
        assert device.kind != identities_pb2.DEVICE_KIND_PASSKEY
    finally:
        page.close()
