"""Whose a ticket is: asked at the simulated broker, a process of its own, with each of its faults,
and at brokers that are broken (SPINE-01, SPINE-02).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from cloud_keystore.est.spine.checking import Checking
from cloud_keystore.est.spine.sources import Broker, Simulator
from cloud_keystore.model.spine.tickets import SpineIdentity, TicketAnswer, Verdict
from cloudcard_tools.shared.processes import Nursery
from support.brokers import PATIENCE, Simulated, broken, simulated

UID = "555073168108"
NEVER = 86_400  # seconds
SOON = 2.0


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulated]:
    folder = tmp_path_factory.mktemp("broker")
    with Nursery(folder / "logs") as nursery:
        yield simulated(folder, nursery)


@pytest.fixture
def broker(at: Simulated) -> Iterator[Broker]:
    yield Broker(("localhost", at.port), "", at.tls, PATIENCE)
    at.switch("")


def check(broker: Broker | Simulator, ticket: str) -> TicketAnswer:
    return asyncio.run(Checking(broker).check(ticket))


def test_a_good_ticket_is_of_one_person_with_roles(at: Simulated, broker: Broker) -> None:
    """SPINE-01."""
    answer = check(broker, at.ticket())
    assert answer.verdict is Verdict.VALID
    assert answer.identity is not None
    assert (answer.identity.uid, answer.identity.name) == (UID, "LOVELACE Ada")
    assert len(answer.identity.roles) == 3
    assert all(each.organisation.startswith("ZZQ") for each in answer.identity.roles)


@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        (f"slow={NEVER}", Verdict.UNREACHABLE),
        ("down", Verdict.UNREACHABLE),
        ("malformed", Verdict.UNCLEAR),
        ("expired", Verdict.REFUSED),
        ("revoked", Verdict.REFUSED),
        ("clock=7200", Verdict.CLOCK_OFF),
        ("clock=-7200", Verdict.CLOCK_OFF),
    ],
)
def test_each_fault_has_one_message(
    at: Simulated, broker: Broker, words: str, verdict: Verdict
) -> None:
    """SPINE-02: there is no other way to an answer, and none that was kept. When the fault is over
    the same ticket is good again.
    """
    ticket = at.ticket()
    assert check(broker, ticket).verdict is Verdict.VALID
    at.switch(words)
    # An answer that never comes is waited for as long as one likes.
    answer = check(replace(broker, seconds=SOON) if "slow" in words else broker, ticket)
    assert (answer.verdict, answer.identity) == (verdict, None)
    assert answer.why
    assert answer.fix
    assert ticket not in answer.why + answer.fix
    at.switch("")
    assert check(broker, ticket).verdict is Verdict.VALID


@pytest.mark.parametrize("ticket", ["AQIC5wnothing=@AAJTSQACMDE=#", "", "x" * 1025, "a\nb", "ä"])
def test_a_ticket_of_nobody(broker: Broker, ticket: str) -> None:
    answer = check(broker, ticket)
    assert (answer.verdict, answer.identity) == (Verdict.REFUSED, None)


def test_a_ticket_that_has_ended(at: Simulated, broker: Broker) -> None:
    ticket = at.ticket()
    at.leave(ticket)
    assert check(broker, ticket).verdict is Verdict.REFUSED


@pytest.mark.parametrize(
    ("said", "endless", "verdict", "why"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", True, "unreachable", "within"),
        (b"HTTP/1.1 200 OK\r\nX: ", True, "unreachable", "within"),
        (
            b"HTTP/1.1 302 Found\r\nLocation: https://localhost/\r\nContent-Length: 0\r\n\r\n",
            False,
            "unclear",
            "302, which is not followed",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\n" + b"<" * 1048577,
            False,
            "unclear",
            "large",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", False, "unreachable", ""),
        (b"220 mail.example.org ESMTP\r\n\r\n", False, "unreachable", "HTTP"),
        (b"", False, "unreachable", ""),
    ],
)
def test_brokers_that_are_broken(
    tmp_path: Path, said: bytes, endless: bool, verdict: str, why: str
) -> None:
    """SPINE-02: nothing hangs, however slowly it comes, and nobody is followed elsewhere."""
    with broken(tmp_path, said, endless=endless) as (port, trust):
        tls = ssl.create_default_context(cafile=trust)
        answer = check(
            Broker(("localhost", port), "", tls, SOON if endless else PATIENCE), "ticket"
        )
    assert answer.verdict == verdict
    assert why in answer.why


def test_a_broker_that_somebody_else_certifies(at: Simulated) -> None:
    stranger = Broker(("localhost", at.port), "", ssl.create_default_context(), PATIENCE)
    answer = check(stranger, "ticket")
    assert answer.verdict is Verdict.UNREACHABLE
    assert "certificate" in answer.why


def test_a_clock_that_is_off_here(at: Simulated, broker: Broker) -> None:
    late = replace(broker, now=lambda: broker.now() + timedelta(hours=2))
    assert check(late, at.ticket()).verdict is Verdict.CLOCK_OFF


def test_the_simulator_within_the_process() -> None:
    """SPINE-01: the same interface, without a network."""
    source = Simulator({"ticket": SpineIdentity(UID, "LOVELACE Ada")})
    answer = check(source, "ticket")
    assert answer.identity == SpineIdentity(UID, "LOVELACE Ada")
    assert check(source, "another").verdict is Verdict.REFUSED
