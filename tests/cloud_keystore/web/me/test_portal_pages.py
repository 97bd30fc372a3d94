"""The portal in a real browser, against a real keystore and a real mail server: one for all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus

import pytest
from playwright.sync_api import Page, expect

from cloudcard.authenticator.v1 import holder_pb2, holder_pb2_grpc
from cloudcard.registry.v1 import identities_pb2, organisations_pb2, people_pb2
from cloudcard_tools.authenticator.phone import Phone
from cloudcard_tools.shared import identity
from support import mail_server, pictures
from support.accessibility import check
from support.crawling import addresses, crawl, sent_nonsense
from support.fingers import Finger, enrol
from support.mail_server import MailServer, options_to
from support.pages import DESK, Site, serving
from support.portal import EMAIL, OTHER, PASSWORD, code_in

SUBJECT = "Your code to log in"

APP_PIN = "246802"  # of a phone
# Steps on a way, and questions that need more: other tests look at them.
ELSEWHERE = {
    "/me/begin/email",
    "/me/begin/passcode",
    "/me/begin/password",
    "/me/begin/phone",
    "/me/begin/tasks",
    "/me/cards/{serial}/renew",
    "/me/code",
    "/me/passkeys/{passkey_id}/remove",
}
REFUSED = {HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.FORBIDDEN}


@dataclass
class Ada:
    """A keystore with pages, and a holder with a phone, a card and a password."""

    site: Site
    mail: MailServer
    serial: str
    phone: identity.Identity
    user_id: str
    _read: int = field(default=0)

    def code(self, subject: str) -> str:
        """The code in the next letter that is about something."""
        while True:
            letter = self.mail.wait_for(self._read + 1)[self._read]
            self._read += 1
            if letter["subject"] == subject:
                body = letter.get_body(("plain",))
                assert body is not None
                return code_in(str(body.get_content()))

    @contextmanager
    def page(
        self, width: int = DESK["width"], *, scripts: bool = True, email: str = EMAIL
    ) -> Iterator[Page]:
        """A page of hers, or of somebody else with the same password, after the log-in."""
        with self.site.page(width, scripts=scripts) as page:
            enter(self, page, email)
            expect(page.get_by_role("heading", name="Enter the code")).to_be_visible()
            if scripts:
                check(page)
            page.get_by_label("Code", exact=True).fill(self.code(SUBJECT))
            page.get_by_role("button", name="Log in").click()
            expect(page.get_by_role("heading", name="Your cards")).to_be_visible()
            yield page


@pytest.fixture(scope="module")
def ada(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ada]:
    with (
        mail_server.serving(MailServer()) as mail,
        serving(tmp_path_factory.mktemp("me"), options_to(mail), passkeys=True) as site,
    ):
        keystore = site.keystore
        is_not_offered(site)
        policy = organisations_pb2.Policy(largest_batch=1, portal_passwords=True)
        asked = organisations_pb2.SetPolicyRequest(policy=policy)
        keystore.registry.organisations.SetPolicy(asked)
        user_id, phone = keystore.holder("Ada Byron", EMAIL)
        made = Ada(site, mail, keystore.card(user_id, phone), phone, user_id)
        set_password(made, phone)
        yield made


def set_password(ada: Ada, phone: identity.Identity) -> None:
    """Verify the address of a phone's holder, and set the password there."""
    with identity.channel(phone) as channel:
        holder = holder_pb2_grpc.HolderServiceStub(channel)
        holder.SendAddressCode(holder_pb2.SendAddressCodeRequest())
        code = ada.code("Your code to verify this address")
        assert holder.VerifyAddress(holder_pb2.VerifyAddressRequest(code=code)).is_verified
        new = holder_pb2.SetPortalPasswordRequest(password=PASSWORD)
        assert holder.SetPortalPassword(new).is_set


def asks_the_phone(ada: Ada, phone: Page, email: str) -> None:
    """AUTH-07: a holder lets each log-in need the phone, which shows what it is asked, and asks for
    the PIN that was chosen there.
    """
    with ada.page(email=email) as page:
        page.goto(f"{ada.site.origin}/me/log-in-by")
        check(page)
        page.get_by_label("A yes of my authenticator").check()
        page.get_by_role("button", name="Go on").click()
        check(page)
        agree(phone, page, "Ask this phone at each log-in?")
        choose_pin(phone)
        code = ada.code("Your code to change how you log in")
        page.get_by_label("Code from the e-mail").fill(code)
        page.get_by_role("button", name="Change it").click()
        expect(page.get_by_text("Your log-ins need this from now on.")).to_be_visible()
        check(page)
    with ada.site.page(DESK["width"], scripts=False) as page:
        enter(ada, page, email)
        expect(page.get_by_role("heading", name="Agree on your phone")).to_be_visible()
        pictures.take(page, "agree")
        page.get_by_role("button", name="I have agreed on the phone").click()
        expect(page.get_by_role("alert")).to_contain_text("has not agreed yet")
        number = page.locator("#number").inner_text()
        pin = phone.locator("#questions").get_by_label("PIN of this phone")
        expect(pin).to_be_visible()
        phone.get_by_label("Number that the portal shows").fill(number)
        for typed, said in (("", "Type the PIN of this phone."), ("975310", "That was wrong.")):
            pin.fill(typed)
            phone.get_by_role("button", name="Yes, it is me").click()
            expect(phone.get_by_text(said)).to_be_visible()
        pin.fill(APP_PIN)
        agree(phone, page, "Log in to the portal?")
        page.get_by_role("button", name="I have agreed on the phone").click()
        expect(page.get_by_role("heading", name="Your cards")).to_be_visible()


def forgets_with_the_phone(ada: Ada, phone: Page, email: str) -> None:
    """AUTH-07: another password needs the mailed code and the phone, whose page says why."""
    with ada.site.page(DESK["width"], scripts=False) as page:
        asks_for_another(ada, page, email)
        set_it = page.get_by_role("button", name="I have agreed on the phone: set the password")
        for said in ("has not agreed yet", "Your password is set"):
            for label in ("New password", "New password once more"):
                page.get_by_label(label, exact=True).fill(OTHER)
            set_it.click()
            expect(page.get_by_text(said)).to_be_visible()
            if said == "has not agreed yet":
                phone.locator("#questions").get_by_label("PIN of this phone").fill(APP_PIN)
                agree(phone, page, "Another password for the portal?")
        asks_for_another(ada, page, email)
        expect(phone.get_by_text("Somebody has the code that was mailed to you")).to_be_visible()
        phone.get_by_role("button", name=re.compile("^This wasn.t me")).click()
        expect(phone.get_by_text("Somebody reads your e-mail")).to_be_visible()
        page.get_by_role("button", name="Ask the phone again").click()
        expect(page.get_by_role("alert")).to_contain_text("wrong, or good no longer")


def asks_for_another(ada: Ada, page: Page, email: str) -> None:
    """Say that the password is forgotten, and give the code that is mailed."""
    page.goto(f"{ada.site.origin}/me/forgotten")
    page.get_by_label("E-mail address or account name").fill(email)
    page.get_by_role("button", name="Mail a code").click()
    page.get_by_label("Code", exact=True).fill(ada.code("Your code to set another password"))
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("heading", name="Choose another password")).to_be_visible()


def choose_pin(phone: Page) -> None:
    phone.get_by_role("button", name="Choose a PIN").click()
    for label in ("New PIN", "New PIN once more"):
        phone.get_by_label(label, exact=True).fill(APP_PIN)
    phone.get_by_role("button", name="Save the PIN").click()
    phone.get_by_role("button", name="Done").click()


def agree(phone: Page, page: Page, title: str) -> None:
    """Type the number on the phone that the portal's page shows. The phone says that a question
    waits, on its screen, in its title and to whoever listens, until it is answered.
    """
    number = page.locator("#number").inner_text()
    expect(phone.get_by_role("heading", name=title)).to_be_visible()
    expect(phone.get_by_role("heading", level=1, name="A question is waiting")).to_be_visible()
    expect(phone.get_by_role("status").filter(has_text="A question is waiting")).to_be_visible()
    expect(phone.get_by_role("heading", name="No request is waiting")).to_have_count(0)
    expect(phone).to_have_title(re.compile("^A question is waiting"))
    check(phone)
    phone.get_by_label("Number that the portal shows").fill(number)
    phone.get_by_role("button", name="Yes, it is me").click()
    expect(phone.get_by_text("You have agreed. Go on at the portal.")).to_be_visible()
    expect(phone.get_by_role("heading", name="No request is waiting")).to_be_visible()
    expect(phone).to_have_title(re.compile("^Authenticator"))


def enter(ada: Ada, page: Page, email: str) -> None:
    """Give a name and the password."""
    page.goto(f"{ada.site.origin}/me")
    page.get_by_label("E-mail address or account name").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()


def is_not_offered(site: Site) -> None:
    """Without a policy, the page says what to do."""
    with site.page() as page:
        page.goto(f"{site.origin}/me")
        expect(
            page.get_by_text("ask your registration authority to allow passwords")
        ).to_be_visible()
        check(page)


def test_a_holder_looks_after_their_own(ada: Ada) -> None:
    """USER-23: the UUID is shown with the card. Each page has an address, and an empty one says
    so. Last, a lost phone is removed.
    """
    with ada.page() as page:
        expect(page.get_by_role("heading", name=f"Card {ada.serial}")).to_be_visible()
        expect(page.get_by_text(re.compile(r"^[1-9]\d{11}$"))).to_be_visible()
        expect(page.get_by_text(re.compile("^Ends "))).to_be_visible()
        check(page)
        pictures.take(page, "portal")
        for menu, said in (
            ("In use", "Your card is in no reader"),
            ("History", "set the portal password"),
            ("Contact", EMAIL),
            ("Password", "Your organisation asks none."),
            ("Phones", "Remove one that you have lost"),
        ):
            page.get_by_role("navigation").get_by_role("link", name=menu).click()
            expect(page.get_by_text(said).first).to_be_visible()
            check(page)
        page.goto(f"{ada.site.origin}/me/questions")
        expect(page.get_by_role("group")).to_have_count(5)
        check(page)
        page.get_by_role("button", name="Set the questions").click()
        expect(page.get_by_role("alert")).to_contain_text("Choose 3 to 5 questions")
        check(page)
        page.goto(f"{ada.site.origin}/me/phones")
        page.get_by_role("link", name=re.compile("^Remove")).click()
        expect(page.get_by_text("You have no other phone")).to_be_visible()
        check(page)
        page.get_by_role("button", name="Remove this phone").click()
        expect(page.get_by_text("The phone is removed.")).to_be_visible()
        expect(page.get_by_text("You have no phone.")).to_be_visible()
        check(page)


def test_a_phone_with_a_passkey_agrees_by_it_alone(ada: Ada) -> None:
    """AUTH-06: also to what is done at the portal, each time by its holder's finger."""
    identities = ada.site.keystore.registry.identities
    asked = identities_pb2.CreateDeviceTokenRequest(user_id=ada.user_id)
    title = "Ask this phone at each log-in?"
    with ada.site.page() as phone, ada.page() as page:
        finger = Finger.on(phone)
        enrol(phone, ada.site, identities.CreateDeviceToken(asked).device_token.text)
        finger.is_right(False)
        page.goto(f"{ada.site.origin}/me/log-in-by")
        page.get_by_label("A yes of my authenticator").check()
        page.get_by_role("button", name="Go on").click()
        expect(phone.get_by_role("heading", name=title)).to_be_visible()
        number = page.locator("#number").inner_text()
        phone.get_by_label("Number that the portal shows").fill(number)
        phone.get_by_role("button", name="Yes, it is me").click()
        expect(phone.get_by_text("It needs your finger, face or PIN.")).to_be_visible()
        finger.is_right(True)
        agree(phone, page, title)


def test_what_another_phone_has_answered_waits_no_longer(ada: Ada) -> None:
    """Also if the page could not be told, because it had lost its connection."""
    email, registry = "kay@example.org", ada.site.keystore.registry
    user_id, terminal = ada.site.keystore.holder("Kay Kerr", email)
    set_password(ada, terminal)
    asked = identities_pb2.CreateDeviceTokenRequest(user_id=user_id)
    token = registry.identities.CreateDeviceToken(asked).device_token.text
    stream, again = "**/authenticator/v1/requests", "dispatchEvent(new Event('online'))"
    with (
        ada.site.page() as phone,
        ada.page(email=email) as page,
        identity.channel(terminal) as channel,
    ):
        ada.site.enrol(phone, token)
        page.goto(f"{ada.site.origin}/me/log-in-by")
        page.get_by_label("A yes of my authenticator").check()
        page.get_by_role("button", name="Go on").click()
        expect(phone.get_by_role("heading", name="A question is waiting")).to_be_visible()
        phone.route(stream, lambda route: route.abort())
        phone.evaluate(again)
        expect(phone.get_by_text(re.compile("be reached|is offline"))).to_be_visible()
        own = Phone(terminal, channel)
        (question,) = own.questions()
        own.say_no(question.id, is_me=True)
        phone.unroute(stream)
        phone.evaluate(again)
        expect(phone.get_by_role("heading", name="No request is waiting")).to_be_visible()
        expect(phone.get_by_role("heading", name=question.title)).to_have_count(0)


def test_a_passkey_is_added_and_logs_in_with_the_password(ada: Ada) -> None:
    """AUTH-07, AUTH-08: each is added with a mailed code, needs its holder's finger, and the last
    one stays as long as log-ins need it.
    """
    email, title = "grace@example.org", "Your code to change how you log in"
    _, grace = ada.site.keystore.holder("Grace Hopper", email)
    set_password(ada, grace)
    with ada.page(email=email) as page:
        finger = Finger.on(page)
        page.goto(f"{ada.site.origin}/me/log-in-by")
        page.get_by_role("link", name="Your passkeys").click()
        expect(page.get_by_text("You have no passkeys yet.")).to_be_visible()
        check(page)
        page.get_by_role("button", name="Add a passkey").click()
        check(page)
        page.get_by_label("Code from the e-mail").fill(ada.code(title))
        page.get_by_label("Name").fill("Laptop")
        page.get_by_role("button", name="Add the passkey").click()
        expect(page.get_by_text("The passkey is added.")).to_be_visible()
        check(page)
        page.goto(f"{ada.site.origin}/me/log-in-by")
        page.get_by_label("A passkey", exact=True).check()
        page.get_by_role("button", name="Go on").click()
        page.get_by_label("Code from the e-mail").fill(ada.code(title))
        page.get_by_role("button", name="Change it").click()
        expect(page.get_by_text("Your log-ins need this from now on.")).to_be_visible()
        page.get_by_role("button", name="Log out").click()
        enter(ada, page, email)
        expect(page.get_by_role("heading", name="Use your passkey")).to_be_visible()
        check(page)
        finger.is_right(False)
        page.get_by_role("button", name="Use my passkey").click()
        expect(page.get_by_text("No passkey has answered")).to_be_visible()
        finger.is_right(True)
        page.get_by_role("button", name="Use my passkey").click()
        expect(page.get_by_role("heading", name="Your cards")).to_be_visible()
        page.goto(f"{ada.site.origin}/me/passkeys")
        page.get_by_role("link", name="Remove Laptop").click()
        check(page)
        page.get_by_role("button", name="Mail a code").click()
        page.get_by_label("Code from the e-mail").fill(ada.code(title))
        page.get_by_role("button", name="Remove the passkey").click()
        expect(page.get_by_role("alert")).to_contain_text("choose something else first")
        check(page)
        forgets(ada, page, finger, email)


def forgets(ada: Ada, page: Page, finger: Finger, email: str) -> None:
    """AUTH-07: another password needs the mailed code and the passkey."""
    asks_for_another(ada, page, email)
    expect(page.get_by_text("Your log-ins need your passkey")).to_be_visible()
    check(page)
    for right, said in ((False, "No passkey has answered"), (True, "Your password is set")):
        finger.is_right(right)
        for label in ("New password", "New password once more"):
            page.get_by_label(label, exact=True).fill(OTHER)
        page.get_by_role("button", name="Use my passkey, and set the password").click()
        expect(page.get_by_text(said)).to_be_visible()
        check(page)
    page.goto(f"{ada.site.origin}/me")
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def test_a_policy_leads_to_what_it_demands(ada: Ada) -> None:
    """AUTH-07: after the mailed code, and before anything else is shown."""
    email = "dora@example.org"
    _, dora = ada.site.keystore.holder("Dora Maar", email)
    set_password(ada, dora)
    organisations = ada.site.keystore.registry.organisations
    policy = organisations_pb2.Policy(largest_batch=1, portal_passwords=True)
    policy.portal_factors.extend(["phone", "passkey"])
    organisations.SetPolicy(organisations_pb2.SetPolicyRequest(policy=policy))
    try:
        with ada.site.page() as page:
            enter(ada, page, email)
            page.get_by_label("Code", exact=True).fill(ada.code(SUBJECT))
            page.get_by_role("button", name="Log in").click()
            expect(page.get_by_role("heading", name="How you log in")).to_be_visible()
            expect(page.get_by_text("nothing else opens until then")).to_be_visible()
            check(page)
            page.get_by_role("navigation").get_by_role("link", name="Cards").click()
            expect(page.get_by_role("heading", name="How you log in")).to_be_visible()
            page.get_by_role("link", name="Your passkeys").click()
            expect(page.get_by_text("You have no passkeys yet.")).to_be_visible()
    finally:
        del policy.portal_factors[:]
        organisations.SetPolicy(organisations_pb2.SetPolicyRequest(policy=policy))


def test_it_is_whole_without_scripts(ada: Ada) -> None:
    with ada.page(scripts=False) as page:
        page.get_by_role("link", name="Password").click()
        page.get_by_label("Password in force").fill(PASSWORD)
        page.get_by_label("New password", exact=True).fill("short")
        page.get_by_label("New password once more").fill("short")
        page.get_by_role("button", name="Change the password").click()
        expect(page.get_by_role("alert")).to_contain_text("12 to 128 characters")
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        page.goto(f"{ada.site.origin}/me")
        expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def test_every_page_is_for_everybody(ada: Ada, tmp_path_factory: pytest.TempPathFactory) -> None:
    """As it is, and with what is wrong with each form: it comes back, and links to the field."""
    email, routes = "emmy@example.org", addresses(tmp_path_factory.mktemp("routes"), "/me")
    user_id, phone = ada.site.keystore.holder("Emmy Noether", email)
    ada.site.keystore.card(user_id, phone)
    set_password(ada, phone)
    with ada.page(email=email) as page:
        found = crawl(page, ada.site.origin, "/me", routes)
        assert routes - found.keys() == ELSEWHERE
        for route in sorted(found):
            page.goto(found[route])
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            check(page)
            for status in sent_nonsense(page, found[route]):
                assert status in REFUSED, route
                told = page.get_by_role("alert").get_by_role("link").get_attribute("href")
                assert page.locator(str(told)).is_visible(), route
                check(page)


def test_whoever_cannot_use_the_authenticator_is_led_on(ada: Ada) -> None:
    """PORT-04: the route is on the log-in page, and each case has a next step."""
    with ada.site.page() as page:
        page.goto(f"{ada.site.origin}/me")
        check(page)
        page.get_by_role("link", name=re.compile("use my authenticator")).click()
        expect(page.get_by_role("heading", name="The phone is lost")).to_be_visible()
        check(page)
        page.goto(f"{ada.site.origin}/me/forgotten")
        page.get_by_label("E-mail address or account name").fill("nobody@example.org")
        check(page)
        page.get_by_role("button", name="Mail a code").click()
        expect(page.get_by_role("heading", name="Enter the code")).to_be_visible()
        check(page)
        page.get_by_label("Code", exact=True).fill("00000000")
        page.get_by_role("button", name="Go on").click()
        expect(page.get_by_role("alert")).to_contain_text("wrong, or good no longer")
        assert page.title().startswith("Error: ")
        check(page)


@pytest.mark.parametrize("scripts", [True, False])
def test_an_invitation_is_a_list_of_tasks(ada: Ada, *, scripts: bool) -> None:
    """From the mailed code to a password, and to letters for the phone, which then connects. The
    link fills the code in; without scripts it is typed.
    """
    site, name = ada.site, "Bo Berg" if scripts else "Bea Berg"
    email = f"bo-{scripts}@example.org".lower()
    asked = people_pb2.CreateUserRequest(display_name=name, email=email)
    token = site.keystore.registry.people.CreateUser(asked).device_token.text
    with site.page(DESK["width"], scripts=scripts) as page:

        def look() -> None:
            if scripts:
                check(page)

        page.goto(f"{site.origin}/me/begin#{token}")
        look()
        if scripts:
            expect(page.get_by_label("Code of your invitation")).to_have_value(token)
            assert "#" not in page.url
        else:
            page.get_by_label("Code of your invitation").fill(token)
        page.get_by_role("button", name="Go on").click()
        expect(page.get_by_role("heading", name=f"Welcome, {name}")).to_be_visible()
        expect(page.get_by_text("Cannot start yet")).to_have_count(2)
        look()
        pictures.take(page, "begin")
        page.get_by_role("link", name="Verify your e-mail address").click()
        look()
        page.get_by_role("button", name="Send a code").click()
        expect(page.get_by_text("A code is on its way")).to_be_visible()
        look()
        page.get_by_label("Code from the e-mail").fill("1")
        page.get_by_role("button", name="Verify").click()
        expect(page.get_by_role("alert")).to_contain_text("4 tries left")
        look()
        page.get_by_label("Code from the e-mail").fill(ada.code("Your code to verify this address"))
        page.get_by_role("button", name="Verify").click()
        page.get_by_role("link", name="Set a password").click()
        look()
        page.get_by_label("New password", exact=True).fill("short")
        page.get_by_label("New password once more").fill("short")
        page.get_by_role("button", name="Set the password").click()
        expect(page.get_by_role("alert")).to_contain_text("12 to 128 characters")
        look()
        page.get_by_label("New password", exact=True).fill(PASSWORD)
        page.get_by_label("New password once more").fill(PASSWORD)
        page.get_by_role("button", name="Set the password").click()
        expect(page.get_by_text("Done", exact=True)).to_have_count(2)
        look()
        page.get_by_role("link", name="Connect your phone").click()
        look()
        page.get_by_role("button", name="Show letters").click()
        letters = page.locator("#letters").inner_text()
        look()
        with site.page() as phone:
            phone.goto(f"{site.origin}/authenticator")
            phone.get_by_label("Code", exact=True).fill(letters)
            phone.get_by_role("button", name="Set up this phone").click()
            expect(phone.get_by_text("This phone is connected.")).to_be_visible()
            if scripts:
                asks_the_phone(ada, phone, email)
                forgets_with_the_phone(ada, phone, email)
        page.get_by_role("button", name="I have done this").click()
        expect(page.get_by_text("Done", exact=True)).to_have_count(3)
        page.goto(f"{site.origin}/me/begin/phone")
        expect(page.get_by_text("Your phone is connected.")).to_be_visible()
        page.goto(f"{site.origin}/me/begin/passcode")
        look()
        page.goto(f"{site.origin}/me/begin/tasks")
        page.get_by_role("button", name="Leave this browser").click()
        expect(page.get_by_role("heading", name="Begin with your invitation")).to_be_visible()
