"""The pages of operators in a real browser, against a real keystore: one for all tests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal
from zipfile import is_zipfile

import pytest
from playwright.sync_api import Page, expect

from cloudcard.registry.v1 import accounts_pb2, identities_pb2
from support.accessibility import check
from support.pages import DESK, Site, serving

LONG = "Wolfeschlegelsteinhausenbergerdorffvoralternwaren"


@dataclass(frozen=True)
class Registry:
    """A keystore with pages and people; each has a user's identifier."""

    site: Site
    ada: str  # with a phone, a card in use and a Windows account
    bea: str  # with nothing but an invitation

    @contextmanager
    def page(self, width: int = DESK["width"], *, scripts: bool = True) -> Iterator[Page]:
        """A page of somebody who has logged in."""
        with self.site.page(width, scripts=scripts) as page:
            asked = identities_pb2.CreateVisitCodeRequest()
            made = self.site.keystore.registry.identities.CreateVisitCode(asked)
            assert made.address == f"{self.site.origin.replace('127.0.0.1', 'localhost')}/ra/log-in"
            page.goto(f"{self.site.origin}/ra")
            page.get_by_label("Code").fill(made.code)
            page.get_by_role("button", name="Log in").click()
            expect(page.get_by_role("heading", name="People")).to_be_visible()
            yield page


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with serving(tmp_path_factory.mktemp("ra")) as site:
        keystore = site.keystore
        with_nobody(site)
        ada, phone = keystore.holder("Ada Byron", "ada@example.org")
        keystore.card(ada, phone)
        asked = accounts_pb2.AddAccountRequest(user_id=ada, name=r"CORP\ada")
        keystore.registry.accounts.AddAccount(asked)
        bea, _ = site.invited(f"Bea {LONG}")
        yield Registry(site, ada, bea)


def with_nobody(site: Site) -> None:
    """BUG-31: a list of people without anybody says so."""
    with Registry(site, "", "").page() as page:
        expect(page.get_by_text("There are no people yet.")).to_be_visible()
        check(page)


def test_a_person_is_found_and_looked_at(registry: Registry) -> None:
    """USER-11, BUG-31: each part of what there is about a person has an address, and an empty one
    says so.
    """
    with registry.page() as page:
        check(page)
        page.get_by_label("Find somebody").fill("byron")
        page.get_by_role("button", name="Search").click()
        expect(page.get_by_role("table").get_by_role("link", name="Ada Byron")).to_be_visible()
        expect(page.get_by_text("Bea ")).to_be_hidden()
        expect(page.get_by_role("link", name="Enrolled (1)")).to_be_visible()
        page.get_by_role("link", name="Pending (0)").click()
        expect(page.get_by_text("Nobody is found by “byron”")).to_be_visible()
        check(page)
        page.get_by_role("link", name="Show everybody").click()
        page.get_by_role("link", name="Ada Byron").click()
        expect(page.get_by_role("heading", name="Ada Byron")).to_be_visible()
        expect(page.get_by_text(re.compile(r"^[1-9]\d{11}$"))).to_be_visible()
        expect(page.get_by_text("Nothing is missing.")).to_be_visible()
        check(page)
        for part, said in (
            ("Windows accounts", r"CORP\ada"),
            ("Devices", "Version"),
            ("Log", "added the person"),
        ):
            page.get_by_role("link", name=re.compile(f"^{part}")).click()
            expect(page.get_by_text(said).first).to_be_visible()
            check(page)
        page.goto(f"{registry.site.origin}/ra/people/{registry.bea}/accounts")
        expect(page.get_by_text("No Windows accounts yet.")).to_be_visible()
        check(page)
        page.goto(f"{registry.site.origin}/ra/people/{registry.bea}")
        expect(page.get_by_text("No cards yet.")).to_be_visible()
        page.goto(f"{registry.site.origin}/ra/people/nobody")
        expect(page.get_by_role("heading", name="This is not there")).to_be_visible()
        check(page)


def test_the_journal_is_searched(registry: Registry) -> None:
    """Of a day, about somebody, and of a day on which nothing happened."""
    with registry.page() as page:
        page.get_by_role("link", name="Journal").click()
        expect(page.get_by_text("logged in to the pages").first).to_be_visible()
        check(page)
        page.get_by_label("Person, card, operation or workstation").fill("ada byron")
        page.get_by_label("What").select_option("Phones and workstations")
        page.get_by_role("button", name="Show").click()
        expect(page.get_by_text("About Ada Byron.")).to_be_visible()
        expect(page.get_by_text("logged in to the pages")).to_be_hidden()
        check(page)
        page.get_by_label("First day").fill("2020-02-29")
        page.get_by_label("Last day").fill("2020-03-01")
        page.get_by_role("button", name="Show").click()
        expect(page.get_by_text("Nothing happened on these days.")).to_be_visible()
        check(page)


def test_every_column_sorts_both_ways_and_the_address_says_how(registry: Registry) -> None:
    with registry.page() as page:
        heads = page.get_by_role("columnheader")
        for name in [each.inner_text().strip(" ▲▼") for each in heads.all()]:
            orders = []
            for _ in range(2):
                heads.filter(has_text=name).get_by_role("link").click()
                orders.append(heads.filter(has_text=name).get_attribute("aria-sort"))
            assert set(orders) == {"ascending", "descending"}, name
            assert "sort=" in page.url or name == "Name"
        shown = page.locator("tbody th").all_inner_texts()
        page.reload()
        assert page.locator("tbody th").all_inner_texts() == shown


def test_it_is_whole_without_scripts_and_by_keys(registry: Registry) -> None:
    with registry.page(scripts=False) as page:
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to main content")).to_be_focused()
        page.get_by_label("Find somebody").focus()
        page.keyboard.type("ada")
        page.keyboard.press("Enter")
        expect(page.get_by_role("link", name="All (1)")).to_be_visible()
        page.get_by_role("link", name="Ada Byron").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Ada Byron")).to_be_visible()
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        page.go_back()
        page.reload()
        expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def test_a_card_is_unlocked_by_four_clicks(registry: Registry) -> None:
    """From the first page to the code that is read out, without scripts too."""
    for scripts in (True, False):
        with registry.page(scripts=scripts) as page:
            clicks = [
                page.get_by_role("link", name="Ada Byron"),
                page.get_by_role("button", name="Make an unlock code"),
            ]
            for each in clicks:
                each.click()
            expect(page.get_by_role("heading", name="Unlock code")).to_be_visible()
            expect(page.locator("#secret")).to_have_text(re.compile(r"^\d{10}$"))
            assert len(clicks) <= 4
            if scripts:
                check(page)


def test_what_is_done_is_asked_before_and_told_after(registry: Registry) -> None:
    with registry.page() as page:
        page.get_by_role("button", name="Add a person").click()
        check(page)
        page.get_by_role("button", name="Add the person").click()
        expect(page.get_by_role("alert")).to_contain_text("Name is empty")
        check(page)
        page.get_by_label("Full name").fill("Cy Cole")
        page.get_by_role("button", name="Add the person").click()
        expect(page.get_by_role("heading", name="Cy Cole is added")).to_be_visible()
        check(page)
        page.get_by_role("button", name="Go to the person").click()
        page.get_by_role("button", name="Issue a card").click()
        check(page)
        page.get_by_label("p256").check()
        page.get_by_role("button", name="Issue a card").click()
        expect(page.get_by_text("A card is issued.")).to_be_visible()
        expect(page.get_by_text("In the log:")).to_be_visible()
        check(page)
        page.get_by_role("button", name="Revoke card").click()
        expect(page.get_by_text("counts for nothing")).to_be_visible()
        check(page)
        page.get_by_role("button", name="Go back").click()
        page.get_by_role("button", name="Close this person").click()
        page.get_by_label("Why?").fill("left")
        page.get_by_role("button", name="Close this person").click()
        expect(page.get_by_text("This person is closed.")).to_be_visible()
        check(page)
        page.goto(f"{registry.site.origin}/ra/import")
        check(page)
        page.get_by_label("Or paste the rows").fill(
            "name,email\nDi Dorn,di@example.org\nEd,nowhere"
        )
        page.get_by_role("button", name="Check the rows").click()
        expect(page.get_by_text("Will be added")).to_be_visible()
        check(page)
        page.get_by_role("button", name="Add 1 person").click()
        expect(page.get_by_text("1 added.")).to_be_visible()
        check(page)
        two_hundred_by_file(page)
        for menu, said in (
            ("Ending soon", "Ada Byron"),
            ("E-mail", "Nothing has failed."),
            ("Journal", "Older, of the same day"),
        ):
            page.get_by_role("navigation").get_by_role("link", name=menu).click()
            if menu == "Ending soon":
                page.get_by_label("Days to look ahead").fill("800")
                page.get_by_role("button", name="Show").click()
            expect(page.get_by_text(said).first).to_be_visible()
            check(page)
        page.get_by_role("link", name="take them as evidence").click()
        expect(page.get_by_role("heading", name="How it is checked")).to_be_visible()
        check(page)
        with page.expect_download() as taken:
            page.get_by_role("button", name="Save the evidence pack").click()
        assert is_zipfile(taken.value.path())


def two_hundred_by_file(page: Page) -> None:
    """USER-20: four clicks from the list to 200 people, whose refused row is kept as a file."""
    people = "".join(f"Person {number:03},p{number}@example.org\n" for number in range(200))
    raw = f"name,email\n{people}Ed,nowhere\n".encode()
    page.goto(page.url.partition("/ra/")[0] + "/ra/people")
    clicks = ["Add many people", "Check the rows", "Add 200 people"]
    page.get_by_role("button", name=clicks[0]).click()
    page.get_by_label("CSV file").set_input_files(
        {"name": "people.csv", "mimeType": "text/csv", "buffer": raw}
    )
    page.get_by_role("button", name=clicks[1]).click()
    with page.expect_download() as kept:
        page.get_by_role("button", name="Save the 1 refused row as a CSV file").click()
    assert "nowhere" in kept.value.path().read_text()
    page.get_by_role("button", name=clicks[2]).click()
    expect(page.get_by_text("200 added.")).to_be_visible()
    assert len(clicks) + 1 <= 4  # with the choice of the file


def test_the_administration_is_looked_at_and_changed(registry: Registry) -> None:
    """Each list and each question, without scripts: a role is defined, and granted to nobody."""
    with registry.page(scripts=False) as page:
        page.get_by_role("link", name="Administration").click()
        expect(page.get_by_role("heading", name="Organisations")).to_be_visible()
        page.get_by_role("button", name="Add an organisation").click()
        page.get_by_label("Name").fill(f"Trust {LONG}")
        page.get_by_role("button", name="Add the organisation").click()
        expect(page.get_by_role("status")).to_contain_text("It is added.")
        page.get_by_role("columnheader", name="Below").get_by_role("link").click()
        assert "sort=above" in page.url
        page.get_by_role("link", name="Roles").click()
        page.get_by_role("button", name="Define a role").click()
        page.get_by_label("Name").fill("ward-clerk")
        page.get_by_label("Issue cards").check()
        page.get_by_role("button", name="Define the role").click()
        row = page.get_by_role("row", name="ward-clerk")
        expect(row).to_contain_text("view, issue")
        row.get_by_role("link", name="Delete").click()
        page.get_by_role("button", name="Delete the role").click()
        expect(page.get_by_role("status")).to_contain_text("It is removed.")
        page.get_by_role("link", name="Policies").click()
        page.get_by_label("Card type").select_option("v2")
        page.get_by_role("button", name="Show").click()
        page.get_by_role("link", name="Change Sessions").click()
        page.get_by_label("Uses").fill("500")
        page.get_by_label("Minutes").fill("480")
        page.get_by_role("button", name="Set it").click()
        expect(page.get_by_role("row", name="Sessions")).to_contain_text("500 uses within 480")


class Clicks:
    """The clicks that a task takes, on links and buttons alone."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.count = 0

    def on(self, role: Literal["link", "button", "radio", "checkbox"], name: str) -> None:
        self.page.get_by_role(role, name=name).first.click()
        self.count += 1

    def search(self, text: str) -> None:
        """Find somebody by the keyboard, as a helpdesk does while it listens."""
        self.page.get_by_label("Find somebody").fill(text)
        self.page.keyboard.press("Enter")
        expect(self.page.get_by_text("Save this list")).to_be_visible()


def test_tasks_take_as_few_clicks_as_they_have_to(registry: Registry) -> None:
    """Issue and replace in three clicks from the search, a lost phone in two and a confirmation,
    those who have not finished invited again in one and a confirmation, an unlock in four.
    """
    site = registry.site
    user_id, phone = site.keystore.holder("Gwen Gold", "gwen@example.org")
    site.keystore.card(user_id, phone)
    site.invited("Hedy Held")
    with registry.page(scripts=False) as page:
        clicks = Clicks(page)
        clicks.search("gwen")
        clicks.on("link", "Gwen Gold")
        clicks.on("button", "Make an unlock code")
        expect(page.locator("#secret")).to_have_text(re.compile(r"^\d{10}$"))
        assert clicks.count <= 4
        page.goto(f"{site.origin}/ra/people")
        clicks = Clicks(page)
        clicks.search("gwen")
        clicks.on("link", "Gwen Gold")
        clicks.on("button", "Replace card")
        check_words(page, "goes on until the new one is in use")
        clicks.on("button", "Replace")
        check_words(page, "The holder chooses a passcode")
        assert clicks.count <= 3
        page.goto(f"{site.origin}/ra/people")
        clicks = Clicks(page)
        clicks.search("gwen")
        clicks.on("link", "Gwen Gold")
        clicks.on("link", "Devices")
        clicks.on("link", "Remove")
        page.get_by_label("Why?").fill("lost")
        clicks.on("button", "Remove the device")
        check_words(page, "The device is removed")
        assert clicks.count <= 4
        page.goto(f"{site.origin}/ra/people?state=pending")
        clicks = Clicks(page)
        clicks.on("link", "Choose all on this page")
        clicks.on("button", "Invite again")
        check_words(page, "Hedy Held: no e-mail address")
        clicks.on("button", "Invite again")
        check_words(page, "Hedy Held")
        assert clicks.count <= 3
        clicks.on("link", "Give feedback")
        page.get_by_label("In your words").fill("few clicks")
        clicks.on("button", "Send it")
        check_words(page, "Your feedback is kept")


def check_words(page: Page, said: str) -> None:
    expect(page.get_by_text(said).first).to_be_visible()


def test_what_is_done_about_several_is_for_everybody(registry: Registry) -> None:
    with registry.page() as page:
        page.get_by_role("checkbox", name="Choose Ada Byron").check()
        check(page)
        page.get_by_role("button", name="Suspend their cards").click()
        check_words(page, "Nobody can use these cards")
        check(page)
        page.goto(f"{registry.site.origin}/ra/people")
        page.get_by_role("checkbox", name="Choose Bea").check()
        page.get_by_role("button", name="Suspend their cards").click()
        page.get_by_role("button", name="Suspend their cards").click()
        check_words(page, "There was nothing to do.")
        check(page)
        page.goto(f"{registry.site.origin}/ra/give-feedback")
        check(page)


def test_a_wrong_code_is_told(registry: Registry) -> None:
    with registry.site.page(DESK["width"]) as page:
        page.goto(f"{registry.site.origin}/ra/people?q=ada")
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("alert")).to_contain_text("get another one")
        assert page.title().startswith("Error: ")
        check(page)
