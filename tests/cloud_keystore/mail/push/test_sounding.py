"""Rings go to push services alone, and what these answer is understood; by a real HTTPS server's
account.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cloud_keystore.mail.push.rings import Ring
from cloud_keystore.mail.push.sounding import Sounding
from cloud_keystore.mail.webhooks.calling import Calling
from cloud_keystore.model.outbox.notifications import Outcome
from support.authority import Authority
from support.hooks import Gateway, serving

SECONDS = 60  # a busy computer is no fault of the code


@dataclass
class Outbox:
    """What is due, and what became of it."""

    due: list[Ring]
    told: list[tuple[Outcome, str]] = field(default_factory=list)

    def take(self) -> Sequence[Ring]:
        some, self.due = self.due, []
        return some

    def tell(self, device_id: str, tries: int, outcome: Outcome, why: str) -> None:
        assert (device_id, tries) == ("device", 3)
        self.told.append((outcome, why))


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def service(authority: Authority, tmp_path: Path) -> Iterator[Gateway]:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(authority.write_server(tmp_path))
    with serving(Gateway(), tls) as running:
        yield running


@pytest.fixture
def calling(authority: Authority, tmp_path: Path) -> Calling:
    roots = ssl.create_default_context(cafile=authority.write(tmp_path))
    return Calling({"localhost"}, roots, seconds=SECONDS)


def rung(calling: Calling, port: int, *, is_stopping: bool = False) -> tuple[Outcome, str]:
    """What the outbox is told of a ring."""
    endpoint = f"https://localhost:{port}/wpush/secret"
    outbox = Outbox([Ring("device", 3, endpoint, "vapid t=a, k=b", 97, b"sealed")])

    async def run() -> None:
        stop = asyncio.Event()
        if is_stopping:
            stop.set()
        assert await Sounding(outbox, calling).sound(stop) == 1

    asyncio.run(run())
    (told,) = outbox.told
    return told


def test_a_ring_is_posted_as_push_services_have_it(calling: Calling, service: Gateway) -> None:
    service.answers = [(201, {})]
    assert rung(calling, service.port) == (Outcome.TAKEN, "")
    [(path, fields, raw)] = service.received
    assert (path, raw) == ("/wpush/secret", b"sealed")
    wanted = {
        "Authorization": "vapid t=a, k=b",
        "Content-Encoding": "aes128gcm",
        "TTL": "97",
        "Urgency": "high",
        "Topic": "waiting",
    }
    assert {name: fields[name] for name in wanted} == wanted


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (404, Outcome.REFUSED),
        (410, Outcome.REFUSED),
        (400, Outcome.LATER),
        (403, Outcome.LATER),
        (429, Outcome.LATER),
        (503, Outcome.LATER),
    ],
)
def test_what_the_answer_means(
    calling: Calling, service: Gateway, status: int, outcome: Outcome
) -> None:
    service.answers = [(status, {})]
    assert rung(calling, service.port) == (outcome, f"the answer was {status}")


def test_a_push_service_leads_nowhere_else(calling: Calling, service: Gateway) -> None:
    """The attack: a push service sends the keystore to another address."""
    service.answers = [(307, {"Location": f"https://localhost:{service.port}/elsewhere"})]
    assert rung(calling, service.port)[0] is Outcome.LATER
    assert len(service.received) == 1


def test_a_push_service_is_none_of_the_own_network(calling: Calling, service: Gateway) -> None:
    """The attack: the name of a push service stands for an address within the keystore's network,
    when it is called.
    """
    outside = Calling((), calling.tls, seconds=SECONDS)
    assert rung(outside, service.port) == (Outcome.LATER, "the address is none of the internet")
    assert service.received == []


def test_what_is_not_sent_goes_back(calling: Calling, service: Gateway) -> None:
    assert rung(calling, service.port, is_stopping=True) == (Outcome.UNTRIED, "")
    assert service.received == []
