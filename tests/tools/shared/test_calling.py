"""Calls to a keystore that takes its time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest

from cloudcard_tools.shared import calling
from cloudcard_tools.shared.failures import Failure, Refused

ANSWER_SECONDS = 1.0


class Slow(grpc.GenericRpcHandler):
    """Answers every call after a while, and streams twice."""

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        if details.method == "/refuse":
            return grpc.unary_unary_rpc_method_handler(self._refuse)
        if details.method == "/stream":
            return grpc.unary_stream_rpc_method_handler(self._stream)
        if details.method == "/told":
            return grpc.unary_unary_rpc_method_handler(self._told)
        return grpc.unary_unary_rpc_method_handler(self._answer)

    def _answer(self, request: bytes, _context: grpc.ServicerContext) -> bytes:
        time.sleep(ANSWER_SECONDS)
        return request

    def _stream(self, request: bytes, _context: grpc.ServicerContext) -> Iterator[bytes]:
        yield request
        time.sleep(ANSWER_SECONDS)
        yield request

    def _told(self, _request: bytes, context: grpc.ServicerContext) -> bytes:
        return dict(context.invocation_metadata())["who"].encode()

    def _refuse(self, _request: bytes, context: grpc.ServicerContext) -> bytes:
        context.abort(grpc.StatusCode.NOT_FOUND, "no such card")
        raise AssertionError


@contextmanager
def slow_keystore() -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(2), handlers=(Slow(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


@pytest.fixture
def channel() -> Iterator[grpc.Channel]:
    with slow_keystore() as address, grpc.insecure_channel(address) as plain:
        yield calling.in_time(plain)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that says no time has less than the keystore takes."""
    monkeypatch.setattr(calling, "SECONDS", 0.3)


@pytest.mark.usefixtures("impatient")
def test_a_call_that_says_no_time_ends(channel: grpc.Channel) -> None:
    with pytest.raises(Failure, match="does not answer in time"), calling.explained():
        channel.unary_unary("/answer")(b"")


@pytest.mark.usefixtures("impatient")
def test_a_call_that_says_its_time_has_it(channel: grpc.Channel) -> None:
    assert channel.unary_unary("/answer")(b"hello", timeout=60) == b"hello"


@pytest.mark.usefixtures("impatient")
def test_a_stream_lasts(channel: grpc.Channel) -> None:
    assert list(channel.unary_stream("/stream")(b"news")) == [b"news", b"news"]


def test_a_refusal_is_told_in_the_keystores_words(channel: grpc.Channel) -> None:
    with pytest.raises(Refused, match="no such card"), calling.explained():
        channel.unary_unary("/refuse")(b"")


def test_nobody_there_is_told_with_what_to_do() -> None:
    with (
        grpc.insecure_channel("127.0.0.1:1") as plain,
        pytest.raises(Failure, match="is `cloudcard serve` running"),
        calling.explained(),
    ):
        calling.in_time(plain).unary_unary("/answer")(b"")


def test_what_else_a_call_says_arrives(channel: grpc.Channel) -> None:
    assert channel.unary_unary("/told")(b"", metadata=(("who", "Ada"),)) == b"Ada"
