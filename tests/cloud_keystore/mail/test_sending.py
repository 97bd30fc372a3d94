"""Letters to a real SMTP server: TLS, signing in, and all the ways in which it does not take them
(BUG-25).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cloud_keystore.config import Address, Mail, Security
from cloud_keystore.mail.letters import Letter
from cloud_keystore.mail.sending import NOT_REACHED, Sending, Tried, message
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.outbox.notifications import Outcome
from cloud_keystore.run.mailing import sending
from cloudcard_tools.demo.stage import free_ports
from support.authority import Authority
from support.keystore_world import FakeClock
from support.mail_server import DROP, HANG, MailServer, let_end, serving

PASSWORD = "s3cret pässword"
LETTER = Letter("0192", 1, "ada@example.org", "Enrol your phone", "Text\n", "<p>Text</p>\n")
INTERNATIONAL = "ädä@bücher.example"
URL = "https://cards.example.org"


def mail_to(server: MailServer, security: Security = Security.NONE, **more: object) -> Mail:
    host = "127.0.0.1" if security is Security.NONE else "localhost"
    return Mail(Address(host, server.port), "keystore@example.org", URL, security=security, **more)


def send(sender: Sending, *letters: Letter) -> list[Tried]:
    """What becomes of the letters of one portion."""

    async def portion() -> list[Tried]:
        tried = [await sender.send(each) for each in letters]
        await sender.end_portion()
        await let_end()
        return tried

    return asyncio.run(portion())


def plain(server: MailServer, answer_seconds: float = 20.0) -> Sending:
    return Sending(mail_to(server), FakeClock(), answer_seconds=answer_seconds)


@pytest.fixture
def server() -> Iterator[MailServer]:
    with serving(MailServer()) as server:
        yield server


@pytest.fixture
def authority(tmp_path: Path) -> tuple[Path, ssl.SSLContext]:
    """The certificate of an authority, and what a server that it has certified uses."""
    made = Authority()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(made.write_server(tmp_path))
    return made.write(tmp_path), tls


def test_a_letter_arrives_as_text_and_html(server: MailServer) -> None:
    """COM-01: HTML and text."""
    assert send(plain(server), LETTER) == [Tried(Outcome.TAKEN)]
    (got,) = server.letters
    assert server.addresses == [got["To"]] == ["ada@example.org"]
    assert got["From"] == "keystore@example.org"
    assert got["Subject"] == "Enrol your phone"
    assert got["Message-ID"] == "<0192@example.org>"
    assert got["Auto-Submitted"] == "auto-generated"
    text, html = got.iter_parts()
    assert (text.get_content_type(), text.get_content()) == ("text/plain", "Text\r\n")
    assert (html.get_content_type(), html.get_content()) == ("text/html", "<p>Text</p>\r\n")


def test_letters_of_a_portion_share_a_connection(server: MailServer) -> None:
    assert [each.outcome for each in send(plain(server), *[LETTER] * 3)] == [Outcome.TAKEN] * 3
    assert len(server.letters) == 3


@pytest.mark.parametrize("implicit", [False, True])
def test_it_signs_in_under_tls(
    authority: tuple[Path, ssl.SSLContext], tmp_path: Path, *, implicit: bool
) -> None:
    roots, tls = authority
    password = tmp_path / "password"
    password.touch(0o600)
    password.write_text(f"{PASSWORD}\n")
    with serving(MailServer(password=PASSWORD), tls, implicit=implicit) as server:
        mail = mail_to(
            server,
            Security.TLS if implicit else Security.STARTTLS,
            user="keystore",
            password_file=password,
            roots=roots,
        )
        assert send(sending(mail), LETTER) == [Tried(Outcome.TAKEN)]
        assert (server.signed_in, len(server.letters)) == (1, 1)
    assert PASSWORD not in repr(sending(mail))


def test_a_wrong_password_is_not_the_letters_fault(
    authority: tuple[Path, ssl.SSLContext], tmp_path: Path
) -> None:
    roots, tls = authority
    password = tmp_path / "password"
    password.touch(0o600)
    password.write_text("wrong")
    with serving(MailServer(password=PASSWORD), tls) as server:
        mail = mail_to(
            server, Security.STARTTLS, user="keystore", password_file=password, roots=roots
        )
        first, second = send(sending(mail), LETTER, LETTER)
        assert (first.outcome, first.why[:3]) == (Outcome.LATER, "535")
        assert second == first
        assert server.letters == []


@pytest.mark.parametrize("security", [Security.TLS, Security.STARTTLS])
def test_a_server_of_another_authority_gets_nothing(
    authority: tuple[Path, ssl.SSLContext], tmp_path: Path, security: Security
) -> None:
    _, tls = authority
    (tmp_path / "other").mkdir()
    others = Authority().write(tmp_path / "other")
    with serving(MailServer(), tls, implicit=security is Security.TLS) as server:
        (tried,) = send(sending(mail_to(server, security, roots=others)), LETTER)
        assert (tried.outcome, server.letters) == (Outcome.LATER, [])


def test_who_takes_starttls_away_gets_nothing(
    server: MailServer, authority: tuple[Path, ssl.SSLContext]
) -> None:
    (tried,) = send(sending(mail_to(server, Security.STARTTLS, roots=authority[0])), LETTER)
    assert (tried.outcome, server.letters) == (Outcome.LATER, [])


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ("451 Try again later", Outcome.LATER),
        ("452 Mailbox full", Outcome.LATER),
        ("550 No such mailbox", Outcome.REFUSED),
        ("554 Not wanted", Outcome.REFUSED),
    ],
)
@pytest.mark.parametrize("when", ["to_recipients", "answers"])
def test_an_answer_decides(server: MailServer, answer: str, outcome: Outcome, when: str) -> None:
    """BUG-25: 4xx is tried again, 5xx is not; the others of the portion are sent all the same."""
    getattr(server, when).append(answer)
    refused, taken = send(plain(server), LETTER, LETTER)
    assert refused == Tried(outcome, answer)
    assert taken == Tried(Outcome.TAKEN)


@pytest.mark.parametrize("fault", [HANG, DROP])
def test_a_server_that_hangs_or_drops_is_tried_again(server: MailServer, fault: str) -> None:
    """BUG-25: time-outs."""
    server.answers.append(fault)
    lost, taken = send(plain(server, answer_seconds=0.5), LETTER, LETTER)
    assert lost.outcome is Outcome.LATER
    assert lost.why.startswith(NOT_REACHED)
    assert taken == Tried(Outcome.TAKEN)


def test_a_server_that_is_not_there_is_asked_once_for_a_portion() -> None:
    (port,) = free_ports(1)
    sender = plain(MailServer(port))
    first, second = send(sender, LETTER, LETTER)
    assert first == second
    assert (first.outcome, first.why[: len(NOT_REACHED)]) == (Outcome.LATER, NOT_REACHED)
    with serving(MailServer(port)):
        assert send(sender, LETTER) == [Tried(Outcome.TAKEN)]


@pytest.mark.parametrize(
    "address",
    ["o'brien+x@example.org", "a.b-c@example.org", "ada@xn--bcher-kva.example"],
)
def test_addresses_arrive_as_they_are(server: MailServer, address: str) -> None:
    """BUG-02: apostrophes, +, - and dots."""
    assert send(plain(server), to(address)) == [Tried(Outcome.TAKEN)]
    assert server.addresses == [address]
    assert server.letters[0]["To"] == address


def test_a_domain_of_another_script_is_that_of_dns(server: MailServer) -> None:
    assert send(plain(server), to("ada@bücher.example")) == [Tried(Outcome.TAKEN)]
    assert server.addresses == ["ada@xn--bcher-kva.example"]


def test_an_address_of_another_script_needs_a_server_that_takes_it(server: MailServer) -> None:
    """RFC 6531."""
    (refused,) = send(plain(server), to(INTERNATIONAL))
    assert (refused.outcome, "SMTPUTF8" in refused.why) == (Outcome.REFUSED, True)
    with serving(MailServer(), utf8=True) as modern:
        assert send(plain(modern), to(INTERNATIONAL)) == [Tried(Outcome.TAKEN)]
        assert modern.addresses == ["ädä@xn--bcher-kva.example"]


@pytest.mark.parametrize(
    "change",
    [
        lambda: to("ada@example.org\r\nBcc: eve@example.net"),
        lambda: to("ada@example.org> RCPT TO:<eve@example.net"),
        lambda: Letter("0192", 1, "ada@example.org", "Hello\nBcc: eve@example.net", "", ""),
        lambda: Letter("0192\nBcc: eve@example.net", 1, "ada@example.org", "Hello", "", ""),
    ],
)
def test_no_header_is_injected(server: MailServer, change: Callable[[], Letter]) -> None:
    (tried,) = send(plain(server), change())
    assert (tried.outcome, server.letters) == (Outcome.REFUSED, [])


def test_a_long_subject_of_another_script_is_folded() -> None:
    letter = Letter("0192", 1, "ada@example.org", "Ünïcödé " * 40, "t", "h")
    raw = message(letter, "keystore@example.org", FakeClock().now).as_bytes()
    assert raw.isascii()
    assert max(map(len, raw.splitlines())) <= 78


@pytest.mark.parametrize("secret", [b"", b"\n", b"two\nlines\n", b"\xff\xfe"])
def test_a_password_is_one_line(secret: bytes, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.touch(0o600)
    password.write_bytes(secret)
    mail = Mail(
        Address("mail.example.org", 465), "a@b.example", URL, user="u", password_file=password
    )
    with pytest.raises(InvalidInput, match="on one line"):
        sending(mail)


def test_roots_without_certificates_are_refused(tmp_path: Path) -> None:
    roots = tmp_path / "roots.pem"
    roots.write_text("nothing")
    mail = Mail(Address("mail.example.org", 465), "a@b.example", URL, roots=roots)
    with pytest.raises(InvalidInput, match="no certificates"):
        sending(mail)


def to(address: str) -> Letter:
    return Letter("0192", 1, address, "Hello", "Text\n", "<p>Text</p>\n")
