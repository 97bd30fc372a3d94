"""Messages are posted to the address that is configured, signed, and nowhere else; by a real HTTP
server's account.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from hmac import digest
from pathlib import Path

import pytest

from cloud_keystore.config import Chat, ChatForm, Sms, hook_url
from cloud_keystore.mail.dispatching import Dispatching
from cloud_keystore.mail.hooks import CHATS, Hook, Sink, sms
from cloud_keystore.mail.letters import Letter
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.outbox.media import Medium
from cloud_keystore.model.outbox.notifications import Outcome
from support.authority import Authority
from support.hooks import Gateway, serving

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
TEXT = "123456 is your code"
LETTER = Letter("0192", 1, "+447700900123", "", TEXT, "", Medium.SMS)
SECRET = b"a secret that is long enough"


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with serving(Gateway()) as running:
        yield running


def hook(gateway: Gateway, path: str = "/sms?key=1") -> Hook:
    return Hook(f"http://127.0.0.1:{gateway.port}{path}", sms, lambda: NOW, SECRET)


def test_a_message_is_posted_and_signed(gateway: Gateway) -> None:
    """COM-04."""
    assert asyncio.run(hook(gateway).send(LETTER)).outcome is Outcome.TAKEN
    [(path, headers, raw)] = gateway.received
    assert path == "/sms?key=1"
    assert json.loads(raw) == {"id": "0192", "to": "+447700900123", "text": TEXT}
    signed = b"0192.%d." % int(NOW.timestamp()) + raw
    signature = base64.b64encode(digest(SECRET, signed, sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{signature}"
    assert headers["webhook-id"] == "0192"
    assert headers["webhook-timestamp"] == str(int(NOW.timestamp()))


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (204, Outcome.TAKEN),
        (400, Outcome.REFUSED),
        (404, Outcome.REFUSED),
        (429, Outcome.LATER),
        (500, Outcome.LATER),
        (503, Outcome.LATER),
    ],
)
def test_what_the_answer_means(gateway: Gateway, status: int, outcome: Outcome) -> None:
    gateway.answers = [(status, {})]
    tried = asyncio.run(hook(gateway).send(LETTER))
    assert tried.outcome is outcome
    assert TEXT not in tried.why


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_nobody_sends_us_elsewhere(gateway: Gateway, status: int) -> None:
    """The attack: a gateway leads the keystore to a service of the internal network."""
    with serving(Gateway()) as elsewhere:
        gateway.answers = [(status, {"Location": f"http://127.0.0.1:{elsewhere.port}/"})]
        assert asyncio.run(hook(gateway).send(LETTER)).outcome is Outcome.LATER
        assert elsewhere.received == []


def test_a_gateway_that_is_gone_is_tried_again() -> None:
    with serving(Gateway()) as gone:
        pass
    tried = asyncio.run(hook(gone).send(LETTER))
    assert tried.outcome is Outcome.LATER
    assert str(gone.port) not in tried.why


def test_the_gateway_is_known_by_its_certificate(tmp_path: Path) -> None:
    """The attack: somebody on the way answers in its place."""
    authority = Authority()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(authority.write_server(tmp_path))
    with serving(Gateway(), tls) as running:
        url = f"https://localhost:{running.port}/"
        stranger = Hook(url, sms, lambda: NOW, SECRET, ssl.create_default_context())
        assert asyncio.run(stranger.send(LETTER)).outcome is Outcome.LATER
        assert running.received == []


def test_what_each_chat_gets(gateway: Gateway) -> None:
    """COM-05."""
    letter = replace(LETTER, text='An alert "not-me" was raised.', medium=Medium.CHAT)
    for form in ChatForm:
        to = Hook(f"http://127.0.0.1:{gateway.port}/hook", CHATS[form], lambda: NOW)
        assert asyncio.run(to.send(letter)).outcome is Outcome.TAKEN
        _, headers, raw = gateway.received[-1]
        assert "webhook-signature" not in headers
        assert letter.text in str(json.loads(raw))
        assert letter.address not in raw.decode()


def test_no_secret_is_shown() -> None:
    to = Hook("https://hooks.example.org/s3cret", sms, lambda: NOW, SECRET)
    assert "s3cret" not in repr(to)
    assert "enough" not in repr(to)
    assert TEXT not in repr(LETTER)


def test_a_file_in_place_of_a_gateway(tmp_path: Path) -> None:
    with (tmp_path / "sms").open("wb") as file:
        sink = Sink(file.fileno())
        for _ in range(2):
            assert asyncio.run(sink.send(LETTER)).outcome is Outcome.TAKEN
    lines = (tmp_path / "sms").read_text().splitlines()
    assert [json.loads(each)["text"] for each in lines] == [TEXT, TEXT]


def test_each_letter_goes_its_way(tmp_path: Path) -> None:
    with (tmp_path / "sms").open("wb") as file:
        ways = Dispatching({Medium.SMS: Sink(file.fileno())})
        assert asyncio.run(ways.send(LETTER)).outcome is Outcome.TAKEN
        refused = asyncio.run(ways.send(replace(LETTER, medium=Medium.CHAT)))
        asyncio.run(ways.end_portion())
    assert (refused.outcome, refused.why) == (
        Outcome.REFUSED,
        "this keystore sends nothing by chat",
    )


@pytest.mark.parametrize(
    "url",
    [
        "",
        "sms.example.org",
        "http://sms.example.org/",
        "http://169.254.169.254/latest",
        "https://user:word@sms.example.org/",
        "https://sms.example.org:0/",
        "https://sms.example.org:99999/",
        "https://sms.exam ple.org/",
        "https://sms.example.org/\r\nHost: x",
        "file:///etc/passwd",
        "https://[::1",
        "https://",
    ],
)
def test_an_address_that_is_not_taken(url: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        hook_url(url)
    assert len(url) < 9 or url not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["https://sms.example.org/v1?a=b", "http://127.0.0.1:8080/", "http://localhost/x"]
)
def test_an_address_that_is_taken(url: str) -> None:
    assert hook_url(url) == url


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"url": "https://sms.example.org"},
        {"secret_file": Path("secret")},
        {"url": "https://sms.example.org", "secret_file": Path("secret"), "file": Path("sms")},
        {"file": Path("sms"), "secret_file": Path("secret")},
    ],
)
def test_a_gateway_that_makes_no_sense(given: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        Sms(**given)  # type: ignore[arg-type]
    assert Chat(Path("url")).form is ChatForm.GENERIC
