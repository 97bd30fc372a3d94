"""The authenticator in a real browser, against a real keystore and a workstation that waits."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from hashlib import sha256
from typing import TypeAlias

import pytest
from playwright.sync_api import Route, expect

from cloud_keystore.web.proofs import decoded, encoded
from cloudcard.registry.v1 import identities_pb2, organisations_pb2
from cloudcard.workstation.v1 import workstation_pb2
from reader_bridge.remote import check_code
from support import pictures
from support.accessibility import check
from support.keystore_process import PASSCODE
from support.page_holders import DIGEST, Holder, held
from support.pages import Site, serving

KEPT_NOTHING = """async () => {
  const { kept } = await import('/assets/authenticator/keeping.js');
  return (await Promise.all(['own', 'begun', 'history', 'bell'].map(kept))).every((each) => !each);
}"""
NOT_ME = re.compile("This wasn.t me")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(tmp_path_factory.mktemp("web")) as site:
        yield site


NewHolder: TypeAlias = Callable[..., AbstractContextManager[Holder]]


@pytest.fixture
def new_holder(site: Site) -> NewHolder:
    return partial(held, site)


def test_what_is_approved_on_the_page_is_signed(new_holder: NewHolder) -> None:
    """AUTH-01: a request appears within two seconds, is approved once, and used once."""
    with new_holder("Ada Byron") as ada:
        with ThreadPoolExecutor(1) as asking:
            request_id = os.urandom(16)
            asked = asking.submit(ada.workstation.create, request_id, DIGEST)
            expect(ada.page.get_by_role("heading", name="Sign once?")).to_be_visible(timeout=5000)
            made = asked.result()
        expect(ada.page).to_have_title(re.compile("^A request is waiting"))
        shown = ada.page.locator("#facts").inner_text()
        request = workstation_pb2.CreateOperationRequest(
            request_id=request_id,
            card_serial=ada.serial,
            key_ref=0x9A,
            algorithm=17,
            key_use=1,
            inputs=[DIGEST],
        )
        for fact in ("PC of Ada Byron", "Ward 7", ada.serial, check_code.of_request(request)):
            assert fact in shown
        ada.page.get_by_label("Number on the workstation's screen").fill(made.number)
        ada.page.get_by_role("button", name="Approve").click()
        expect(ada.page.get_by_role("heading", name="Approved")).to_be_visible()
        ada.verify(ada.workstation.perform(made.id, DIGEST))
        ada.page.get_by_role("button", name="Done").click()
        expect(ada.page.get_by_role("heading", name="No request is waiting")).to_be_visible()
        expect(ada.page).to_have_title(re.compile("^Authenticator"))


def test_each_document_is_listed_and_can_be_read_by_keys_alone(
    site: Site, new_holder: NewHolder
) -> None:
    """Of 250, each with its data; the list scrolls in itself, and text in it is no HTML."""
    large = organisations_pb2.Policy(largest_batch=250, largest_commitment_batch=250)
    site.keystore.registry.organisations.SetPolicy(organisations_pb2.SetPolicyRequest(policy=large))
    with new_holder("Dot Dean") as dot:
        inputs = [sha256(bytes([n])).digest() for n in range(250)]
        asked = workstation_pb2.CreateOperationRequest(
            request_id=os.urandom(16),
            card_serial=dot.serial,
            key_ref=0x9A,
            algorithm=17,
            key_use=1,
            inputs=inputs,
            documents=[f"<b>{n} items</b>" for n in range(1, 251)],
            passcode_proof=dot.workstation.proof(),
        )
        made = dot.workstation.stub.CreateOperation(asked, timeout=60).operation
        page = dot.page
        expect(page.get_by_role("heading", name="Sign 250 times?")).to_be_visible()
        rows = page.locator("#documents li")
        expect(rows).to_have_count(250)
        expect(rows.last).to_have_text(f"<b>250 items</b>{sha256(inputs[-1]).hexdigest()[:16]}…")
        check(page)
        region = page.get_by_role("region", name="The 250 documents")
        region.focus()
        page.keyboard.press("End")
        expect(rows.last).to_be_in_viewport(timeout=60_000)
        page.get_by_label("Number on the workstation's screen").fill(made.number)
        page.get_by_role("button", name="Approve").click()
        expect(page.get_by_role("heading", name="Approved")).to_be_visible()
        performed = workstation_pb2.PerformOperationRequest(operation_id=made.id, inputs=inputs)
        results = dot.workstation.stub.PerformOperation(performed, timeout=60).results
        assert len(results) == 250
        page.get_by_role("button", name="Done").click()
        dot.ask()
        expect(page.locator("#documents-group")).to_be_hidden()


def test_a_wrong_number_approves_nothing(new_holder: NewHolder) -> None:
    with new_holder("Bea Blum") as bea:
        made, page = bea.ask(), bea.page
        expect(page.get_by_role("heading", name="Sign once?")).to_be_visible()
        pictures.take(page, "approve")
        page.get_by_role("button", name="Approve").click()
        expect(bea.page.get_by_text("Type the number that")).to_be_visible()
        wrong = f"{(int(made.number) + 1) % 100:02}"
        bea.page.get_by_label("Number on the workstation's screen").fill(wrong)
        bea.page.get_by_role("button", name="Approve").click()
        expect(bea.page.get_by_role("heading", name="Not approved")).to_be_visible()
        assert bea.state(made.id) == "OPERATION_STATE_DENIED"


def test_it_is_denied(new_holder: NewHolder) -> None:
    with new_holder("Cy Cole") as cy:
        denied = cy.ask()
        cy.page.get_by_role("button", name="Deny").click()
        expect(cy.page.get_by_role("heading", name="Denied")).to_be_visible()
        assert cy.state(denied.id) == "OPERATION_STATE_DENIED"


def test_a_request_of_somebody_else_is_reported(new_holder: NewHolder) -> None:
    with new_holder("Cid Cox") as cy:
        reported = cy.ask()
        cy.page.get_by_role("button", name=NOT_ME).click()
        cy.page.get_by_role("button", name="Go back").click()
        cy.page.get_by_role("button", name=NOT_ME).click()
        cy.page.get_by_role("button", name="Yes, report it").click()
        expect(cy.page.get_by_role("heading", name="Reported")).to_be_visible()
        assert cy.state(reported.id) == "OPERATION_STATE_DENIED"
        cy.page.get_by_role("button", name="Done").click()
        expect(cy.page.get_by_text("suspended: your registration")).to_be_visible()


def test_a_request_that_is_withdrawn_goes_from_the_screen(new_holder: NewHolder) -> None:
    with new_holder("Di Dorn") as di:
        made = di.ask()
        asked = workstation_pb2.CancelOperationRequest(operation_id=made.id)
        di.workstation.stub.CancelOperation(asked, timeout=60)
        expect(di.page.get_by_text("The workstation no longer asks.")).to_be_visible()
        assert di.page.get_by_role("button", name="Approve").is_hidden()


def test_the_page_shows_only_what_the_keystore_has_signed(new_holder: NewHolder) -> None:
    """Somebody between keystore and page changes what is shown, or what is asked for: the page
    shows neither, and signs nothing.
    """
    with new_holder("Eve Ek") as eve:

        def changed(route: Route) -> None:
            body = route.fetch().text()
            told = json.loads(body)
            payload = bytearray(decoded(told["payload"]))
            at = payload.find(b"PC of Eve Ek")
            payload[at : at + 2] = b"XX"
            told["payload"] = encoded(bytes(payload))
            route.fulfill(status=200, content_type="application/json", body=json.dumps(told))

        made = eve.scannable()
        decisions: list[str] = []
        eve.page.on(
            "request", lambda sent: decisions.append(sent.url) if "decision" in sent.url else None
        )
        eve.page.route("**/claims", changed)
        eve.page.get_by_text("Enter the code that a workstation shows").click()
        eve.page.get_by_label("Code below the picture").fill(made.qr_text)
        eve.page.get_by_role("button", name="Show the request").click()
        expect(eve.page.get_by_text("A request was not from your keystore.")).to_be_visible()
        assert decisions == []
        assert "XX" not in eve.page.locator("#facts").inner_text()
        # What the keystore itself tells is shown, and approved without a number: it is claimed.
        expect(eve.page.get_by_role("heading", name="Sign once?")).to_be_visible()
        expect(eve.page.get_by_label("Number on the workstation's screen")).to_be_hidden()
        eve.page.get_by_role("button", name="Approve").click()
        expect(eve.page.get_by_role("heading", name="Approved")).to_be_visible()
        eve.verify(eve.workstation.perform(made.id, DIGEST))


def test_the_key_does_not_leave_the_browser(new_holder: NewHolder) -> None:
    with new_holder("Flo Fay") as flo:
        said = flo.page.evaluate(
            """async () => {
              const { kept } = await import('/assets/authenticator/keeping.js');
              const { privateKey } = await kept('own');
              const tries = ['pkcs8', 'jwk', 'raw'].map((form) =>
                crypto.subtle.exportKey(form, privateKey).then(() => form, () => 'refused'));
              return [privateKey.extractable, ...await Promise.all(tries)];
            }"""
        )
        assert said == [False, "refused", "refused", "refused"]
        assert "cc1" not in flo.page.url


def test_a_page_that_is_opened_again_is_the_same_device(new_holder: NewHolder) -> None:
    with new_holder("Gus Gil") as gus:
        gus.page.reload()
        made = gus.ask()
        gus.page.reload()
        expect(gus.page.get_by_role("heading", name="Sign once?")).to_be_visible()
        gus.page.get_by_label("Number on the workstation's screen").fill(made.number)
        gus.page.get_by_role("button", name="Approve").click()
        expect(gus.page.get_by_role("heading", name="Approved")).to_be_visible()
        assert gus.state(made.id) == "OPERATION_STATE_APPROVED"


def test_a_used_token_and_a_wrong_code_are_told(site: Site) -> None:
    _, token = site.invited("Hal Hay")
    with site.page() as first:
        site.enrol(first, token)
    with site.page() as second:
        second.goto(f"{site.origin}/authenticator")
        second.get_by_role("textbox", name="Code").fill("cc1.nonsense")
        second.get_by_role("button", name="Set up this phone").click()
        expect(second.get_by_text("This is not the code")).to_be_visible()
        second.get_by_role("textbox", name="Code").fill(token)
        second.get_by_role("button", name="Set up this phone").click()
        expect(second.get_by_text("unknown, used or expired")).to_be_visible()
        assert second.get_by_role("button", name="Set up this phone").is_enabled()


def test_it_can_be_installed_and_opens_without_a_network(site: Site) -> None:
    _, token = site.invited("Ivo Ilg")
    with site.page() as page:
        site.enrol(page, token)
        session = page.context.new_cdp_session(page)
        wrong = session.send("Page.getInstallabilityErrors")["installabilityErrors"]
        assert [each["errorId"] for each in wrong if each["errorId"] != "in-incognito"] == []
        page.evaluate("() => navigator.serviceWorker.ready.then(() => null)")
        page.context.set_offline(True)
        page.reload()
        said = page.locator("#connection")
        expect(said).to_have_text(re.compile("This phone is offline|cannot be reached"))


def test_removed_phones_say_so_and_keep_nothing(site: Site) -> None:
    """DEV-02: at once if the page is open, else at its next launch."""
    user_id, token = site.invited("Jo Jay")
    with site.page() as page:
        site.enrol(page, token)
        registry = site.keystore.registry
        listed = registry.identities.ListDevices(identities_pb2.ListDevicesRequest(user_id=user_id))
        (device,) = (each for response in listed for each in response.devices)
        registry.identities.RemoveDevice(
            identities_pb2.RemoveDeviceRequest(device_id=device.id, reason="lost")
        )
        expect(page.get_by_text("no longer yours to approve with")).to_be_visible(timeout=90_000)
        page.wait_for_function(KEPT_NOTHING)
        assert page.evaluate(KEPT_NOTHING)
        page.get_by_role("button", name="I have a new link or code").click()
        expect(page.get_by_role("heading", name="Set up this phone")).to_be_visible()


def test_a_passcode_is_chosen_changed_and_reset_on_the_page(new_holder: NewHolder) -> None:
    """AUTH-10, AUTH-11, AUTH-12: the page says that a card is locked, and which passcodes it can
    have; by the PUK the holder chooses another one.
    """
    with new_holder("Kit Kay", has_passcode=False) as kit:
        page = kit.page
        page.reload()
        expect(page.get_by_text("It is waiting for its passcode.")).to_be_visible()
        page.get_by_role("button", name="Choose a passcode").click()
        expect(page.get_by_text("It has 6 to 8 digits, no letters")).to_be_visible()

        def save(*values: str) -> None:
            for label, value in zip(
                ("New passcode", "New passcode once more"), values[-2:], strict=True
            ):
                page.get_by_label(label, exact=True).fill(value)
            if len(values) > 2:
                page.locator("#secret").fill(values[0])
            page.get_by_role("button", name="Save the passcode").click()

        save("135790", "135791")
        expect(page.get_by_text("are not the same")).to_be_visible()
        save("123456", "123456")
        expect(page.get_by_text("harder to guess")).to_be_visible()
        save(PASSCODE, PASSCODE)
        expect(page.get_by_role("heading", name="Passcode chosen")).to_be_visible()
        told = page.locator("#done-text").inner_text()
        found = re.search(r"\d{8}", told)
        assert found is not None
        page.get_by_role("button", name="Done").click()
        expect(page.get_by_text("It is in use.")).to_be_visible()
        # Somebody else types wrong passcodes at the workstation, until the card is locked.
        for _ in range(3):
            wrong = workstation_pb2.VerifyPasscodeRequest(
                card_serial=kit.serial, key_ref=0x80, passcode=b"999000"
            )
            kit.workstation.stub.VerifyPasscode(wrong, timeout=60)
        page.reload()
        expect(page.get_by_text("locked, after too many wrong passcodes")).to_be_visible()
        page.get_by_role("button", name="New passcode by the PUK").click()
        save("00000000", "246802", "246802")
        expect(page.get_by_text("That was wrong.")).to_be_visible()
        save(found[0], "246802", "246802")
        expect(page.get_by_role("heading", name="Passcode changed")).to_be_visible()
        page.get_by_role("button", name="Done").click()
        expect(page.get_by_text("It is in use.")).to_be_visible()


def test_everybody_can_use_the_pages(site: Site, new_holder: NewHolder) -> None:
    with site.page() as page:
        for path in ("/", "/nothing", "/authenticator", "/address"):
            page.goto(f"{site.origin}{path}")
            expect(page.get_by_role("heading", level=1).first).to_be_visible()
            check(page)
    with new_holder("Liv Lee-Longstocking of the Outpatients Department") as liv:
        page = liv.page
        page.reload()
        page.get_by_text("What was decided on this phone").click()
        page.get_by_text("Enter the code that a workstation shows").click()
        check(page)
        page.get_by_role("button", name="Scan a workstation").click()
        expect(page.locator("#camera-problem")).to_be_visible()
        check(page)
        page.get_by_role("button", name="Go back").click()
        page.get_by_role("button", name="Change the passcode").click()
        check(page)
        page.get_by_role("button", name="Go back").click()
        liv.ask()
        check(page)
        page.get_by_role("button", name="Approve").click()
        check(page)  # with the problem on it
        page.get_by_role("button", name=NOT_ME).click()
        check(page)
        page.get_by_role("button", name="Go back").click()
        page.get_by_role("button", name="Deny").click()
        expect(page.get_by_role("heading", name="Denied")).to_be_visible()
        check(page)
        page.get_by_role("button", name="Done").click()
        expect(
            page.get_by_text("Denied: Sign once, for PC of Liv Lee-Longstocking")
        ).to_be_visible()
