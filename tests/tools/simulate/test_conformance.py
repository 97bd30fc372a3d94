"""The cases of OpenID's conformance suites that apply to the provider: what it answers, and what it
refuses. Each is a row.
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from http import HTTPStatus

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from cloudcard_tools.simulate.cis2 import places
from support.simulators import (
    CLIENT,
    HOLDER,
    LOGGED_OUT,
    PUBLISHED,
    RETURN,
    RSA,
    SECRET,
    SECRETIVE,
    TELL,
    Browser,
    Held,
    Town,
    card,
    proof,
    there,
    told,
    waiting,
)

OTHER = RSAKey.generate_key(2048, auto_kid=True)
UUID = HOLDER.partition("_")[0]


@pytest.fixture
def town() -> Town:
    return Town()


@pytest.fixture
def held(town: Town) -> Held:
    return card(town.authority)


def test_the_provider_tells_of_itself(town: Town) -> None:
    """OP Discovery: the issuer is the address without the path; each endpoint is there."""
    url = f"{town.at.issuer}/.well-known/openid-configuration"
    found = json.loads(town.ask("GET", url).body)
    assert found["issuer"] == town.at.issuer
    for name in ("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri"):
        assert found[name].startswith("https://")
        assert town.ask("GET", found[name]).status != HTTPStatus.NOT_FOUND
    keys = json.loads(town.ask("GET", found["jwks_uri"]).body)["keys"]
    assert [each["kty"] for each in keys] == ["RSA"]
    assert not any(set(each) & {"d", "p", "q", "dp", "dq", "qi"} for each in keys)


def test_at_the_usual_port_the_issuer_alone_names_it() -> None:
    at = places.Places("localhost", 443, 8444)
    assert at.issuer == f"https://localhost:443{places.REALM}"
    found = places.discovery(at)
    assert found["token_endpoint"] == f"https://localhost{places.TOKEN}"


def test_a_card_logs_in(town: Town, held: Held) -> None:
    """OP-Response-code, OP-IDToken: names and types of all claims."""
    answer = Browser(town)
    found = told(answer.by_card(answer.authorize(scope="openid profile"), held))
    assert (found["state"], found["iss"]) == ("a state", town.at.issuer)
    status, tokens = town.token(found["code"])
    assert (status, tokens["token_type"]) == (HTTPStatus.OK, "Bearer")
    claims = jwt.decode(str(tokens["id_token"]), PUBLISHED, algorithms=["RS256"]).claims
    assert {name: claims[name] for name in ("iss", "sub", "uid", "aud", "nonce", "acr", "amr")} == {
        "iss": town.at.issuer,
        "sub": UUID,
        "uid": UUID,
        "aud": CLIENT,
        "nonce": "a nonce",
        "acr": "AAL3_ANY",
        "amr": ["N3_SMARTCARD"],
    }
    assert claims["id_assurance_level"] == claims["authentication_assurance_level"] == "3"
    assert all(type(claims[name]) is int for name in ("iat", "exp", "auth_time"))
    assert "selected_roleid" not in claims
    answer = town.ask(
        "GET", town.at.at(places.USERINFO), authorization=f"Bearer {tokens['access_token']}"
    )
    assert json.loads(answer.body) == {
        "sub": UUID,
        "name": "LOVELACE Ada",
        "given_name": "Ada",
        "family_name": "Lovelace",
        "uid": UUID,
    }


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_type": ""}, "invalid_request"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"scope": "profile"}, "invalid_scope"),
        ({"scope": ""}, "invalid_scope"),
        ({"request": "e30.e30."}, "request_not_supported"),
        ({"request_uri": "https://elsewhere.example"}, "request_uri_not_supported"),
        ({"registration": "{}"}, "registration_not_supported"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"prompt": "perhaps"}, "invalid_request"),
        ({"prompt": "none"}, "login_required"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"max_age": "soon"}, "invalid_request"),
        ({"acr_values": "AAL3_FIDO2"}, "unmet_authentication_requirements"),
        ({"acr_values": "AAL9"}, "unmet_authentication_requirements"),
        ({"code_challenge": proof()[1], "code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": proof()[1]}, "invalid_request"),
        ({"code_challenge": "short", "code_challenge_method": "S256"}, "invalid_request"),
        ({"code_challenge_method": "S256"}, "invalid_request"),
        ({"nonce": "n" * 5000}, "invalid_request"),
    ],
)
def test_a_question_is_refused(town: Town, parameters: Mapping[str, str], error: str) -> None:
    """The client is told, at its address, with its state."""
    found = told(Browser(town).authorize(**parameters))
    assert (found["error"], found["state"]) == (error, "a state")
    assert "code" not in found


@pytest.mark.parametrize(
    "parameters",
    [
        {"client_id": "nobody"},
        {"client_id": ""},
        {"redirect_uri": ""},
        {"redirect_uri": f"{RETURN}/"},
        {"redirect_uri": f"{RETURN}?more=1"},
        {"redirect_uri": RETURN.upper()},
        {"redirect_uri": "http://localhost:9000/callback#there"},
        {"redirect_uri": "http://evil.example/callback"},
    ],
)
def test_nobody_is_sent_to_an_address_that_is_not_registered(
    town: Town, parameters: Mapping[str, str]
) -> None:
    """OP-redirect_uri-NotReg: the person is told, and stays here."""
    answer = Browser(town).authorize(**parameters)
    assert answer.status == HTTPStatus.BAD_REQUEST
    assert "Location" not in dict(answer.fields)


def test_a_parameter_counts_once(town: Town) -> None:
    url = town.at.at(places.AUTHORIZE) + "?client_id=developer&client_id=secretive"
    assert Browser(town).go(url).status == HTTPStatus.BAD_REQUEST


Change = Callable[[Town], dict[str, str]]


def with_claims(**claims: object) -> Change:
    return lambda town: {"client_assertion": town.assertion(**claims)}


def later(town: Town, minutes: float) -> int:
    return int((town.now + timedelta(minutes=minutes)).timestamp())


ASSERTIONS: Mapping[str, Change] = {
    "aud of another provider": with_claims(aud="https://elsewhere.example/access_token"),
    "aud of userinfo": lambda town: with_claims(aud=town.at.at(places.USERINFO))(town),
    "two audiences": lambda town: with_claims(aud=[town.at.issuer, "https://x.example"])(town),
    "no aud": with_claims(aud=None),
    "iss of another client": with_claims(iss=SECRETIVE),
    "no iss": with_claims(iss=None),
    "sub of nobody": with_claims(sub="nobody"),
    "sub of a client with a secret": with_claims(iss=SECRETIVE, sub=SECRETIVE),
    "no jti": with_claims(jti=None),
    "a jti without end": with_claims(jti="j" * 300),
    "no exp": with_claims(exp=None),
    "exp is over": lambda town: with_claims(exp=later(town, -2))(town),
    "exp is far": lambda town: with_claims(exp=later(town, 60))(town),
    "exp is no number": with_claims(exp="tomorrow"),
    "exp is true": with_claims(exp=True),
    "exp is beyond time": with_claims(exp=10**40),
    "iat is to come": lambda town: with_claims(iat=later(town, 3))(town),
    "nbf is to come": lambda town: with_claims(nbf=later(town, 3))(town),
    "RS256": with_claims(alg="RS256"),
    "another key": with_claims(key=OTHER),
    "none": lambda town: {"client_assertion": unsigned(town.assertion())},
    "HS512 with the public key": lambda town: {"client_assertion": confused(town)},
    "changed": lambda town: {"client_assertion": town.assertion()[:-8] + "AAAAAAAA"},
    "no token": lambda _town: {"client_assertion": "a.b.c"},
    "no text": lambda _town: {"client_assertion": "é"},
    "too long": lambda _town: {"client_assertion": "a" * 9000},
    "of another kind": lambda town: {
        "client_assertion": town.assertion(),
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer",
    },
    "with a secret too": lambda town: {
        "client_assertion": town.assertion(),
        "client_secret": SECRET,
    },
    "for another client_id": lambda town: {
        "client_assertion": town.assertion(),
        "client_id": SECRETIVE,
    },
    "a secret instead": lambda _town: {"client_id": CLIENT, "client_secret": SECRET},
    "an empty secret": lambda _town: {"client_id": CLIENT, "client_secret": ""},
    "a wrong secret": lambda _town: {"client_id": SECRETIVE, "client_secret": "t" * 20},
}


def unsigned(token: str) -> str:
    header = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    return f"{header}.{token.split('.')[1]}."


def confused(town: Town) -> str:
    """Signed with the client's public key, as if that were a secret."""
    header = base64.urlsafe_b64encode(b'{"alg":"HS512"}').rstrip(b"=")
    signed = header + b"." + town.assertion().split(".")[1].encode()
    code = hmac.digest(RSA.as_pem(private=False), signed, "sha512")
    return f"{signed.decode()}.{base64.urlsafe_b64encode(code).rstrip(b'=').decode()}"


@pytest.mark.parametrize("name", ASSERTIONS)
def test_a_client_that_does_not_prove_itself_is_refused(town: Town, held: Held, name: str) -> None:
    """And the code is still good for the client that does."""
    code = Browser(town).code(held)
    status, found = town.token(code, **ASSERTIONS[name](town))
    assert (status, found["error"]) == (HTTPStatus.UNAUTHORIZED, "invalid_client")
    assert town.id_token(code)["sub"] == UUID


def test_an_assertion_counts_once(town: Town, held: Held) -> None:
    browser, assertion = Browser(town), town.assertion()
    assert town.id_token(browser.code(held), client_assertion=assertion)
    status, found = town.token(browser.code(held, prompt="login"), client_assertion=assertion)
    assert (status, found["error"]) == (HTTPStatus.UNAUTHORIZED, "invalid_client")


def test_a_client_proves_itself_by_its_secret(town: Town, held: Held) -> None:
    code = Browser(town).code(held, client_id=SECRETIVE)
    claims = town.id_token(code, client_id=SECRETIVE, client_secret=SECRET)
    assert claims["aud"] == SECRETIVE


def test_basic_authentication_is_not_taken(town: Town) -> None:
    form = {"grant_type": "authorization_code", "client_id": SECRETIVE, "client_secret": SECRET}
    answer = town.ask("POST", town.at.at(places.TOKEN), form, authorization="Basic c2VjcmV0")
    assert answer.status == HTTPStatus.UNAUTHORIZED


VERIFIER, CHALLENGE = proof()


@pytest.mark.parametrize(
    ("asked", "sent", "error"),
    [
        ({}, {"code": "another"}, "invalid_grant"),
        ({}, {"redirect_uri": LOGGED_OUT}, "invalid_grant"),
        ({}, {"redirect_uri": ""}, "invalid_grant"),
        ({}, {"grant_type": "password"}, "unsupported_grant_type"),
        ({}, {"grant_type": "refresh_token"}, "unsupported_grant_type"),
        ({}, {"code_verifier": VERIFIER}, "invalid_grant"),  # nobody has asked for a proof
        ({"code_challenge": CHALLENGE}, {}, "invalid_grant"),
        ({"code_challenge": CHALLENGE}, {"code_verifier": proof()[0]}, "invalid_grant"),
        ({"code_challenge": CHALLENGE}, {"code_verifier": CHALLENGE}, "invalid_grant"),
        ({"code_challenge": CHALLENGE}, {"code_verifier": "v"}, "invalid_grant"),
        ({"client_id": SECRETIVE}, {}, "invalid_grant"),  # a code of another client
    ],
)
def test_a_code_is_refused(
    town: Town, held: Held, asked: Mapping[str, str], sent: Mapping[str, str], error: str
) -> None:
    """OP-OAuth-2nd, RFC 7636: what was asked and what is sent belong together."""
    if "code_challenge" in asked:
        asked = {**asked, "code_challenge_method": "S256"}
    code = Browser(town).code(held, **asked)
    status, found = town.token(**{"code": code, **sent})
    assert (status, found["error"]) == (HTTPStatus.BAD_REQUEST, error)


def test_a_proof_key_is_taken(town: Town, held: Held) -> None:
    code = Browser(town).code(held, code_challenge=CHALLENGE, code_challenge_method="S256")
    assert town.id_token(code, code_verifier=VERIFIER)


def test_a_code_that_comes_again_takes_its_access_token_with_it(town: Town, held: Held) -> None:
    """OP-OAuth-2nd-Revokes (RFC 6749, 4.1.2)."""
    code = Browser(town).code(held)
    _, tokens = town.token(code)
    bearer = f"Bearer {tokens['access_token']}"
    where = town.at.at(places.USERINFO)
    assert town.ask("GET", where, authorization=bearer).status == HTTPStatus.OK
    assert town.token(code)[1]["error"] == "invalid_grant"
    refused = town.ask("GET", where, authorization=bearer)
    assert refused.status == HTTPStatus.UNAUTHORIZED
    assert 'error="invalid_token"' in dict(refused.fields)["WWW-Authenticate"]


@pytest.mark.parametrize(("seconds", "error"), [(59, None), (61, "invalid_grant")])
def test_a_code_ends(town: Town, held: Held, seconds: int, error: str | None) -> None:
    """OP-OAuth-2nd-30s: a minute after it was made."""
    code = Browser(town).code(held)
    town.now += timedelta(seconds=seconds)
    assert town.token(code)[1].get("error") == error


@pytest.mark.parametrize("bearer", ["", "Bearer ", "Bearer another", "Basic abc", "bearer"])
def test_userinfo_is_for_who_has_an_access_token(town: Town, bearer: str) -> None:
    answer = town.ask("GET", town.at.at(places.USERINFO), authorization=bearer)
    assert answer.status == HTTPStatus.UNAUTHORIZED


def test_an_access_token_ends(town: Town, held: Held) -> None:
    _, tokens = town.token(Browser(town).code(held))
    town.now += timedelta(minutes=5, seconds=1)
    bearer = f"Bearer {tokens['access_token']}"
    answer = town.ask("GET", town.at.at(places.USERINFO), authorization=bearer)
    assert answer.status == HTTPStatus.UNAUTHORIZED


def test_who_has_logged_in_is_not_asked_again(town: Town, held: Held) -> None:
    """OP-prompt-none-LoggedIn, OP-prompt-login, OP-Req-max_age."""
    browser = Browser(town)
    first = town.id_token(browser.code(held))
    town.now += timedelta(seconds=100)
    again = town.id_token(told(browser.authorize(prompt="none"))["code"])
    assert (again["auth_time"], again["sid"]) == (first["auth_time"], first["sid"])
    assert waiting(browser.authorize(prompt="login"))
    assert waiting(browser.authorize(max_age="50"))
    assert told(browser.authorize(max_age="300"))["code"]
    assert told(browser.authorize(max_age="50", prompt="none"))["error"] == "login_required"
    later_on = town.id_token(browser.code(held, prompt="login"))
    assert later_on["auth_time"] == first["auth_time"] + 100  # type: ignore[operator]


def test_another_browser_cannot_go_on(town: Town, held: Held) -> None:
    """Who is lured to a log-in that somebody else has begun gives nothing away."""
    page = Browser(town).authorize()
    answer = Browser(town).by_card(page, held)
    assert answer.status == HTTPStatus.BAD_REQUEST


def test_logging_out_tells_the_clients(town: Town, held: Held) -> None:
    """RP-initiated and back-channel logout: sid and sub, no nonce, and no access any more."""
    browser = Browser(town)
    _, tokens = town.token(browser.code(held))
    hint = str(tokens["id_token"])
    claims = jwt.decode(hint, PUBLISHED, algorithms=["RS256"]).claims
    where = town.at.at(places.END_SESSION)
    answer = browser.go(
        where,
        {"id_token_hint": hint, "post_logout_redirect_uri": LOGGED_OUT, "state": "left"},
    )
    assert there(answer) == f"{LOGGED_OUT}?state=left"
    [notice] = answer.notices
    assert (notice.client, notice.url) == (CLIENT, TELL)
    found = jwt.decode(notice.form["logout_token"], PUBLISHED, algorithms=["RS256"]).claims
    assert (found["iss"], found["aud"]) == (town.at.issuer, CLIENT)
    assert (found["sub"], found["sid"]) == (UUID, claims["sid"])
    assert found["events"] == {"http://schemas.openid.net/event/backchannel-logout": {}}
    assert "nonce" not in found
    assert found["iat"] <= town.now.timestamp() < found["exp"] <= found["iat"] + 300
    assert found["jti"]
    bearer = f"Bearer {tokens['access_token']}"
    gone = town.ask("GET", town.at.at(places.USERINFO), authorization=bearer)
    assert gone.status == HTTPStatus.UNAUTHORIZED
    assert told(browser.authorize(prompt="none"))["error"] == "login_required"


@pytest.mark.parametrize(
    "form",
    [
        {"id_token_hint": "a.b.c"},
        {"client_id": CLIENT, "post_logout_redirect_uri": "http://evil.example/"},
        {"client_id": CLIENT, "post_logout_redirect_uri": f"{LOGGED_OUT}/"},
        {"post_logout_redirect_uri": LOGGED_OUT},
    ],
)
def test_logging_out_is_refused(town: Town, held: Held, form: Mapping[str, str]) -> None:
    browser = Browser(town)
    town.token(browser.code(held))
    answer = browser.go(town.at.at(places.END_SESSION), form)
    assert (answer.status, answer.notices) == (HTTPStatus.BAD_REQUEST, ())
    assert told(browser.authorize(prompt="none"))["code"]


def test_without_a_hint_the_person_is_asked(town: Town, held: Held) -> None:
    """No page of others logs anybody out."""
    browser = Browser(town)
    town.token(browser.code(held))
    where = town.at.at(places.END_SESSION)
    page = browser.go(where, {"client_id": CLIENT, "confirmed": "guessed"})
    assert (page.status, page.notices) == (HTTPStatus.OK, ())
    assert told(browser.authorize(prompt="none"))["code"]
    confirmed = page.body.decode().split('name="confirmed" value="')[1].partition('"')[0]
    answer = browser.go(where, {"client_id": CLIENT, "confirmed": confirmed})
    assert len(answer.notices) == 1
