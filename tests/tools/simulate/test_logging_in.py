"""Ways to log in, what they are worth, and roles."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from cryptography.x509.oid import ExtendedKeyUsageOID

from cloudcard_tools.simulate.cards import ListMissing
from cloudcard_tools.simulate.cis2 import places
from cloudcard_tools.simulate.directory import Directory, Person
from cloudcard_tools.simulate.exchange import Response
from support.authority import Authority, key_usage
from support.simulators import (
    NOW,
    Browser,
    Held,
    Town,
    card,
    revocation_list,
    there,
    told,
    waiting,
)

PIV_CARD_AUTHENTICATION = x509.ObjectIdentifier("2.16.840.1.101.3.6.8")


def by_roles(count: int) -> Person:
    """The person of the directory with so many roles."""
    return next(each for each in Directory(1).people() if len(each.roles) == count)


def code_of(person: Person, town: Town) -> str:
    totp = TOTP(person.code_key, 6, SHA1(), 30)
    return totp.generate(int(town.now.timestamp())).decode()


def by_code(browser: Browser, page: Response, who: Person, **changed: str) -> Response:
    form = {
        "waiting": waiting(page),
        "person": who.id,
        "passphrase": who.passphrase,
        "code": code_of(who, browser.town),
        **changed,
    }
    return browser.follow(browser.go(browser.town.at.at(places.CODE), form))


def missing() -> list[x509.CertificateRevocationList]:
    raise ListMissing("the host was not reached")


REFUSED: dict[str, tuple[Callable[[Town], Held], str]] = {
    "another authority": (lambda _town: card(Authority()), "authority that is trusted"),
    "the signature key": (
        lambda town: card(town.authority, purpose=ExtendedKeyUsageOID.EMAIL_PROTECTION),
        "key 9A",
    ),
    "the card's own key": (
        lambda town: card(town.authority, purpose=PIV_CARD_AUTHENTICATION),
        "key 9A",
    ),
    "a key that agrees": (lambda town: card(town.authority, usage="key_agreement"), "key 9A"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_card_is_refused(name: str) -> None:
    town = Town()
    made, said = REFUSED[name]
    browser = Browser(town)
    answer = browser.by_card(browser.authorize(), made(town))
    assert answer.status == HTTPStatus.FORBIDDEN
    assert said in answer.body.decode()


@pytest.mark.parametrize("days", [-1, 31])
def test_a_card_counts_while_its_certificate_does(days: int) -> None:
    town = Town(lists=lambda: [revocation_list(town.authority, life=timedelta(days=90))])
    held, browser = card(town.authority), Browser(town)
    town.now += timedelta(days=days)
    answer = browser.by_card(browser.authorize(), held)
    assert answer.status == HTTPStatus.FORBIDDEN
    assert "not valid now" in answer.body.decode()


def test_a_revoked_card_is_refused() -> None:
    town = Town()
    held, browser = card(town.authority), Browser(town)
    assert told(browser.by_card(browser.authorize(), held))
    town.revoked.append(held)
    answer = browser.by_card(browser.authorize(prompt="login"), held)
    assert answer.status == HTTPStatus.FORBIDDEN
    assert "revoked" in answer.body.decode()


@pytest.mark.parametrize(
    "lists",
    [
        lambda _town: [],
        lambda _town: missing(),
        lambda town: [revocation_list(town.authority, now=NOW - timedelta(days=4))],
        lambda town: [revocation_list(town.authority, now=NOW + timedelta(days=4))],
        lambda _town: [revocation_list(Authority())],  # of the same name
    ],
)
def test_without_a_list_that_counts_no_card_does(
    lists: Callable[[Town], list[x509.CertificateRevocationList]],
) -> None:
    town = Town(lists=lambda: lists(town))
    browser = Browser(town)
    answer = browser.by_card(browser.authorize(), card(town.authority))
    assert answer.status == HTTPStatus.FORBIDDEN
    assert "list" in answer.body.decode()


def test_without_a_certificate_the_page_says_so() -> None:
    town = Town()
    browser = Browser(town)
    url = f"{town.at.at_card(places.CARD)}?waiting={waiting(browser.authorize())}"
    answer = browser.go(url)
    assert answer.status == HTTPStatus.FORBIDDEN
    assert "No certificate came" in answer.body.decode()


def test_the_card_door_is_nowhere_else() -> None:
    """Where no certificate is asked for, nothing that looks like one counts."""
    town = Town()
    browser = Browser(town)
    url = f"{town.at.at(places.CARD)}?waiting={waiting(browser.authorize())}"
    assert browser.go(url, certificate=card(town.authority).der).status == HTTPStatus.NOT_FOUND


def challenge(browser: Browser, page: Response) -> tuple[str, bytes]:
    url = f"{browser.town.at.at(places.CHALLENGE)}?waiting={waiting(page)}"
    return url, base64.b64decode(json.loads(browser.go(url).body)["challenge"])


def answered(browser: Browser, page: Response, der: bytes, signature: bytes) -> Response:
    form = {
        "waiting": waiting(page),
        "certificate": base64.b64encode(der).decode(),
        "signature": base64.b64encode(signature).decode(),
    }
    return browser.follow(browser.go(browser.town.at.at(places.CHALLENGE), form))


def test_a_card_signs_a_challenge() -> None:
    town = Town()
    browser, held = Browser(town), card(town.authority)
    page = browser.authorize(acr_values="AAL3_CIS2_SMARTCARD")
    _, text = challenge(browser, page)
    assert text.startswith(b"cloudcard simulator log-in\n")
    signature = held.key.sign(text, ec.ECDSA(SHA256()))
    claims = town.id_token(told(answered(browser, page, held.der, signature))["code"])
    assert (claims["acr"], claims["amr"]) == ("AAL3_CIS2_SMARTCARD", ["CIS2_SMARTCARD"])


def test_an_rsa_card_signs_a_challenge() -> None:
    town = Town()
    key, browser = generate_private_key(65537, 2048), Browser(town)
    purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    extensions = (key_usage("digital_signature"), purpose)
    certificate = town.authority.certify("Grace Hopper", key.public_key(), *extensions)
    page = browser.authorize()
    signature = key.sign(challenge(browser, page)[1], PKCS1v15(), SHA256())
    der = certificate.public_bytes(Encoding.DER)
    claims = town.id_token(told(answered(browser, page, der, signature))["code"])
    assert len(str(claims["sub"])) == 12


def test_a_challenge_counts_once_and_for_its_own_log_in() -> None:
    town = Town()
    browser, held = Browser(town), card(town.authority)
    page, other = browser.authorize(), browser.authorize()
    _, text = challenge(browser, page)
    challenge(browser, other)
    signature = held.key.sign(text, ec.ECDSA(SHA256()))
    assert answered(browser, other, held.der, signature).status == HTTPStatus.FORBIDDEN
    assert answered(browser, page, held.der, b"wrong").status == HTTPStatus.FORBIDDEN
    assert answered(browser, page, held.der, signature).status == HTTPStatus.FORBIDDEN


def test_a_code_is_worth_less_than_a_card() -> None:
    """Step-up: who is logged in by a code and needs a card is asked for it, in the same session."""
    town, person = Town(), by_roles(1)
    browser = Browser(town)
    page = browser.authorize(acr_values="AAL2_OR_AAL3_ANY")
    claims = town.id_token(told(by_code(browser, page, person))["code"])
    assert (claims["acr"], claims["amr"]) == ("AAL2_OR_AAL3_ANY", ["TOTP"])
    assert claims["authentication_assurance_level"] == "2"
    step = browser.authorize(acr_values="AAL3_ANY")
    assert b"one-time code" not in step.body
    held = card(town.authority, f"{person.id}_{person.given}_{person.family}")
    raised = town.id_token(told(browser.by_card(step, held))["code"])
    assert raised["authentication_assurance_level"] == "3"
    assert (raised["sub"], raised["sid"]) == (claims["sub"], claims["sid"])


def test_a_code_does_not_reach_what_needs_a_card() -> None:
    """Whatever form is sent."""
    town, person = Town(), by_roles(1)
    browser = Browser(town)
    answer = by_code(browser, browser.authorize(acr_values="AAL3_ANY"), person)
    assert answer.status == HTTPStatus.FORBIDDEN
    assert told(browser.authorize(prompt="none"))["error"] == "login_required"


@pytest.mark.parametrize(
    "changed", [{"passphrase": "wrong"}, {"code": "000000"}, {"code": ""}, {"person": "1"}]
)
def test_a_wrong_code_is_refused(changed: dict[str, str]) -> None:
    town, person = Town(), by_roles(1)
    browser = Browser(town)
    page = browser.authorize(acr_values="AAL2_ANY")
    assert b"is wrong" in by_code(browser, page, person, **changed).body
    assert told(by_code(browser, page, person))["code"]


def test_a_one_time_code_counts_once() -> None:
    town, person = Town(), by_roles(1)
    for expected in (True, False):
        browser = Browser(town)
        answer = by_code(browser, browser.authorize(acr_values="AAL2_ANY"), person)
        assert (answer.status == HTTPStatus.SEE_OTHER) is expected


def test_who_is_wrong_too_often_waits() -> None:
    town, person = Town(), by_roles(1)
    browser = Browser(town)
    page = browser.authorize(acr_values="AAL2_ANY")
    for _ in range(5):
        by_code(browser, page, person, code="000000")
    assert b"is wrong" in by_code(browser, page, person).body
    town.now += timedelta(minutes=5)
    assert told(by_code(browser, page, person))["code"]


def test_another_person_ends_the_session_of_the_one_before() -> None:
    town = Town()
    browser = Browser(town)
    first = town.id_token(browser.code(card(town.authority)))
    page = browser.authorize(prompt="login")
    held = card(town.authority, "555073168109_Grace_Hopper")
    url = f"{town.at.at_card(places.CARD)}?waiting={waiting(page)}"
    answer = browser.go(url, certificate=held.der)
    assert len(answer.notices) == 1
    second = town.id_token(told(browser.follow(answer))["code"])
    assert second["sid"] != first["sid"]


@pytest.mark.parametrize(("count", "shown"), [(0, False), (1, False), (2, True), (7, True)])
def test_roles_are_chosen_where_there_is_a_choice(count: int, shown: bool) -> None:
    """None is legal, one is chosen at once, up to five are a list, and more a search."""
    town, person = Town(), by_roles(count)
    browser = Browser(town)
    scope = "openid selectedrole nationalrbacaccess"
    page = by_code(browser, browser.authorize(acr_values="AAL2_ANY", scope=scope), person)
    assert (page.status == HTTPStatus.OK) is shown
    if shown:
        listed = page.body.count(b'type="radio"')
        assert listed == (count if count <= 5 else 0)
        last = person.roles[-1]
        if not listed:
            words = f"{last.job.name.rpartition(':')[2].strip(chr(34))} {last.organisation}"
            url = f"{town.at.at(places.ROLE)}?waiting={waiting(page)}"
            found = browser.go(f"{url}&search={words.replace(' ', '+').lower()}")
            assert last.id in found.body.decode()
        page = browser.choose(page, last.id)
    claims = town.id_token(told(page)["code"])
    expected = person.roles[-1].id if person.roles else None
    assert claims.get("selected_roleid") == expected


def test_a_role_is_changed() -> None:
    """Scope changedrole asks anew; selectedrole keeps what was chosen."""
    town = Town()
    browser, held = Browser(town), card(town.authority)
    page = browser.by_card(browser.authorize(scope="openid selectedrole"), held)
    roles = Directory(1).holder("", "555073168108_Ada_Lovelace").roles
    first = town.id_token(told(browser.choose(page, roles[0].id))["code"])
    kept = told(browser.authorize(scope="openid selectedrole", prompt="none"))["code"]
    assert town.id_token(kept)["selected_roleid"] == first["selected_roleid"] == roles[0].id
    page = browser.authorize(scope="openid changedrole")
    changed = town.id_token(told(browser.choose(page, roles[1].id))["code"])
    assert (changed["selected_roleid"], changed["sid"]) == (roles[1].id, first["sid"])
    refused = told(browser.authorize(scope="openid changedrole", prompt="none"))
    assert refused["error"] == "interaction_required"


def test_a_role_of_somebody_else_is_not_chosen() -> None:
    town = Town()
    browser, held = Browser(town), card(town.authority)
    page = browser.by_card(browser.authorize(scope="openid selectedrole"), held)
    again = browser.choose(page, by_roles(2).roles[0].id)
    assert again.status == HTTPStatus.OK
    assert b"Choose a role" in again.body


def test_roles_look_as_clients_read_them() -> None:
    town = Town()
    browser, held = Browser(town), card(town.authority)
    scope = "openid nationalrbacaccess associatedorgs organisationalmemberships email nhsperson"
    _, tokens = town.token(browser.code(held, scope=scope))
    answer = town.ask(
        "GET", town.at.at(places.USERINFO), authorization=f"Bearer {tokens['access_token']}"
    )
    found = json.loads(answer.body)
    assert found["idassurancelevel"] == "3"
    assert found["email"] == "555073168108@example.invalid"
    for role in found["nhsid_nrbac_roles"]:
        assert len(role["person_roleid"]) == len(role["person_orgid"]) == 12
        assert [part[0] for part in role["role_code"].split(":")] == ["S", "G", "R"]
        assert role["org_code"].startswith("ZZQ")
        assert role["workgroups_codes"] == role["aow_codes"] == []
        assert role["org_code"] in {each["org_code"] for each in found["nhsid_user_orgs"]}
    assert not any("," in each["org_name"] for each in found["nhsid_user_orgs"])


def test_no_answer_is_kept_or_framed() -> None:
    town = Town()
    answer = town.ask("GET", town.at.at("/"), host="elsewhere.example")
    assert answer.status == HTTPStatus.MISDIRECTED_REQUEST
    browser = Browser(town)
    browser.authorize()
    [cookie] = [value for name, value in Browser(town).authorize().fields if name == "Set-Cookie"]
    assert cookie.startswith("__Host-")
    assert all(each in cookie for each in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"))
    assert "Location" not in dict(answer.fields)
    assert there(Browser(town).authorize(prompt="none"))
