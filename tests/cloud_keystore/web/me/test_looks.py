"""What axe finds wrong at pages of the portal that need a card and its holder's phone."""

from __future__ import annotations

import re
import shutil
from datetime import timedelta

import pytest
from playwright.sync_api import Route, sync_playwright
from starlette.types import ASGIApp

from cloud_keystore.model.cards import RENEWED_BEFORE
from cloud_keystore.model.policies import Policy
from cloud_keystore.web.me.forgetting import ANSWERS, FORGOTTEN, RESET
from cloud_keystore.web.pages import Pages
from support.accessibility import check
from support.guest import Guest
from support.keystore_world import World
from support.outbox import Told
from support.pages import FLAGS
from support.portal import EMAIL, OTHER, Portal
from support.rest import Answer
from support.site import ORIGIN, ask, site

ALLOWED = Policy(portal_passwords=True, portal_changes=True)
ASSET = re.compile(r'(?:href|src)="(/assets/[^"]+)"')
NUMBER = re.compile(r'id="number">(\d\d)<')
NEW = {"new": "582046", "once-more": "582046"}
LOOKED_AT = {
    *("me/passcode", "me/passcode_chosen", "me/renew", "me/problem", "me/cards", "me/sessions"),
    *("me/forgotten_new", "me/password_set"),
}


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The templates that were used."""
    names, page = set[str](), Pages.page

    def noted(self: Pages, name: str, *args: object, **said: object) -> object:
        names.add(name)
        return page(self, name, *args, **said)  # type: ignore[arg-type]

    monkeypatch.setattr(Pages, "page", noted)
    return names


def agree(portal: Portal, told: Answer) -> Answer:
    """Type the number of a page on Ada's phone; the page."""
    found = NUMBER.search(told.body.decode())
    assert found is not None
    portal.say_yes(found[1])
    return told


def of_passcodes(portal: Portal, ada: Guest, serial: str) -> list[Answer]:
    """Each state of the page on which a passcode is chosen."""
    at = f"/me/cards/{serial}/passcode"
    return [
        ada.get(at),
        ada.post(at, **NEW),
        agree(portal, ada.post(f"{at}/ask")),
        ada.post(at, **dict.fromkeys(NEW, "1")),
        ada.post(at, **NEW),
    ]


def of_renewals(world: World, portal: Portal, application: ASGIApp, serial: str) -> list[Answer]:
    """Each state of the page on which a card is renewed."""
    at, ada = f"/me/cards/{serial}/renew", Guest.of(portal, application)
    early = ada.get(at)
    end = world.find(serial).card.expire_time
    world.clock.now = end - RENEWED_BEFORE + timedelta(days=1)
    ada = Guest.of(portal, application)
    shown = [early, ada.get("/me"), ada.get(at), ada.post(at), ada.post(f"{at}/ask")]
    agree(portal, shown[-1])
    return [*shown, ada.get(ada.post(at).fields["location"]), ada.get("/me/sessions")]


def of_passwords(portal: Portal, application: ASGIApp) -> list[Answer]:
    """The pages on which a forgotten password is set."""
    new = {"new": OTHER, "once-more": OTHER}
    guest = Guest(application)
    guest.post(FORGOTTEN, token=False, name=EMAIL)
    said = {"name": EMAIL, "code": portal.code()}
    return [
        guest.post(ANSWERS, token=False, **said),
        guest.post(RESET, token=False, **said, **{**new, "once-more": "x"}),
        guest.post(RESET, token=False, **said, **new),
    ]


def test_pages_that_need_the_phone_are_accessible(world: World, rendered: set[str]) -> None:
    """WCAG 2.2 AA at the width of a phone and of a desk, in each state; nothing goes sideways."""
    portal = Portal.open(Told(world), ALLOWED)
    serial, application = world.card(portal.user), site(world)
    ada = Guest.of(portal, application)
    told = of_passcodes(portal, ada, serial)
    told += of_renewals(world, portal, application, serial)
    told += of_passwords(portal, application)
    assert rendered >= LOOKED_AT
    served = {f"/page-{number}": each for number, each in enumerate(told)}
    for path in {path for each in told for path in ASSET.findall(each.body.decode())}:
        served[path] = ask(application, "GET", path)

    def serve(route: Route) -> None:
        path = route.request.url.removeprefix(ORIGIN).partition("?")[0]
        answer = served.get(path)
        if answer is None:
            route.fulfill(status=404)
        else:
            fields = {name: text for name, text in answer.fields.items() if "cookie" not in name}
            route.fulfill(status=200, headers=fields, body=answer.body)

    with sync_playwright() as playwright:
        chromium = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        page = browser.new_page()
        page.route("**/*", serve)
        for path in served:
            if not path.startswith("/page-"):
                continue
            page.goto(f"{ORIGIN}{path}")
            check(page)
        browser.close()
