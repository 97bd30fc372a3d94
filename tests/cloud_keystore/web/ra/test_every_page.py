"""Every page of operators can be used by everybody, in a registry where nothing is yet, and in one
that has some of everything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus

import pytest
from playwright.sync_api import Page, expect

from cloudcard.registry.v1 import (
    accounts_pb2,
    cards_pb2,
    domains_pb2,
    feedback_pb2,
    identities_pb2,
    organisations_pb2,
    roles_pb2,
    shared_devices_pb2,
)
from support.accessibility import check
from support.crawling import addresses, crawl, says_where, sent_nonsense
from support.pages import DESK, Site, serving

PARTS = 6  # tests, each of which looks at some of the pages
# Pages with more than a question, which say above it what is wrong
TOLD_ABOVE = {"/ra/import", "/ra/my-log-in"}
# Questions like others, which need what takes long to make: other tests look at them.
ELSEWHERE = {
    "/ra/alerts/{alert_id}/acknowledge",
    "/ra/my-log-in/{passkey_id}/remove",
    "/ra/people/{user_id}/cards/{serial}/renew",
    "/ra/requests/{request_id}/approve",
    "/ra/requests/{request_id}/refuse",
    "/ra/shared-devices/{device_id}/sign-out",
}
# What is shown after something else
AFTER = {"/ra/log-in", "/ra/several", "/ra/several/done"}


@dataclass(frozen=True)
class Pages:
    """A keystore with pages, and an address of each kind that something leads to, by its route."""

    site: Site
    routes: set[str]
    found: dict[str, str]

    @classmethod
    def of(cls, site: Site, routes: set[str]) -> Pages:
        with site.page(DESK["width"]) as page:
            log_in(site, page)
            return cls(site, routes, crawl(page, site.origin, "/ra", routes))

    def missed(self) -> set[str]:
        """The routes to which nothing has led."""
        return self.routes - self.found.keys() - ELSEWHERE - AFTER


def log_in(site: Site, page: Page) -> None:
    asked = identities_pb2.CreateVisitCodeRequest()
    made = site.keystore.registry.identities.CreateVisitCode(asked)
    page.goto(f"{site.origin}/ra")
    page.get_by_label("Code").fill(made.code)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="People")).to_be_visible()


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    folder = tmp_path_factory.mktemp("pages")
    with serving(folder / "keystore") as site:
        yield Pages.of(site, addresses(folder, "/ra"))


@pytest.fixture(scope="module")
def full(empty: Pages) -> Pages:
    """The same, after those tests."""
    fill(empty.site)
    return Pages.of(empty.site, empty.routes)


def fill(site: Site) -> None:
    """Add some of everything."""
    keystore, registry = site.keystore, site.keystore.registry
    ada, phone = keystore.holder("Ada Byron", "ada@example.org")
    keystore.card(ada, phone)
    suspended = cards_pb2.SuspendCardRequest(card_serial=keystore.card(ada, phone))
    registry.cards.SuspendCard(suspended)
    registry.accounts.AddAccount(accounts_pb2.AddAccountRequest(user_id=ada, name=r"CORP\ada"))
    site.invited("Bea Blum")
    keystore.workstation("WARD7-PC3")
    ward = organisations_pb2.CreateOrganisationRequest(name="Ward 7")
    registry.organisations.CreateOrganisation(ward)
    registry.domains.AddDomain(domains_pb2.AddDomainRequest(name="example.org"))
    clerk = roles_pb2.CreateRoleRequest(name="ward-clerk", rights=["view", "issue"])
    registry.roles.CreateRole(clerk)
    olga = identities_pb2.CreateOperatorRequest(display_name="Olga Orr")
    registry.identities.CreateOperator(olga)
    tablet = shared_devices_pb2.AddSharedDeviceRequest(display_name="Tablet of ward 7")
    registry.shared_devices.AddSharedDevice(tablet)
    registry.feedback.AddFeedback(feedback_pb2.AddFeedbackRequest(text="It is quick."))


@pytest.mark.parametrize("part", range(PARTS))
def test_nonsense_is_refused_where_it_was_typed(full: Pages, part: int) -> None:
    """PORT-01: each form comes back, with what is wrong beside the field, and a link to it. A card
    is issued with the first profile if none is chosen.
    """
    with full.site.page(DESK["width"]) as page:
        log_in(full.site, page)
        for route in sorted(full.found.keys() - {"/ra/people/{user_id}/issue"})[part::PARTS]:
            for status in sent_nonsense(page, full.found[route]):
                assert status == HTTPStatus.UNPROCESSABLE_ENTITY, route
                check(page)
                if page.title().startswith("Error: ") and route not in TOLD_ABOVE:
                    assert says_where(page), route


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("registry", ["empty", "full"])
def test_every_page_is_for_everybody(
    request: pytest.FixtureRequest, registry: str, part: int
) -> None:
    pages: Pages = request.getfixturevalue(registry)
    with pages.site.page(DESK["width"]) as page:
        log_in(pages.site, page)
        for route in sorted(pages.found)[part::PARTS]:
            page.goto(pages.found[route])
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            check(page)
    assert len(pages.found) > PARTS


def test_something_leads_to_every_page(full: Pages) -> None:
    """PORT-01: so nobody has to know addresses."""
    assert full.missed() == set()


def test_what_was_not_understood_is_said_to_everybody(full: Pages) -> None:
    """A page that is not there, and addresses with nonsense."""
    with full.site.page(DESK["width"]) as page:
        log_in(full.site, page)
        for path in ("nothing", "people?sort=nonsense", "expiring?days=nonsense"):
            told = page.goto(f"{full.site.origin}/ra/{path}")
            assert told is not None
            assert told.status in (404, 422), path
            check(page)
