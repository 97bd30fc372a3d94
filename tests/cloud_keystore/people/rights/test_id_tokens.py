"""ID tokens: what counts, and what attackers and careless providers make."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from hmac import digest

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from cloud_keystore.model.rights.oidc import encoded
from cloud_keystore.people.rights.id_tokens import Expected, Wrong, kid_of, subject
from support.keystore_world import OIDC
from support.openid_tokens import EC, RSA, STRANGER, SUBJECT, Tokens, half_hash, key_set

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
STAMP = int(NOW.timestamp())
EXPECTED = Expected(OIDC.issuer, OIDC.client_id, "a nonce", NOW - timedelta(seconds=20))
KEYS = key_set(RSA, EC)


def tokens(**changed: object) -> Tokens:
    return Tokens(NOW, EXPECTED.nonce, claims=changed)


def read(token: str, keys: str = KEYS, access_token: str = "") -> str:
    return subject(token, access_token, keys, EXPECTED, NOW)


def refused(token: str, why: str, keys: str = KEYS, access_token: str = "") -> None:
    with pytest.raises(Wrong, match=why):
        read(token, keys, access_token)


def test_tokens_that_count() -> None:
    assert read(tokens().token()) == SUBJECT
    assert read(tokens(aud=[OIDC.client_id], azp=OIDC.client_id).token()) == SUBJECT
    for algorithm in ("RS512", "PS256"):
        made = Tokens(NOW, EXPECTED.nonce, algorithm=algorithm)
        assert read(made.token()) == SUBJECT
    assert read(Tokens(NOW, EXPECTED.nonce, key=EC, algorithm="ES256").token()) == SUBJECT
    # One key, which needs no name
    unnamed = Tokens(NOW, EXPECTED.nonce, header={"kid": None})
    assert read(unnamed.token()) == SUBJECT
    assert kid_of(tokens().token()) == "rsa"
    assert kid_of(unnamed.token()) == kid_of("junk") == kid_of("WzFd.a.b") == ""


def test_a_token_without_a_signature_is_none() -> None:
    rest = Tokens(NOW, EXPECTED.nonce, algorithm="none").token().partition(".")[2]
    for none in ("none", "None", "NONE"):
        refused(f"{_header(none)}.{rest}", "not signed by an algorithm")
    refused(f"{_header('RS256')}.{rest}", "its signature is wrong")


def _header(algorithm: str) -> str:
    return encoded(json.dumps({"alg": algorithm, "kid": "rsa"}).encode())


def test_a_public_key_is_no_secret() -> None:
    """HS256 under the public key, in each form."""
    public = RSA.public_key
    for form in (
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        KEYS.encode(),
    ):
        signed = f"{_header('HS256')}.{tokens().token().split('.')[1]}"
        made = encoded(digest(form, signed.encode(), "sha256"))
        refused(f"{signed}.{made}", "not signed by an algorithm")


def test_keys_of_others_sign_nothing() -> None:
    """A stranger's under the same name, under none, in the header, and one for encryption."""
    made = Tokens(NOW, EXPECTED.nonce, key=STRANGER)
    refused(made.token(), "its signature is wrong")
    for header in ({"jwk": STRANGER.as_dict(private=False)}, {"jku": "https://evil.example.org"}):
        with_key = Tokens(NOW, EXPECTED.nonce, key=STRANGER, header=dict(header))
        try:
            token = with_key.token()
        except ValueError:
            continue
        refused(token, "its signature is wrong")
    refused(tokens().token(), "not signed by a key", key_set(EC))
    refused(tokens().token(), "not signed by a key", '{"keys": []}')
    for_others = {**RSA.as_dict(private=False), "use": "enc"}
    refused(tokens().token(), "not signed by a key", json.dumps({"keys": [for_others]}))
    twice = json.dumps({"keys": [RSA.as_dict(private=False), STRANGER.as_dict(private=False)]})
    refused(tokens().token(), "not signed by a key", twice)
    other = {**RSA.as_dict(private=False), "alg": "PS256"}
    refused(tokens().token(), "not signed by a key", json.dumps({"keys": [other]}))
    short = {**RSA.as_dict(private=False), "n": "AQAB"}
    refused(tokens().token(), "key", json.dumps({"keys": [short]}))


@pytest.mark.parametrize("keys", ["", "[]", "{", '{"keys": {}}', '{"keys": 1}', "1" * 70_000])
def test_what_is_no_set_of_keys(keys: str) -> None:
    refused(tokens().token(), ".", keys)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"iss": "https://evil.example.org"}, "another issuer"),
        ({"iss": f"{OIDC.issuer}/"}, "another issuer"),
        ({"iss": None}, "another issuer"),
        ({"iss": "\ud800"}, "another issuer"),
        ({"iss": [OIDC.issuer]}, "another issuer"),
        ({"aud": "somebody"}, "for somebody else"),
        ({"aud": None}, "for somebody else"),
        ({"aud": []}, "for somebody else"),
        ({"aud": [OIDC.client_id, 1]}, "for somebody else"),
        ({"aud": [OIDC.client_id, "somebody"]}, "for others, too"),
        ({"azp": "somebody"}, "for others, too"),
        ({"nonce": "another"}, "another log-in"),
        ({"nonce": None}, "another log-in"),
        ({"nonce": "\udfff"}, "another log-in"),
        ({"exp": STAMP - 31}, "has ended"),
        ({"exp": None}, "no exp"),
        ({"exp": "2030"}, "no exp"),
        ({"exp": True}, "no exp"),
        ({"exp": 1e300}, "no time"),
        ({"exp": STAMP + 90_000}, "not of now"),
        ({"iat": STAMP + 31}, "not of now"),
        ({"iat": STAMP - 90_000}, "not of now"),
        ({"iat": None}, "no iat"),
        ({"nbf": STAMP + 31}, "not count yet"),
        ({"auth_time": STAMP - 20 - 60 - 31}, "log in there once more"),
        ({"auth_time": STAMP + 31}, "log in there once more"),
        ({"auth_time": None}, "no auth_time"),
        ({"sub": None}, "who it is"),
        ({"sub": ""}, "who it is"),
        ({"sub": 1}, "who it is"),
        ({"sub": "a b"}, "who it is"),
        ({"sub": "s" * 256}, "who it is"),
    ],
)
def test_claims_that_do_not_count(changed: dict[str, object], why: str) -> None:
    refused(tokens(**changed).token(), why)


def test_clocks_may_differ_a_little() -> None:
    for changed in (
        {"exp": STAMP - 29},
        {"iat": STAMP + 29},
        {"nbf": STAMP + 29},
        {"auth_time": STAMP + 29},
        {"auth_time": STAMP - 20 - 60 - 29},
    ):
        assert read(tokens(**changed).token()) == SUBJECT


def test_an_access_token_belongs_to_its_token() -> None:
    token = tokens(at_hash=half_hash("access")).token()
    assert read(token, access_token="access") == SUBJECT
    refused(token, "another access token", access_token="other")
    refused(tokens(at_hash=1).token(), "another access token", access_token="a")
    refused(tokens(at_hash="\ud800").token(), "another access token", access_token="a")
    refused(token, "another access token", access_token="\ud800")


def test_tokens_of_other_kinds_are_none() -> None:
    for header in ({"typ": "at+jwt"}, {"typ": "logout+jwt"}, {"crit": ["exp"], "exp": 1}):
        made = Tokens(NOW, EXPECTED.nonce, header=dict(header))
        refused(_signed_anyhow(made), "another kind")
    refused("a" * 17_000, "too long")


def _signed_anyhow(made: Tokens) -> str:
    """A token whose header says what no library signs; its signature is not what is looked at."""
    _, payload, signature = tokens().token().split(".")
    header = {"alg": "RS256", "kid": "rsa", **made.header}
    return f"{encoded(json.dumps(header).encode())}.{payload}.{signature}"


def test_a_header_that_is_deep_is_none() -> None:
    """It is read in two processes, and ends neither."""
    deep = f"{encoded(b'[' * 12_000)}.e30.a"
    assert kid_of(deep) == ""
    refused(deep, "no JSON")


@given(
    token=st.text(max_size=60)
    | st.tuples(st.text(), st.text(), st.text()).map(".".join)
    | st.sampled_from(["e30.e30.", "W10.e30.a", "bnVsbA.e30.a", "eyJhbGciOjF9.e30.a"])
)
def test_any_text_is_refused_in_words(token: str) -> None:
    refused(token, ".")
    assert isinstance(kid_of(token), str)
