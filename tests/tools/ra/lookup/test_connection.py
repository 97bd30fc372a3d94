"""A real directory is asked over TLS, and hostile ones get nothing and give nothing."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from card_os import tlv
from cloud_keystore.model.lookups.directories import AccountDirectory
from cloud_keystore.model.lookups.filters import Equal
from cloudcard_tools.ra.lookup import connection, entries, messages
from cloudcard_tools.ra.lookup.connection import (
    MOST_ENTRIES,
    Bound,
    DirectoryRefused,
    DirectoryUnreachable,
    bound,
)
from cloudcard_tools.ra.lookup.messages import Tag
from support.slapd import BASE, BIND_DN, DISABLED, PASSWORD, Person, Slapd, running

ADA = Person("ada", "ada@corp.example", "ada@example.org")
EVE = Person("eve", "eve@corp.example", "eve@example.org", DISABLED)
ODD = Person("odd", "odd@corp.example", "(|(mail=*))@example.org")
MANY = [Person(f"many{number}", "", "all@example.org") for number in range(MOST_ENTRIES + 1)]
TWINS = [Person("bo", email="bo@example.org"), Person("bo-adm", email="BO@example.org")]


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    folder = tmp_path_factory.mktemp("slapd")
    with running(folder, ADA, EVE, ODD, *TWINS, *MANY) as server:
        yield server


def directory(server: Slapd, **given: object) -> AccountDirectory:
    known = {
        "url": server.tls_url,
        "bind_dn": BIND_DN,
        "base_dn": BASE,
        "domain": "CORP",
        "anchors": server.anchors,
    }
    return AccountDirectory(**{**known, **given})  # type: ignore[arg-type]


def found(named: AccountDirectory, email: str = "", upn: str = "") -> list[str]:
    with bound(named, PASSWORD) as opened:
        return [each.account for each in entries.of_person(opened, email, upn)]


def connect(named: AccountDirectory, password: str = PASSWORD) -> None:
    with bound(named, password):
        pass


def test_a_person_is_found_by_upn_or_address(slapd: Slapd) -> None:
    """USER-09: over ldaps and after StartTLS, whatever the case."""
    for named in (directory(slapd), directory(slapd, url=slapd.url)):
        assert found(named, upn="Ada@corp.example") == [r"CORP\ada"]
        assert found(named, email="ada@EXAMPLE.org") == [r"CORP\ada"]
        assert found(named, email="bo@example.org") == [r"CORP\bo", r"CORP\bo-adm"]
        assert found(named, "nobody@example.org", "nobody@corp.example") == []
        assert found(named) == []


def test_without_tls_on_this_computer_alone(slapd: Slapd) -> None:
    assert found(directory(slapd, url=slapd.url, plain=True), upn=ADA.upn) == [r"CORP\ada"]


def test_an_account_is_known_with_its_state(slapd: Slapd) -> None:
    with bound(directory(slapd), PASSWORD) as opened:
        known = entries.of_accounts(opened, ["ada", "eve", "nobody"])
        assert {name: each.is_disabled for name, each in known.items()} == {
            "ada": False,
            "eve": True,
        }
        assert known["ada"].entry == f"cn=ada,{BASE}"
        many = entries.of_accounts(opened, [each.sam for each in MANY])
    assert len(many) == len(MANY)


@pytest.mark.parametrize(
    "value", ["*", "ada*", "*)(mail=*", "a)(|(mail=*)", "\\2a", "ada@example.org)(cn=*", "\0", "("]
)
def test_nothing_that_is_looked_for_is_a_filter(slapd: Slapd, value: str) -> None:
    """An attack: an address or name with signs of filters finds what is called so, and no more."""
    assert found(directory(slapd), value, value) == []


def test_signs_of_filters_are_found_as_they_are(slapd: Slapd) -> None:
    with bound(directory(slapd), PASSWORD) as opened:
        (entry,) = opened.search(Equal("mail", ODD.email), ["sAMAccountName"])
    assert entry.attributes == {"samaccountname": [b"odd"]}


def test_a_filter_narrows(slapd: Slapd) -> None:
    narrowed = directory(slapd, narrowing="(&(objectClass=user)(!(cn=ada)))")
    assert found(narrowed, upn=ADA.upn) == []


def test_too_many_are_refused(slapd: Slapd) -> None:
    with pytest.raises(DirectoryRefused, match="more than 50 entries"):
        found(directory(slapd), email="all@example.org")


def test_what_the_directory_refuses_is_said(slapd: Slapd) -> None:
    with pytest.raises(DirectoryRefused, match="password is wrong") as refused:
        connect(directory(slapd), "Wrong1")
    assert "Wrong1" not in str(refused.value)
    with pytest.raises(DirectoryRefused, match="is empty"), bound(directory(slapd), ""):
        pass
    with pytest.raises(DirectoryRefused, match="no entry of the --base-dn"):
        found(directory(slapd, base_dn="dc=nowhere"), upn=ADA.upn)


def test_a_server_that_is_not_trusted_gets_no_password(
    slapd: Slapd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attack: of another name, by another authority, or without TLS where that is a must."""
    monkeypatch.setattr(Bound, "bind", lambda *_: pytest.fail("the password was sent"))
    elsewhere = [url.replace("localhost", "127.0.0.1") for url in (slapd.tls_url, slapd.url)]
    for untrusted in (*({"url": url} for url in elsewhere), {"anchors": b""}):
        with pytest.raises(DirectoryUnreachable, match="not trusted"):
            connect(directory(slapd, **untrusted))
    with pytest.raises(DirectoryUnreachable, match="does not speak TLS"):
        connect(directory(slapd, url=slapd.url.replace("ldap:", "ldaps:")))


@contextmanager
def hostile(answer: Callable[[socket.socket], None]) -> Iterator[AccountDirectory]:
    """A server without TLS that answers as it likes, after it has read the first request."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            taken, _ = listener.accept()
            with taken:
                taken.settimeout(5)
                taken.recv(1 << 16)
                answer(taken)

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"ldap://127.0.0.1:{listener.getsockname()[1]}"
        yield AccountDirectory(url, BIND_DN, BASE, "CORP", plain=True)
        thread.join()


def result(number: int, tag: int, code: int = 0) -> bytes:
    ended = tlv.encode(tag, tlv.encode(0x0A, bytes((code,))), tlv.encode(4), tlv.encode(4))
    return tlv.encode(0x30, tlv.encode(2, bytes((number,))), ended)


def octets(text: str) -> bytes:
    return tlv.encode(Tag.OCTET_STRING, text.encode())


def entry(number: int, **attributes: str) -> bytes:
    listed = (
        tlv.encode(0x30, octets(name), tlv.encode(0x31, octets(value)))
        for name, value in attributes.items()
    )
    held = tlv.encode(Tag.SEARCH_RESULT_ENTRY, tlv.encode(4, b"cn=x"), tlv.encode(0x30, *listed))
    return tlv.encode(0x30, tlv.encode(2, bytes((number,))), held)


BOUND = result(1, Tag.BIND_RESPONSE)
REFERENCE = tlv.encode(
    0x30, tlv.encode(2, b"\2"), tlv.encode(Tag.SEARCH_RESULT_REFERENCE, tlv.encode(4, b"ldap://x"))
)
ENDLESS = {
    "entries": entry(2, sAMAccountName="ada") * (MOST_ENTRIES + 1),
    "references": REFERENCE * 30,
    "a message of a gigabyte": b"\x30\x84\x40\x00\x00\x00",
    "a length without end": b"\x30\x80",
    "another message's number": result(7, Tag.SEARCH_RESULT_DONE),
    "a notice of disconnection": result(0, Tag.EXTENDED_RESPONSE, 52),
    "a bind": result(2, Tag.BIND_RESPONSE),
    "no LDAP": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "nothing": b"",
    "a referral": result(2, Tag.SEARCH_RESULT_DONE, 10),
}


@pytest.mark.parametrize("answer", ENDLESS)
def test_a_hostile_directory_ends_the_look_up(answer: str) -> None:
    """An attack: each of these is an error, soon, and no other server is asked."""

    def serve(taken: socket.socket) -> None:
        taken.sendall(BOUND)
        taken.recv(1 << 16)
        taken.sendall(ENDLESS[answer])

    with hostile(serve) as named, pytest.raises((DirectoryRefused, DirectoryUnreachable)):
        found(named, upn="ada@corp.example")


def test_a_silent_directory_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "SECONDS", 0.2)
    over = threading.Event()
    with hostile(lambda _: assert_waited(over)) as named:
        with pytest.raises(DirectoryUnreachable, match="did not answer"):
            found(named, upn="ada@corp.example")
        over.set()


def assert_waited(over: threading.Event) -> None:
    assert over.wait(5)


def test_a_directory_that_takes_others_for_the_same_names_nobody() -> None:
    """An attack: to Active Directory, names are the same but for accents."""
    other = entry(2, sAMAccountName="fake", userPrincipalName="ádá@corp.example")

    def serve(taken: socket.socket) -> None:
        taken.sendall(BOUND)
        taken.recv(1 << 16)
        taken.sendall(other + result(2, Tag.SEARCH_RESULT_DONE))

    with hostile(serve) as named:
        assert found(named, upn="ada@corp.example") == []


def test_what_comes_before_tls_does_not_count_after_it(slapd: Slapd) -> None:
    """An attack: somebody on the way adds an answer to the one that begins TLS."""

    def serve(taken: socket.socket) -> None:
        taken.sendall(result(1, Tag.EXTENDED_RESPONSE) + result(2, Tag.BIND_RESPONSE))
        taken.recv(1 << 16)

    with hostile(serve) as named:
        secured = replace(named, plain=False, anchors=slapd.anchors)
        with pytest.raises(DirectoryUnreachable, match="does not speak TLS"):
            found(secured, upn="ada@corp.example")


def test_terminals_are_shown_no_control_characters() -> None:
    named = AccountDirectory("ldaps://dc1.corp.example", BIND_DN, BASE, "CORP")
    raw = messages.Entry(
        b"cn=\x1b[2J",
        {"samaccountname": [b"ada"], "mail": [b"a\x1b@b.example"], "userprincipalname": [b"\xff"]},
    )
    (known,) = entries.read(named, [raw])
    assert (known.account, known.entry, known.email, known.upn) == (r"CORP\ada", "", "", "")
    for sam in (b"a\x1b", b"a/b", b"", b"\xff"):
        assert entries.read(named, [replace(raw, attributes={"samaccountname": [sam]})]) == []
    odd = {"samaccountname": [b"ada"], "useraccountcontrol": [b"x"]}
    assert entries.read(named, [replace(raw, attributes=odd)])[0].is_disabled
