"""An authority is asked by EST: a server over TLS, whose certificates and PKCS#7 openssl makes
(CIS-01).
"""

from __future__ import annotations

import asyncio
import base64
import os
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cloud_keystore.cards.external.certifying import Waiting
from cloud_keystore.est.client import Client
from cloud_keystore.est.fetching import Fetching
from cloud_keystore.model.cards import CardState
from cloud_keystore.model.errors import InvalidInput, NotAllowed
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import User
from cloud_keystore.model.pki.est import Answer, Credentials, Said
from cloud_keystore.model.pki.est import EstServer as Settings
from cloud_keystore.model.rights.roles import BuiltIn
from support.authority import Authority
from support.est_server import PASSWORD, USER, EstServer, Reply, certificates, serving
from support.external_ca import new_ca
from support.keystore_world import OPERATOR, Enrolled, World

Server = EstServer


@pytest.fixture
def server(world: World, tmp_path: Path) -> Iterator[EstServer]:
    """An authority with its server, which certifies all cards from now on."""
    # openssl knows the computer's time alone.
    world.clock.forward(seconds=(datetime.now(UTC) - world.clock()).total_seconds() + 1)
    ca = new_ca(tmp_path / "ca")
    with serving(EstServer(ca, tmp_path)) as running:
        assert world.trusting.trust("trust", ca.certificate, actor=OPERATOR)
        assert world.trusting.choose("", "", "trust", actor=OPERATOR)
        use(world, running)
        yield running


def use(world: World, server: EstServer, *, any_subject: bool = False) -> None:
    world.est_hosts.add(("localhost", server.port))
    settings = Settings(server.url, server.anchors, USER, b"", any_subject)
    world.est_servers.use("trust", settings, Credentials(PASSWORD), actor=OPERATOR)


def fetch(world: World, seconds: float = 5.0) -> int:
    """Run the errands that are due, as the process without keys does."""
    client = Client(world.est_hosts, seconds, now=world.clock)

    async def all_of_it() -> int:
        stop, done = asyncio.Event(), 0
        while some := await Fetching(world.errands, client).fetch(stop):
            done += some
        return done

    return asyncio.run(all_of_it())


def issue(world: World, user: User) -> str:
    return world.issuing.issue(os.urandom(16), user.id, "p256", actor=OPERATOR).card.serial


def waiting(world: World) -> list[Waiting]:
    return world.certifying.waiting(actor=OPERATOR)


def test_a_card_is_complete_by_itself(
    world: World, server: EstServer, ada: tuple[User, Enrolled]
) -> None:
    serial = issue(world, ada[0])
    assert fetch(world) == 4
    assert waiting(world) == []
    assert world.find(serial).card.state is CardState.PENDING
    assert {key.certificate for key in world.keys(serial)} == set(server.issued)
    paths = [path.rpartition("/")[2] for path, _, _ in server.asked]
    assert paths.count("simpleenroll") == 4
    told = world.journal(Kind.CERTIFICATE_RECEIVED)
    assert {str(each.actor) for each in told} == {"keystore"}
    assert fetch(world) == 0


def test_intermediate_authorities_come_with_cacerts(
    world: World, server: EstServer, ada: tuple[User, Enrolled], tmp_path: Path
) -> None:
    serial = issue(world, ada[0])
    root = server.ca
    server.ca = new_ca(tmp_path / "below", "below", root)
    server.cacerts = [server.ca.certificate, root.certificate]
    fetch(world)
    assert world.find(serial).card.state is CardState.PENDING


def test_an_authority_that_has_not_decided_is_asked_when_it_says(
    world: World, server: EstServer, ada: tuple[User, Enrolled]
) -> None:
    """202 with Retry-After (RFC 7030, 4.2.3), in seconds and as a time."""
    serial = issue(world, ada[0])
    at = format_datetime(world.clock() + timedelta(seconds=600), usegmt=True)
    soon, late = Reply(202, {"Retry-After": "120"}), Reply(202, {"Retry-After": at})
    server.answers = [lambda *_: soon] * 3 + [lambda *_: late]
    assert fetch(world) == 4
    assert {each.asked.why for each in waiting(world)} == {"the authority has not decided yet"}
    assert all(each.asked.fix for each in waiting(world))
    world.clock.forward(seconds=119)
    assert fetch(world) == 0
    world.clock.forward(seconds=2)
    assert fetch(world) == 3
    assert world.find(serial).card.state is CardState.ISSUING
    world.clock.forward(seconds=480)
    assert fetch(world) == 1
    assert world.find(serial).card.state is CardState.PENDING


def other_key(server: Server, _: bytes) -> Reply:
    """The certificate of another request."""
    asked = [csr for path, _, csr in server.asked if path.endswith("simpleenroll")]
    return certificates(server, server.issue(next(each for each in asked if each != asked[-1])))


def typed(kind: str) -> Callable[[Server, bytes], Reply]:
    return lambda server, csr: Reply(
        200, {"Content-Type": kind}, certificates(server, server.issue(csr)).body
    )


def body(content: bytes) -> Callable[[Server, bytes], Reply]:
    kind = {"Content-Type": "application/pkcs7-mime"}
    return lambda *_: Reply(200, kind, content)


def foreign(server: Server, csr: bytes) -> Reply:
    ca = new_ca(server.folder / os.urandom(4).hex(), server.ca.name)
    return certificates(server, ca.certify(csr), ca.certificate)


def lost(server: Server, csr: bytes) -> None:
    server.issue(csr)


PAST = ("-startdate", "200101000000Z", "-enddate", "210101000000Z")
WRONG: Mapping[str, tuple[Callable[[Server, bytes], Reply | None], str]] = {
    "another type": (typed("text/html"), "not of the type application/pkcs7-mime"),
    "no base64": (body(b"\x30\x82 no base64"), "not in base64"),
    "no PKCS#7": (body(base64.b64encode(b"nonsense" * 9)), "no PKCS#7 with certificates"),
    "nothing": (body(b""), "has no certificates"),
    "much": (body(b"A" * 300_000), "too large"),
    "the authority's alone": (
        lambda server, _: certificates(server, server.ca.certificate),
        "no certificate for the key",
    ),
    "a foreign issuer": (foreign, "no chain of valid certificates"),
    "a wrong subject": (
        lambda server, csr: certificates(server, server.issue(csr, "-subj", "/CN=Eve")),
        "names CN=Eve",
    ),
    "over": (
        lambda server, csr: certificates(server, server.issue(csr, *PAST)),
        "ended on 2021-01-01",
    ),
    "refused": (lambda *_: Reply(400, body=b"\x1b[31mowned"), "(400)"),
    "unknown": (lambda *_: Reply(401), "(401)"),
    "forbidden": (lambda *_: Reply(403), "(403)"),
    "broken": (lambda *_: Reply(500), "answers 500"),
    "elsewhere": (lambda *_: Reply(302, {"Location": "https://evil.example/"}), "answers 302"),
    "lost": (lost, "without an answer"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_bad_answer_is_told_and_asked_again(
    world: World, server: EstServer, ada: tuple[User, Enrolled], what: str
) -> None:
    """Nothing is half-made, and the next answer, which is good, completes the card."""
    serial = issue(world, ada[0])
    answer, why = WRONG[what]
    server.answers = [answer]
    assert fetch(world) == 4
    (left,) = waiting(world)
    assert why in left.asked.why
    assert left.asked.fix
    assert "owned" not in left.asked.why
    assert world.find(serial).card.state is CardState.ISSUING
    assert fetch(world) == 0
    world.clock.forward(seconds=31)
    assert fetch(world) == 1
    assert world.find(serial).card.state is CardState.PENDING
    assert len({key.certificate for key in world.keys(serial)}) == 4


def test_the_certificate_of_another_key_is_not_installed_anywhere(
    world: World, server: EstServer, ada: tuple[User, Enrolled]
) -> None:
    """The attack: a server answers for one key with the certificate of another."""
    issue(world, ada[0])
    late = Reply(202, {"Retry-After": "9000"})
    server.answers = [lambda *_: late, other_key, *[lambda *_: late] * 2]
    fetch(world)
    assert len(waiting(world)) == 4
    assert any("no certificate for the key" in each.asked.why for each in waiting(world))
    assert world.journal(Kind.CERTIFICATE_RECEIVED) == []


def test_custody_does_not_believe_the_process_that_asks(
    world: World, server: EstServer, ada: tuple[User, Enrolled]
) -> None:
    """The attack: who has taken over that process brings what the authority has issued for another
    key, nonsense, or a certificate that somebody else has issued.
    """
    issue(world, ada[0])
    one, two, *_ = world.errands.take()
    other = server.ca.certify(two.csr)
    for certificate in (other, b"nonsense", new_ca(server.folder / "eve").certify(one.csr)):
        world.errands.tell(one.key_id, one.tries, Answer(Said.ISSUED, certificate))
    assert len(waiting(world)) == 4
    assert {bool(each.asked.certificate) for each in waiting(world)} == {False}
    own = server.ca.certify(one.csr)
    for _ in range(2):
        world.errands.tell(one.key_id, one.tries, Answer(Said.ISSUED, own))
    assert len(waiting(world)) == 3
    assert len(world.journal(Kind.CERTIFICATE_RECEIVED)) == 1


def test_pauses_grow(world: World, server: EstServer, ada: tuple[User, Enrolled]) -> None:
    issue(world, ada[0])
    server.answers = [lambda *_: Reply(500)] * 100
    seen = []
    for _ in range(9):
        fetch(world)
        due = waiting(world)[0].asked.next_time
        assert due is not None
        seen.append((due - world.clock()).total_seconds())
        world.clock.forward(seconds=seen[-1] + 1)
    assert seen == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]


@pytest.mark.usefixtures("server")
def test_what_is_asked_at_the_same_time_is_asked_once(
    world: World, ada: tuple[User, Enrolled]
) -> None:
    """A lease ends: who has taken an errand and is gone keeps nobody waiting for ever."""
    issue(world, ada[0])
    assert len(world.errands.take()) == 4
    assert fetch(world) == 0
    world.clock.forward(minutes=6)
    assert fetch(world) == 4
    assert waiting(world) == []


def test_a_server_that_is_silent_is_left(
    world: World, server: EstServer, ada: tuple[User, Enrolled]
) -> None:
    issue(world, ada[0])
    done = asyncio.Event()

    def silent(*_: object) -> Reply:
        for _ in range(40):
            if done.is_set():
                break
            time.sleep(0.05)
        return Reply(500)

    server.answers = [silent]
    fetch(world, seconds=0.5)
    done.set()
    assert any("does not answer" in each.asked.why for each in waiting(world))


def test_other_authorities_than_the_trusted_one_are_asked_for_nothing(
    world: World, server: EstServer, ada: tuple[User, Enrolled], tmp_path: Path
) -> None:
    issue(world, ada[0])
    server.cacerts = [new_ca(tmp_path / "other", server.ca.name).certificate]
    fetch(world)
    assert "other authorities (cacerts)" in waiting(world)[0].asked.why
    assert {path.rpartition("/")[2] for path, _, _ in server.asked} == {"cacerts"}


def test_another_server_under_the_name_learns_nothing(
    world: World, server: EstServer, ada: tuple[User, Enrolled], tmp_path: Path
) -> None:
    """The attack: somebody answers at the address, with a certificate of another authority."""
    issue(world, ada[0])
    eve = EstServer(server.ca, tmp_path, Authority())
    with serving(eve):
        settings = Settings(eve.url, server.anchors, USER, b"", any_subject=False)
        world.est_hosts.add(("localhost", eve.port))
        world.est_servers.use("trust", settings, Credentials(PASSWORD), actor=OPERATOR)
        fetch(world)
    assert eve.asked == []
    assert "not one by which the EST server is to be known" in waiting(world)[0].asked.why


def test_a_client_certificate_instead_of_a_password(
    world: World, server: EstServer, ada: tuple[User, Enrolled], tmp_path: Path
) -> None:
    serial = issue(world, ada[0])
    clients, key = Authority(), ec.generate_private_key(ec.SECP256R1())
    pem = clients.certify("the keystore", key.public_key()).public_bytes(Encoding.PEM)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    strict = EstServer(server.ca, tmp_path, needs_password=False)
    with serving(strict, clients.write(tmp_path)):
        use(world, strict)
        fetch(world)
        assert "TLS" in waiting(world)[0].asked.why or "reached" in waiting(world)[0].asked.why
        settings = Settings(strict.url, strict.anchors, "", pem, any_subject=False)
        credentials = Credentials(private=private)
        # What was asked in vain is asked at once.
        world.est_servers.use("trust", settings, credentials, actor=OPERATOR)
        fetch(world)
    assert world.find(serial).card.state is CardState.PENDING
    assert set(strict.clients) == {"the keystore"}
    assert private.decode() not in repr(credentials)


def test_subjects_of_the_authority_are_taken_where_that_is_allowed(
    world: World, server: EstServer, ada: tuple[User, Enrolled]
) -> None:
    serial = issue(world, ada[0])
    use(world, server, any_subject=True)
    server.answers = [
        lambda server, csr: certificates(server, server.issue(csr, "-subj", "/CN=Ada of the CA"))
    ]
    fetch(world)
    assert world.find(serial).card.state is CardState.PENDING
    assert "CN=Ada of the CA" in [
        each.details.get("subject") for each in world.journal(Kind.CERTIFICATE_RECEIVED)
    ]


REFUSED: Mapping[str, tuple[str, str]] = {
    "http": ("http://localhost:1", "not the address of an EST server"),
    "a user": ("https://ra:secret@localhost:1", "not the address of an EST server"),
    "another host": ("https://metadata.internal", "have it started with --ca-host"),
    "another port": ("https://localhost:22", "have it started with --ca-host"),
    "a port that is none": ("https://localhost:x", "not the address of an EST server"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_the_keystore_is_sent_nowhere_else(world: World, server: EstServer, what: str) -> None:
    """The attack: an operator has the keystore call a service of the internal network."""
    url, why = REFUSED[what]

    def use_it() -> None:
        settings = Settings(url, server.anchors, USER, b"", any_subject=False)
        world.est_servers.use("trust", settings, Credentials(PASSWORD), actor=OPERATOR)

    with pytest.raises(InvalidInput, match=why) as refused:
        use_it()
    assert "secret" not in str(refused.value)


def test_what_proves_the_keystore_is_kept_sealed_and_out_of_the_journal(
    world: World, server: EstServer, tmp_path: Path
) -> None:
    entries = world.journal(Kind.EST_SERVER_CHANGED)
    assert entries[-1].details["url"] == server.url
    assert entries[-1].details["user"] == USER
    everything = b"".join(each.read_bytes() for each in tmp_path.glob("keystore.db*"))
    assert everything
    assert PASSWORD.encode() not in everything
    assert PASSWORD not in repr(entries)
    assert world.est_servers.list_all(actor=OPERATOR)["trust"].url == server.url
    assert world.est_servers.stop("trust", actor=OPERATOR)
    assert not world.est_servers.stop("trust", actor=OPERATOR)
    assert world.est_servers.list_all(actor=OPERATOR) == {}
    assert world.journal(Kind.EST_SERVER_CHANGED)[-1].details["old_url"] == server.url


def test_who_may_not_set_policies_names_no_server(world: World, server: EstServer) -> None:
    agent = world.enrol(
        world.people.add_operator("Ida", BuiltIn.RA_AGENT, "", actor=OPERATOR).text
    ).identity
    settings = Settings(server.url, server.anchors, USER, b"", any_subject=False)
    with pytest.raises(NotAllowed):
        world.est_servers.use("trust", settings, Credentials(PASSWORD), actor=agent.actor)
    with pytest.raises(NotAllowed):
        world.est_servers.stop("trust", actor=agent.actor)
