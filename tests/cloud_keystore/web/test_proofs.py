"""Proofs of a device's key: what is taken, once, and what is not."""

from __future__ import annotations

import json
import os
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from cloud_keystore.model.errors import Overloaded
from cloud_keystore.web import proofs
from cloud_keystore.web.proofs import (
    LONGEST,
    STEP_SECONDS,
    NonceNeeded,
    Nonces,
    Proof,
    ProofRejected,
    decoded,
    encoded,
)
from support.keystore_world import spki
from support.site import BrowserDevice

URL = "https://cards.example.org/authenticator/v1/cards"
BODY = b'{"passcode": "135790"}'


class Monotonic:
    """A clock that tests turn."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Monotonic:
    return Monotonic()


@pytest.fixture
def nonces(clock: Monotonic) -> Nonces:
    return Nonces(b"\x01" * 32, clock)


@pytest.fixture
def device(nonces: Nonces) -> BrowserDevice:
    private = ec.generate_private_key(ec.SECP256R1())
    return BrowserDevice(_nobody, private, os.urandom(32), nonces.fresh())


async def _nobody(*_: object) -> None:
    raise AssertionError


def test_a_proof_is_for_one_call_by_one_key(device: BrowserDevice) -> None:
    proof = Proof.parse(device.proof("POST", URL, BODY))
    proof.check_call("POST", URL, BODY)
    proof.check_key(spki(device.private))
    assert proof.certificate_sha256 == device.certificate_sha256
    for method, url, body in (
        ("GET", URL, BODY),
        ("POST", URL + "s", BODY),
        ("POST", URL.replace("https", "http"), BODY),
        ("POST", URL, BODY + b" "),
    ):
        with pytest.raises(ProofRejected):
            proof.check_call(method, url, body)
    with pytest.raises(ProofRejected, match="not of this device's key"):
        proof.check_key(spki(ec.generate_private_key(ec.SECP256R1())))


def test_what_is_signed_cannot_be_changed(device: BrowserDevice) -> None:
    header, _, signature = device.proof("GET", URL, b"").split(".")
    device.claims = {"htm": "POST"}
    other = device.proof("GET", URL, b"").split(".")[1]
    with pytest.raises(ProofRejected):
        Proof.parse(f"{header}.{other}.{signature}").check_key(spki(device.private))


@pytest.mark.parametrize(
    ("header", "claims"),
    [
        ({"alg": "none"}, {}),
        ({"alg": "HS256"}, {}),
        ({"typ": "JWT"}, {}),
        ({"jwk": {}}, {}),
        ({"x5t#S256": encoded(b"short")}, {}),
        ({"x5t#S256": 7}, {}),
        ({}, {"iat": "now"}),
        ({}, {"iat": True}),
        ({}, {"jti": ""}),
        ({}, {"jti": "x" * 600}),
        ({}, {"jti": "\u00e9"}),
        ({}, {"nonce": None}),
        ({}, {"bh": "="}),
        ({}, {"exp": 1}),
    ],
)
def test_other_forms_are_refused(
    device: BrowserDevice, header: dict[str, object], claims: dict[str, object]
) -> None:
    device.header, device.claims = header, claims
    with pytest.raises(ProofRejected):
        Proof.parse(device.proof("GET", URL, b""))


@given(st.text(max_size=300) | st.from_regex(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{86}"))
def test_any_text_is_a_proof_or_refused(text: str) -> None:
    try:
        Proof.parse(text)
    except ProofRejected as error:
        assert str(error)


def test_a_long_text_is_not_read() -> None:
    with pytest.raises(ProofRejected):
        Proof.parse("a" * LONGEST + ".a." + "a" * 86)


def test_deep_json_is_refused() -> None:
    deep = encoded(b'{"a":' * 300)
    with pytest.raises(ProofRejected):
        Proof.parse(f"{deep}.{deep}.{'a' * 86}")


def test_a_proof_is_spent_once(device: BrowserDevice, nonces: Nonces, clock: Monotonic) -> None:
    proof = Proof.parse(device.proof("GET", URL, b""))
    nonces.spend(proof)
    for seconds in (0.0, STEP_SECONDS, STEP_SECONDS, STEP_SECONDS):
        clock.now += seconds
        with pytest.raises(ProofRejected):
            nonces.spend(proof)
    device.nonce = nonces.fresh()
    nonces.spend(Proof.parse(device.proof("GET", URL, b"")))


def test_a_name_that_is_used_again_under_a_newer_nonce_is_refused(
    device: BrowserDevice, nonces: Nonces, clock: Monotonic
) -> None:
    device.claims = {"jti": "same"}
    nonces.spend(Proof.parse(device.proof("GET", URL, b"")))
    clock.now += STEP_SECONDS
    device.nonce = nonces.fresh()
    with pytest.raises(ProofRejected, match="used before"):
        nonces.spend(Proof.parse(device.proof("GET", URL, b"")))


def test_old_nonces_and_those_of_others_are_refused(
    device: BrowserDevice, nonces: Nonces, clock: Monotonic
) -> None:
    clock.now += 2 * STEP_SECONDS
    with pytest.raises(NonceNeeded):
        nonces.spend(Proof.parse(device.proof("GET", URL, b"")))
    device.nonce = Nonces(b"\x02" * 32, clock).fresh()
    with pytest.raises(NonceNeeded):
        nonces.spend(Proof.parse(device.proof("GET", URL, b"")))


def test_what_is_remembered_is_bounded(
    device: BrowserDevice, nonces: Nonces, clock: Monotonic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proofs, "MOST_SPENT", 2)
    for _ in range(2):
        nonces.spend(Proof.parse(device.proof("GET", URL, b"")))
    with pytest.raises(Overloaded):
        nonces.spend(Proof.parse(device.proof("GET", URL, b"")))
    clock.now += 2 * STEP_SECONDS
    device.nonce = nonces.fresh()
    nonces.spend(Proof.parse(device.proof("GET", URL, b"")))


@given(st.binary(max_size=100))
def test_base64url_has_one_form(raw: bytes) -> None:
    assert decoded(encoded(raw)) == raw
    for wrong in (encoded(raw) + "=", encoded(raw) + "\n", json.dumps(encoded(raw))):
        with pytest.raises(ProofRejected):
            decoded(wrong)


def test_unused_bits_of_base64url_are_refused() -> None:
    assert decoded(encoded(b"\x00")) == b"\x00"
    with pytest.raises(ProofRejected):
        decoded("AB")
    assert sha256(b"").digest_size == len(decoded("A" * 43))
