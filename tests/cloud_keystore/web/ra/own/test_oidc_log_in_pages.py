"""Log-in by an OpenID provider at the pages, and what attackers get there."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

import pytest
from starlette.types import ASGIApp

from cloud_keystore.model.people import Identity
from cloud_keystore.model.rights.oidc import OidcAnswer
from cloud_keystore.web.ra.own.oidc import COOKIE
from cloud_keystore.web.ra.visiting import AREA, LOG_IN, OIDC, OIDC_ANSWER, OIDC_WAIT
from support.keystore_world import OIDC as TERMS
from support.keystore_world import World
from support.openid_tokens import ENDPOINT, SUBJECT, Asked, Tokens, facts
from support.rest import Answer
from support.site import ORIGIN, site
from support.visitor import Visitor


@dataclass
class Browser:
    """A browser of somebody who has not logged in, with what it keeps for the way there."""

    application: ASGIApp
    world: World
    kept: str = ""
    state: str = ""
    nonce: str = ""

    def leave(self, wanted: str = "") -> Answer:
        """Go to the provider."""
        told = Visitor(self.application).get(f"{OIDC}?{urlencode({'next': wanted})}")
        assert told.status == 303, told.body
        self.kept = told.fields["set-cookie"].partition(";")[0]
        asked = Asked.of(told.fields["location"]).query
        self.state, self.nonce = asked["state"], asked["nonce"]
        return told

    def come_back(self, **changed: str) -> Answer:
        """Bring what the provider has given."""
        said = {"state": self.state, "code": "code", "iss": TERMS.issuer, **changed}
        return self.get(f"{OIDC_ANSWER}?{urlencode(said)}")

    def go_on(self) -> Answer:
        """Ask for the page that begins the visit."""
        return self.get(f"{OIDC_WAIT}?{urlencode({'state': self.state})}")

    def get(self, path: str) -> Answer:
        fields = {"cookie": self.kept, "sec-fetch-site": "cross-site"}
        return Visitor(self.application, sent=fields).get(path)

    def answered(self) -> None:
        """Let the provider answer the keystore."""
        (errand,) = self.world.oidc_log_ins.take()
        token = Tokens(self.world.clock.now, self.nonce).token()
        self.world.oidc_log_ins.tell(errand.id, errand.tries, OidcAnswer(token))


@pytest.fixture
def application(world: World) -> ASGIApp:
    return site(world, oidc=ORIGIN)


@pytest.fixture
def known(world: World, olga: Identity) -> Identity:
    """Olga, whom the provider knows."""
    world.oidc_log_ins.learn(facts())
    person = world.user("Olga Hopper")[0]
    world.operators.identify(olga.id, person.id, "", SUBJECT, actor=world.actor)
    return olga


def refused(told: Answer) -> None:
    assert told.status == 403
    assert "There is a problem" in told.body.decode()
    assert AREA.cookie not in told.fields.get("set-cookie", "")


def test_the_provider_logs_in(application: ASGIApp, world: World, known: Identity) -> None:
    """The way there, back, and to the page that was wanted."""
    page = Visitor(application).page(f"{LOG_IN}?next=/ra/people")
    assert f"{OIDC}?next=/ra/people" in page
    browser = Browser(application, world)
    left = browser.leave("/ra/people")
    assert left.fields["location"].startswith(ENDPOINT)
    secret = browser.kept.partition("=")[2]
    assert secret
    assert secret.partition(".")[0] not in left.fields["location"]
    for attribute in ("Path=/", "Secure", "HttpOnly", "SameSite=Lax", "Max-Age=600"):
        assert attribute in left.fields["set-cookie"]
    told = browser.come_back()
    # A page of ours, so that cookies of ours go with what follows
    assert told.status == 200
    assert told.fields["refresh"] == f"1; url={OIDC_WAIT}?state={browser.state}"
    assert browser.go_on().status == 200
    browser.answered()
    told = browser.go_on()
    assert (told.status, told.fields["location"]) == (303, "/ra/people")
    kept, forgotten = told.fields["set-cookie"].split("\n")
    assert forgotten.startswith(f"{COOKIE}=; Max-Age=0")
    visitor = Visitor(application, kept.partition(";")[0].removeprefix(f"{AREA.cookie}="))
    assert known.display_name in visitor.page("/ra/my-log-in")
    # Once
    refused(browser.go_on())
    refused(browser.come_back())


@pytest.mark.usefixtures("known")
def test_an_answer_of_another_browser_is_refused(application: ASGIApp, world: World) -> None:
    """Log-in of a victim as the attacker, and of a thief of a code as the victim."""
    victim, attacker = Browser(application, world), Browser(application, world)
    victim.leave()
    attacker.leave()
    refused(victim.come_back(state=attacker.state))
    both, own = f"{victim.kept}; {attacker.kept}", attacker.kept
    for attacker.kept in ("", both, f"{COOKIE}=", f"{own}x"):
        refused(attacker.come_back())
    attacker.kept = own
    assert attacker.come_back().status == 200
    attacker.answered()
    victim.state = attacker.state
    refused(victim.go_on())
    assert attacker.go_on().status == 303


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    "changed",
    [
        {"state": ""},
        {"state": "ccoidc_"},
        {"code": ""},
        {"iss": "https://evil.example.org"},
        {"iss": ""},
        {"error": "access_denied"},
        {"code": "c" * 5000},
    ],
)
def test_what_is_no_answer_is_refused(
    application: ASGIApp, world: World, changed: dict[str, str]
) -> None:
    browser = Browser(application, world)
    browser.leave()
    refused(browser.come_back(**changed))
    assert world.oidc_log_ins.take() == []


@pytest.mark.usefixtures("known")
def test_an_answer_has_each_value_once(application: ASGIApp, world: World) -> None:
    browser = Browser(application, world)
    browser.leave()
    said = urlencode({"state": browser.state, "code": "code", "iss": TERMS.issuer})
    refused(browser.get(f"{OIDC_ANSWER}?{said}&code=another"))


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    "wanted",
    ["https://evil.example.org", "//evil.example.org", "/ra/../me", "/ra\\evil", "/radar", ""],
)
def test_a_log_in_leads_nowhere_else(application: ASGIApp, world: World, wanted: str) -> None:
    browser = Browser(application, world)
    browser.leave(wanted)
    browser.come_back()
    browser.answered()
    assert browser.go_on().fields["location"] == "/ra"


@pytest.mark.usefixtures("known")
def test_what_a_browser_keeps_is_not_changed(application: ASGIApp, world: World) -> None:
    """Also where the log-in leads is of the browser that was sent."""
    browser = Browser(application, world)
    browser.leave("/ra/people")
    browser.kept = browser.kept.rpartition(".")[0]
    refused(browser.come_back())


def test_before_the_provider_has_answered_it_is_said(application: ASGIApp) -> None:
    refused(Visitor(application).get(OIDC))


@pytest.mark.usefixtures("known")
def test_codes_are_not_tried_for_long(application: ASGIApp, world: World) -> None:
    browser = Browser(application, world)
    browser.leave()
    statuses = {browser.come_back(state="ccoidc_x").status for _ in range(40)}
    assert 429 in statuses


def test_without_a_provider_there_are_no_such_pages(world: World) -> None:
    plain = site(world)
    assert OIDC not in Visitor(plain).page(LOG_IN)
    for path in (OIDC, OIDC_ANSWER, OIDC_WAIT):
        assert Visitor(plain).get(path).status == 404
