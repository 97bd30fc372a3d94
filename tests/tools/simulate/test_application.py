"""The simulators as a whole: their own pages, faults on demand, and what they refuse to call."""

from __future__ import annotations

import json
from datetime import timedelta
from http import HTTPStatus

import pytest
from joserfc import jwt
from joserfc.errors import BadSignatureError

from cloudcard_tools.simulate import faults
from cloudcard_tools.simulate.application import END, FAULTS, OWN, PEOPLE, START
from cloudcard_tools.simulate.cis2 import places
from cloudcard_tools.simulate.directory import Directory
from cloudcard_tools.simulate.faults import Fault, NoFault
from cloudcard_tools.simulate.once import MOST, Handed
from cloudcard_tools.simulate.outgoing import CallRefused, require_callable
from support.simulators import NOW, PUBLISHED, Browser, Town, card


def test_the_page_says_what_runs_where() -> None:
    """NHS look-alikes say that they are none."""
    town = Town()
    text = town.ask("GET", START).body.decode()
    assert town.at.issuer in text
    assert "no service of the NHS" in text
    assert all(fault.value in text for fault in Fault)
    assert "<script" not in text
    assert "<img" not in text


def test_what_a_page_shows_is_escaped() -> None:
    town = Town()
    browser = Browser(town)
    town.id_token(browser.code(card(town.authority, "555073168108_<b>_O'Neil")))
    text = town.ask("GET", START).body.decode()
    assert "<b>" not in text
    assert "&lt;b&gt;" in text


def test_people_are_the_same_for_the_same_seed() -> None:
    people = Directory(7).people()
    assert people == Directory(7).people()
    assert {each.id for each in people}.isdisjoint(each.id for each in Directory(8).people())
    assert [len(each.roles) for each in people] == [0, 1, 2, 3, 5, 7]
    numbers = [each.id for each in people] + [role.id for one in people for role in one.roles]
    assert all(len(each) == 12 and each[0] != "0" for each in numbers)
    assert len(set(numbers)) == len(numbers)
    told = json.loads(Town().ask("GET", PEOPLE).body)["people"]
    assert [each["id"] for each in told] == [each.id for each in Directory(1).people()]


@pytest.mark.parametrize("path", [FAULTS, END])
def test_no_page_of_others_changes_anything(path: str) -> None:
    town = Town()
    answer = town.ask("POST", path, {"faults": "down"}, origin="https://evil.example")
    assert answer.status == HTTPStatus.FORBIDDEN
    assert town.ask("POST", path, {"faults": ""}, origin=town.at.origin).status == 303


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", HTTPStatus.NOT_FOUND),
        ("PUT", places.AUTHORIZE, HTTPStatus.METHOD_NOT_ALLOWED),
        ("GET", places.TOKEN, HTTPStatus.METHOD_NOT_ALLOWED),
        ("POST", places.CONTINUE, HTTPStatus.METHOD_NOT_ALLOWED),
        ("POST", places.AUTHORIZE, HTTPStatus.BAD_REQUEST),  # no form
    ],
)
def test_what_is_not_there(method: str, path: str, status: HTTPStatus) -> None:
    assert Town().ask(method, path).status == status


@pytest.mark.parametrize("path", ["/", places.DISCOVERY, places.AUTHORIZE, places.USERINFO])
def test_down(path: str) -> None:
    """All but the pages by which it is put right."""
    town = Town(faults=faults.parse(["down"]))
    down = town.ask("GET", path).status == HTTPStatus.SERVICE_UNAVAILABLE
    assert down is (path not in OWN)


def test_malformed() -> None:
    town = Town(faults=faults.parse(["malformed"]))
    with pytest.raises(json.JSONDecodeError):
        json.loads(town.ask("GET", places.DISCOVERY).body)


def test_slow() -> None:
    town = Town(faults=faults.parse(["slow=3"]))
    assert (town.simulators.delay(places.TOKEN), town.simulators.delay(START)) == (3, 0)


def test_revoked() -> None:
    town = Town()
    browser, held = Browser(town), card(town.authority)
    _, tokens = town.token(browser.code(held))
    town.simulators.faults = faults.parse(["revoked"])
    bearer = f"Bearer {tokens['access_token']}"
    answer = town.ask("GET", places.USERINFO, authorization=bearer)
    assert answer.status == HTTPStatus.UNAUTHORIZED
    refused = browser.by_card(browser.authorize(prompt="login"), held)
    assert refused.status == HTTPStatus.FORBIDDEN


@pytest.mark.parametrize("seconds", [600, -600])
def test_the_clock_is_off(seconds: int) -> None:
    town = Town(faults=faults.parse([f"clock={seconds}"]))
    claims = town.id_token(Browser(town).code(card(town.authority)))
    assert claims["iat"] == claims["auth_time"] == int(NOW.timestamp()) + seconds


@pytest.mark.parametrize("fault", ["issuer", "audience", "nonce", "expired"])
def test_a_token_is_wrong_in_one_way(fault: str) -> None:
    town = Town()
    browser, held = Browser(town), card(town.authority)
    right = town.id_token(browser.code(held))
    town.simulators.faults = faults.parse([fault])
    wrong = town.id_token(browser.code(held, prompt="login"))
    differ = {name for name in right if right[name] != wrong[name]} - {"at_hash"}
    names = {"issuer": {"iss"}, "audience": {"aud"}, "nonce": {"nonce"}, "expired": {"iat", "exp"}}
    assert differ == names[fault]


def test_a_token_is_signed_with_another_key() -> None:
    town = Town(faults=faults.parse(["signature"]))
    _, found = town.token(Browser(town).code(card(town.authority)))
    with pytest.raises(BadSignatureError):
        jwt.decode(str(found["id_token"]), PUBLISHED, algorithms=["RS256"])


@pytest.mark.parametrize(
    "word", ["wrong", "", "down=1", "slow=", "slow=-1", "slow=x", "slow=1e3", "clock=99999999"]
)
def test_no_fault_is_called_so(word: str) -> None:
    with pytest.raises(NoFault):
        faults.parse([word])


@pytest.mark.parametrize(
    "url",
    [
        "https://am.nhsint.auth-ptl.cis2.spineservices.nhs.uk:443/",
        "http://NHS.UK/",
        "https://login.nhs.uk./",
        "https://digital.nhs.net/x",
        "https://user:nhs@localhost/",
        "file:///etc/passwd",
        "ftp://localhost/",
        "https://",
        "https://[::1/",
        "https://localhost:port/",
        "localhost",
    ],
)
def test_what_is_never_called(url: str) -> None:
    """No host of the NHS, and nothing but HTTP."""
    with pytest.raises(CallRefused):
        require_callable(url)


@pytest.mark.parametrize("url", ["http://localhost:1/x", "https://notnhs.uk/", "https://a.example"])
def test_what_can_be_called(url: str) -> None:
    assert require_callable(url) == url


def test_what_is_handed_out_ends_and_is_bounded() -> None:
    handed = Handed[int](timedelta(seconds=10))
    secret = handed.hand(1, NOW)
    assert handed.find(secret, NOW + timedelta(seconds=9)) == 1
    assert handed.find(secret, NOW + timedelta(seconds=10)) is None
    assert handed.take(secret, NOW) == 1
    assert handed.take(secret, NOW) is None
    first = handed.hand(2, NOW)
    for number in range(MOST):
        handed.hand(number, NOW)
    assert handed.find(first, NOW) is None
    assert secret not in repr(handed)
