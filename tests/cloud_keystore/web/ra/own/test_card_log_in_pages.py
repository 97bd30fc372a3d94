"""Log-in by cards at the pages, and what attackers get there."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.types import ASGIApp

from card_os.piv.names import KeyRef
from cloud_keystore.model.people import Identity
from cloud_keystore.web.proofs import decoded
from cloud_keystore.web.ra.own.cards import COOKIE, CardPlaces
from cloud_keystore.web.ra.visiting import AREA, CARD, CARD_CODE, LOG_IN
from support.keystore_world import World
from support.rest import Answer
from support.site import ORIGIN, site
from support.visitor import Visitor

CARDS = "https://cards.example.org:8444"


@dataclass
class Browser:
    """A browser of somebody who has not logged in, with what it keeps for the way to the card."""

    application: ASGIApp
    kept: str = ""

    def leave(self, wanted: str = "") -> Answer:
        """Go to the port of cards."""
        told = Visitor(self.application).get(f"{CARD}?next={wanted}")
        assert told.status == 303, told.body
        self.kept = told.fields["set-cookie"].partition(";")[0]
        return told

    def come_back(self, code: str, wanted: str = "", **sent: str) -> Answer:
        """Bring a code from there."""
        fields = {"origin": CARDS, "cookie": self.kept, **sent}
        said = {"code": code, "next": wanted}
        return Visitor(self.application, sent=fields).post(CARD_CODE, token=False, **said)


@pytest.fixture
def application(world: World) -> ASGIApp:
    return site(world, cards=CardPlaces(CARDS, ORIGIN))


@pytest.fixture
def serial(world: World, olga: Identity) -> str:
    """Olga's card, which was used just now."""
    user, phone = world.user("Olga Hopper")
    world.operators.identify(olga.id, user.id, actor=world.actor)
    made, pc = world.card(user), world.workstation()
    operation = world.ask(made, pc)
    world.decide(operation, phone)
    world.perform(operation, pc)
    return made


def shown(world: World, serial: str, left: Answer) -> str:
    """The code that the port of cards gives the browser that was sent there."""
    query = parse_qs(urlsplit(left.fields["location"]).query)
    (key,) = (each for each in world.keys(serial) if each.key_ref == KeyRef.AUTHENTICATION)
    return world.card_log_ins.make_code(key.certificate, decoded(query["for"][0]))


def test_a_card_logs_in(application: ASGIApp, world: World, serial: str, olga: Identity) -> None:
    """The way to the card and back; a second visit takes the place of none."""
    assert f"{CARD}?next=/ra/people" in Visitor(application).page(f"{LOG_IN}?next=/ra/people")
    browser = Browser(application)
    left = browser.leave("/ra/people")
    to = urlsplit(left.fields["location"])
    assert (f"{to.scheme}://{to.netloc}", to.path) == (CARDS, "/")
    secret = browser.kept.partition("=")[2]
    assert secret
    assert secret not in left.fields["location"]
    for attribute in ("Path=/", "Secure", "HttpOnly", "Max-Age=300"):
        assert attribute in left.fields["set-cookie"]
    told = browser.come_back(shown(world, serial, left), "/ra/people")
    assert (told.status, told.fields["location"]) == (303, "/ra/people")
    kept, forgotten = told.fields["set-cookie"].split("\n")
    assert forgotten.startswith(f"{COOKIE}=; Max-Age=0")
    visitor = Visitor(application, kept.partition(";")[0].removeprefix(f"{AREA.cookie}="))
    assert olga.display_name in visitor.page("/ra/my-log-in")


def test_a_code_is_taken_once(application: ASGIApp, world: World, serial: str) -> None:
    browser = Browser(application)
    code = shown(world, serial, browser.leave())
    assert browser.come_back(code).status == 303
    refused(browser.come_back(code))


def test_a_code_of_another_browser_is_refused(
    application: ASGIApp, world: World, serial: str
) -> None:
    """Log-in of a victim as the attacker, and of a thief as the victim."""
    victim, attacker = Browser(application), Browser(application)
    victim.leave()
    code = shown(world, serial, attacker.leave())
    refused(victim.come_back(code))
    refused(victim.come_back(code, cookie=""))
    refused(victim.come_back(code, cookie=f"{victim.kept}; {attacker.kept}"))
    assert attacker.come_back(code).status == 303


@pytest.mark.parametrize(
    "sent",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "https://cards.example.org:8445"},
        {"host": "evil.example"},
    ],
)
def test_other_sites_bring_nothing(
    application: ASGIApp, world: World, serial: str, sent: dict[str, str]
) -> None:
    browser = Browser(application)
    code = shown(world, serial, browser.leave())
    assert browser.come_back(code, **sent).status in (403, 421)
    assert browser.come_back(code).status == 303


def test_the_port_of_cards_sends_no_other_form(visitor: Visitor) -> None:
    """Whoever has taken it over acts for nobody who has logged in."""
    token = visitor.form_token()
    visitor.sent = {"origin": CARDS}
    for path in (LOG_IN, "/ra/log-out", "/ra/my-log-in"):
        assert visitor.post(path, token=token).status == 403


def test_a_log_in_leads_nowhere_else(application: ASGIApp, world: World, serial: str) -> None:
    browser = Browser(application)
    left = browser.leave("https://evil.example")
    assert "evil" not in left.fields["location"]
    told = browser.come_back(shown(world, serial, left), "//evil.example")
    assert told.fields["location"] == "/ra"


def test_the_way_begins_where_the_cookie_comes_back(application: ASGIApp) -> None:
    """At another address of the pages, it leads to the one to which codes come."""
    other = Visitor(application, sent={"host": "localhost:8080"})
    told = other.get(f"{CARD}?next=/ra/people")
    assert told.fields["location"] == f"{ORIGIN}{CARD}?next=%2Fra%2Fpeople"
    assert "set-cookie" not in told.fields


@pytest.mark.parametrize("code", ["", "?", "cccard_", "cccard_AAAA", "<script>alert(1)</script>"])
def test_what_is_no_code_logs_in_nobody(application: ASGIApp, code: str) -> None:
    browser = Browser(application)
    browser.leave()
    told = browser.come_back(code)
    refused(told)
    assert "alert(1)" not in told.body.decode()


def test_codes_are_not_tried_for_long(application: ASGIApp) -> None:
    browser = Browser(application)
    browser.leave()
    assert 429 in [browser.come_back("cccard_AAAA").status for _ in range(40)]


def test_without_a_port_for_cards_there_is_no_such_way(world: World) -> None:
    plain = Visitor(site(world))
    assert CARD not in plain.page(LOG_IN)
    assert plain.get(CARD).status == 404
    assert Browser(plain.application, "x=y").come_back("cccard_AAAA").status == 403
    assert plain.post(CARD_CODE, token=False).status == 404


def refused(told: Answer) -> None:
    assert told.status == 403
    assert "set-cookie" not in told.fields
    assert "Error: Log in" in told.body.decode()
