"""Requests of HTTP as strangers write them."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_keystore.plain.messages import Refused, Request, Response, parse


def test_a_request_is_read() -> None:
    head = b'GET /crl/ab.crl HTTP/1.1\r\nHost: pki.example.org\r\nIf-None-Match:\t"1" \r\n\r\n'
    fields = {"host": "pki.example.org", "if-none-match": '"1"'}
    assert parse(head) == Request("GET", "/crl/ab.crl", fields)


def test_fields_that_proxies_have_added_are_one_list() -> None:
    head = b"GET / HTTP/1.1\r\nVia: 1.1 a\r\nHost: x\r\nvia: 1.1 b\r\n\r\n"
    assert parse(head).fields == {"via": "1.1 a, 1.1 b", "host": "x"}


def test_a_request_by_way_of_a_proxy_is_read() -> None:
    assert parse(b"GET http://pki.example.org/ocsp HTTP/1.0\r\n\r\n") == Request("GET", "/ocsp")


@pytest.mark.parametrize(
    "head",
    [
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/2\r\n\r\n",
        b"get / HTTP/1.1\r\n\r\n",
        b"GET  / HTTP/1.1\r\n\r\n",
        b"GET ocsp HTTP/1.1\r\n\r\n",
        b"GET https://x/ HTTP/1.1\r\n\r\n",
        b"GET /\xc3\xa4 HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nno field\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: 1\r\n 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"GET / HTTP/1.1\nHost: x\r\n\r\n",
    ],
)
def test_what_is_no_request(head: bytes) -> None:
    with pytest.raises(Refused) as refused:
        parse(head)
    assert refused.value.status is HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"content-length": "4097"}, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
        ({"content-length": "-1"}, HTTPStatus.BAD_REQUEST),
        ({"content-length": "1 "}, HTTPStatus.BAD_REQUEST),
        ({"content-length": "9" * 5000}, HTTPStatus.BAD_REQUEST),
        ({"transfer-encoding": "chunked"}, HTTPStatus.LENGTH_REQUIRED),
    ],
)
def test_a_body_of_another_length(fields: dict[str, str], status: HTTPStatus) -> None:
    with pytest.raises(Refused) as refused:
        Request("POST", "/ocsp", fields).length(4096)
    assert refused.value.status is status


def test_the_length_of_a_body() -> None:
    assert Request("POST", "/", {"content-length": "4096"}).length(4096) == 4096
    assert Request("GET", "/").length(4096) == 0


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(head: bytes) -> None:
    try:
        assert parse(head).path.startswith("/")
    except Refused as refused:
        assert refused.status is HTTPStatus.BAD_REQUEST


NOW = datetime(2026, 11, 29, 8, 49, 37, tzinfo=UTC)


def lines(response: Response) -> list[str]:
    return response.head(NOW).decode().removesuffix("\r\n\r\n").split("\r\n")


def test_a_response_is_written() -> None:
    written = Response(HTTPStatus.OK, b"abc", "application/pkix-crl", {"ETag": '"1"'})
    first, *fields = lines(written)
    assert first == "HTTP/1.1 200 OK"
    assert {"Content-Length: 3", "Content-Type: application/pkix-crl", 'ETag: "1"'} <= set(fields)
    assert "Date: Sun, 29 Nov 2026 08:49:37 GMT" in fields


def test_what_the_client_has_already_is_not_said_to_be_empty() -> None:
    """RFC 9110, 8.6: the length would be that of the body that is not sent."""
    _, *fields = lines(Response(HTTPStatus.NOT_MODIFIED, fields={"ETag": '"1"'}))
    assert 'ETag: "1"' in fields
    assert not any(each.startswith("Content-") for each in fields)
