"""A first enrolment in a real browser, against a real keystore: from the link of the invitation to
a card in use, as its holder does it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Locator, Page, expect

from cloudcard.registry.v1 import cards_pb2
from support.keystore_process import PASSCODE
from support.page_holders import issued
from support.pages import Site, serving

MOST_SCREENS = 6
MOST_SECONDS = 240
SECONDS_OF_A_STEP = 30  # in which somebody reads, decides and types: more than anybody needs
# Which parts of the page were shown, one after another
WATCH = """() => {
  const shown = () => document.querySelector('section[data-view]:not([hidden])')?.dataset.view;
  window.screens = [shown()];
  new MutationObserver(() => {
    if (shown() && shown() !== window.screens.at(-1)) window.screens.push(shown());
  }).observe(document.body, { attributes: true, subtree: true, attributeFilter: ['hidden'] });
}"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(tmp_path_factory.mktemp("first")) as site:
        yield site


@dataclass
class Newcomer:
    """Somebody at the page, whose steps are counted."""

    page: Page
    steps: int = 0

    def press(self, name: str) -> None:
        self._step(self.page.get_by_role("button", name=name, exact=True)).click()

    def give(self, label: str, value: str) -> None:
        self._step(self.page.get_by_label(label, exact=True)).fill(value)

    def _step(self, what: Locator) -> Locator:
        self.steps += 1
        return what


def test_a_first_enrolment_takes_six_screens_and_four_minutes_at_most(site: Site) -> None:
    """USER-08: by its steps, with half a minute for each; the keystore's part has as long."""
    user_id, token = site.invited("Ada Byron")
    serial = issued(site, user_id)
    began = time.monotonic()
    with site.page() as page:
        ada = Newcomer(page, steps=1)  # the link is opened
        page.goto(f"{site.origin}/authenticator#{token}")
        expect(page.get_by_role("heading", name="Set up this phone")).to_be_visible(timeout=60_000)
        page.evaluate(WATCH)
        ada.press("Set up this phone")
        ada.press("Choose a passcode")
        ada.give("New passcode", PASSCODE)
        ada.give("New passcode once more", PASSCODE)
        ada.press("Save the passcode")
        expect(page.get_by_role("heading", name="Passcode chosen")).to_be_visible(timeout=60_000)
        ada.press("Done")
        expect(page.get_by_text("It is in use.")).to_be_visible(timeout=60_000)
        screens = page.evaluate("() => window.screens")
    card = site.keystore.registry.cards.GetCard(cards_pb2.GetCardRequest(card_serial=serial)).card
    assert card.state == cards_pb2.CARD_STATE_ACTIVE
    assert screens == ["enrol", "home", "passcode", "done", "home"]
    assert len(screens) <= MOST_SCREENS
    assert ada.steps * SECONDS_OF_A_STEP <= MOST_SECONDS
    assert time.monotonic() - began < MOST_SECONDS
