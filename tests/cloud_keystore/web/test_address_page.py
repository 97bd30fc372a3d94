"""The page on which an e-mail address is verified, in a real browser, by a letter that was sent."""

from __future__ import annotations

import json
import re
from email.message import EmailMessage
from pathlib import Path

from playwright.sync_api import expect

from cloud_keystore.model.limits import Limits, with_limits
from cloudcard.registry.v1 import people_pb2
from support import mail_server
from support.keystore_world import OPERATOR, World
from support.mail_server import MailServer, options_to
from support.outbox import Told
from support.pages import Site, serving
from support.portal import link_in
from support.site import ask, site

CALL = "/authenticator/v1/addresses"
OLD, NEW = "o'brien@example.org", "o'brien+card@example.org"
YES = "Yes, it is mine"


def link_of(letters: list[EmailMessage]) -> str:
    [letter] = [each for each in letters if each["Subject"] == "Verify your e-mail address"]
    text = letter.get_body(("plain",))
    assert text is not None
    [link] = re.findall(r"https://cards\.example\.org(/address#\S+)", text.get_content())
    return str(link)


def person(site: Site, user_id: str) -> people_pb2.User:
    return site.keystore.registry.people.GetUser(people_pb2.GetUserRequest(user_id=user_id)).user


def test_a_letters_link_is_followed_once(tmp_path: Path) -> None:
    """USER-17, BUG-02: whoever opens the link has changed nothing; who presses the button has."""
    with mail_server.serving(MailServer()) as mail, serving(tmp_path, options_to(mail)) as site:
        people = site.keystore.registry.people
        made = people.CreateUser(people_pb2.CreateUserRequest(display_name="Ada", email=OLD))
        with site.page() as page:
            site.enrol(page, made.device_token.text)
        before = len(mail.wait_for(2))
        people.UpdateUser(people_pb2.UpdateUserRequest(user_id=made.user.id, email=NEW))
        letters = mail.wait_for(before + 2)
        assert set(mail.addresses[before:]) == {OLD, NEW}
        link = link_of(letters)
        with site.page() as page:
            page.goto(site.origin + link)
            expect(page.get_by_role("heading", name="Is this your e-mail address?")).to_be_visible()
            assert "#" not in page.url
            assert person(site, made.user.id).next_email == NEW
            page.get_by_role("button", name=YES).click()
            expect(page.get_by_role("heading", name="Your address is verified")).to_be_visible()
            expect(page.get_by_text(NEW)).to_be_visible()
        found = person(site, made.user.id)
        assert (found.email, found.next_email) == (NEW, "")
        assert found.HasField("email_verify_time")
        with site.page() as page:
            page.goto(site.origin + link)
            page.get_by_role("button", name=YES).click()
            expect(page.get_by_text("This link was used")).to_be_visible()
        log = (tmp_path / "logs" / "keystore.log").read_text()
        assert link.partition("#")[2] not in log
        assert "brien" not in log


def test_links_are_tried_a_few_times_from_one_address(world: World) -> None:
    """The attack: a stranger tries links."""
    told = Told(world)
    user, _ = told.enrolled(OLD)
    world.people.change_user(user.id, None, NEW, actor=OPERATOR)
    link = link_in(told.send())
    pages = site(world, with_limits(Limits(), ["enrolment=1/2"]))

    def tried(text: str) -> tuple[int, object]:
        raw = json.dumps({"link": text}).encode()
        answer = ask(pages, "POST", CALL, {"content-type": "application/json"}, raw)
        return answer.status, json.loads(answer.body) if answer.status == 200 else None

    assert tried("nothing") == (200, {"is_verified": False, "email": ""})
    assert tried(link[:-4] + "AAAA") == (200, {"is_verified": False, "email": ""})
    assert tried(link) == (429, None)
