"""What is served of a keystore's certificates, and to whom it is told in which way."""

from __future__ import annotations

import base64
import os
from collections.abc import Hashable
from http import HTTPStatus
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.x509 import ocsp

from cloud_keystore.model.errors import StorageUnavailable, TooManyCalls
from cloud_keystore.model.pki.revocation import Answer
from cloud_keystore.plain.messages import Request, Response
from cloud_keystore.plain.status import ANSWER_TYPE, ASKED_TYPE, ISSUER_TYPE, LIST_TYPE, Status
from support.checking import Checker, certificate, question
from support.keystore_world import OPERATOR, World

PLACE = "192.0.2.1"
POSTED = {"content-type": ASKED_TYPE}


def everybody(_: Hashable) -> None:
    """Admit everybody."""


def nobody(_: Hashable) -> None:
    """Admit nobody."""
    raise TooManyCalls("too many calls", 1.0)


@pytest.fixture
def checker(world: World) -> Checker:
    return Checker(world)


@pytest.fixture
def status(world: World, checker: Checker) -> Status:
    return Status(checker.publishing, checker.responding, world.clock, everybody)


@pytest.fixture
def asked(world: World, checker: Checker, serial: str) -> bytes:
    """A question about a card's certificate."""
    return question(certificate(world.keys(serial)[0]), checker.issuer.certificate)


def get(status: Status, path: str, **fields: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    return status.answer(Request("GET", path, named), PLACE)


def in_path(request: bytes) -> str:
    return f"/ocsp/{quote(base64.b64encode(request).decode(), safe='')}"


def test_a_list(world: World, checker: Checker, status: Status, serial: str) -> None:
    path = f"/crl/{checker.issuer.key_id.hex()}.crl"
    first = checker.list()
    served = get(status, path)
    assert (served.status, served.media_type) == (HTTPStatus.OK, LIST_TYPE)
    assert x509.load_der_x509_crl(served.body) == first
    assert served.fields["Cache-Control"].startswith("public, max-age=60,")
    tag = served.fields["ETag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = get(status, path, if_none_match=known)
        assert (again.status, again.body) == (HTTPStatus.NOT_MODIFIED, b"")
        assert again.fields["ETag"] == tag
    world.cards.suspend(serial, actor=OPERATOR)
    checker.list()
    fresh = get(status, path, if_none_match=tag)
    assert fresh.status is HTTPStatus.OK
    assert len(x509.load_der_x509_crl(fresh.body)) == 4


def test_nothing_is_kept_beyond_the_end_of_a_list(
    world: World, checker: Checker, status: Status
) -> None:
    end = checker.list().next_update_utc
    world.clock.now = end
    served = get(status, f"/crl/{checker.issuer.key_id.hex()}.crl")
    assert "max-age=0," in served.fields["Cache-Control"]


def test_the_certificate_of_an_authority(checker: Checker, status: Status) -> None:
    served = get(status, f"/ca/{checker.issuer.key_id.hex()}.cer")
    assert (served.status, served.media_type) == (HTTPStatus.OK, ISSUER_TYPE)
    assert served.body == checker.issuer.der
    assert (
        status.answer(Request("HEAD", f"/ca/{checker.issuer.key_id.hex()}.cer"), PLACE).body
        == checker.issuer.der
    )  # of which the port sends the length alone


@pytest.mark.parametrize("asks_by_get", [False, True])
def test_an_answer(status: Status, asked: bytes, asks_by_get: bool) -> None:
    request = (
        Request("GET", in_path(asked)) if asks_by_get else Request("POST", "/ocsp", POSTED, asked)
    )
    served = status.answer(request, PLACE)
    assert (served.status, served.media_type) == (HTTPStatus.OK, ANSWER_TYPE)
    answer = ocsp.load_der_ocsp_response(served.body)
    assert answer.certificate_status is ocsp.OCSPCertStatus.GOOD
    kept = "max-age=600" in served.fields["Cache-Control"]
    assert kept is asks_by_get  # nobody keeps answers to POST
    if asks_by_get:
        assert served.fields["Expires"] == f"{answer.next_update_utc:%a, %d %b %Y %T GMT}"


def test_an_answer_to_a_nonce_is_not_kept(
    world: World, checker: Checker, status: Status, serial: str
) -> None:
    own = certificate(world.keys(serial)[0])
    request = question(own, checker.issuer.certificate, nonce=os.urandom(32))
    assert get(status, in_path(request)).fields["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/ocsp/", "/ocsp/%", "/ocsp/AAAA", "/ocsp/!!!!", "/ocsp"])
def test_a_question_that_is_none(status: Status, path: str) -> None:
    served = get(status, path)
    found = ocsp.load_der_ocsp_response(served.body).response_status
    assert found is ocsp.OCSPResponseStatus.MALFORMED_REQUEST


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (Request("GET", "/"), HTTPStatus.NOT_FOUND),
        (Request("GET", "/metrics"), HTTPStatus.NOT_FOUND),
        (Request("GET", f"/crl/{bytes(20).hex()}.crl"), HTTPStatus.NOT_FOUND),
        (Request("GET", f"/ca/{bytes(20).hex()}.cer"), HTTPStatus.NOT_FOUND),
        (Request("GET", f"/crl/{bytes(20).hex()}xcrl"), HTTPStatus.NOT_FOUND),
        (Request("GET", "/crl/../ca.crl"), HTTPStatus.NOT_FOUND),
        (Request("POST", "/crl/x.crl"), HTTPStatus.METHOD_NOT_ALLOWED),
        (Request("PUT", "/ocsp"), HTTPStatus.METHOD_NOT_ALLOWED),
        (
            Request("POST", "/ocsp", {"content-type": "text/plain"}),
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        ),
    ],
)
def test_what_is_not_served(status: Status, request_: Request, expected: HTTPStatus) -> None:
    assert status.answer(request_, PLACE).status is expected


def test_no_list_before_one_was_signed(checker: Checker, status: Status) -> None:
    assert get(status, f"/crl/{checker.issuer.key_id.hex()}.crl").status is HTTPStatus.NOT_FOUND


def test_who_asks_too_often_asks_later(world: World, checker: Checker, asked: bytes) -> None:
    status = Status(checker.publishing, checker.responding, world.clock, nobody)
    served = get(status, in_path(asked))
    found = ocsp.load_der_ocsp_response(served.body).response_status
    assert found is ocsp.OCSPResponseStatus.TRY_LATER
    listed = get(status, f"/crl/{checker.issuer.key_id.hex()}.crl")
    assert listed.status is HTTPStatus.TOO_MANY_REQUESTS
    assert listed.fields["Retry-After"] == "5"


def test_while_custody_is_away(
    checker: Checker, status: Status, asked: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> Answer:
        raise StorageUnavailable("custody is not reached")

    monkeypatch.setattr(type(checker.responding), "respond", away)
    monkeypatch.setattr(type(checker.publishing), "document", away)
    served = get(status, in_path(asked))
    found = ocsp.load_der_ocsp_response(served.body).response_status
    assert found is ocsp.OCSPResponseStatus.TRY_LATER
    listed = get(status, f"/crl/{checker.issuer.key_id.hex()}.crl")
    assert listed.status is HTTPStatus.SERVICE_UNAVAILABLE
