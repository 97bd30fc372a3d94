"""The door of a service: what is counted for whom, and who is told of whose session."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TypeAlias

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cloud_keystore.model.errors import Overloaded, SessionNotFound, StorageUnavailable
from cloud_keystore.model.fields.software import Software
from cloud_keystore.model.limits import RATES, Limits, Rate
from cloud_keystore.model.people import Identity, Role, User
from cloud_keystore.model.tracing import TRACE_ID
from cloud_keystore.observability.metrics import Metrics
from cloud_keystore.people.callers import Callers
from cloud_keystore.rpc.calls import CALL, Call
from cloud_keystore.rpc.door import CHUNK_BYTES, PASSCODE_METHODS, PIN_METHODS, Door, patience
from cloud_keystore.rpc.limits import Limiter
from cloud_keystore.storage import operations, people
from cloudcard.audit.v1 import audit_pb2
from cloudcard.authenticator.v1 import authenticator_pb2, pins_pb2
from cloudcard.registry.v1 import cards_pb2
from cloudcard.workstation.v1 import workstation_pb2
from support.keystore_world import Enrolled, World

GET_CARD = "/cloudcard.workstation.v1.WorkstationService/GetCard"
OK, TOO_MANY, REJECTED = "OK", "TOO_MANY_CALLS", "IDENTITY_REJECTED"


class Aborted(grpc.aio.AbortError):
    """The call has ended with a status."""


@dataclass
class Caller:
    """A call's context: the client certificate of its TLS connection, and how it ended."""

    pem: bytes
    status: grpc.Status | None = field(default=None, init=False)

    def auth_context(self) -> Mapping[str, tuple[bytes, ...]]:
        return {"x509_pem_cert": (self.pem,)} if self.pem else {}

    def peer(self) -> str:
        return "ipv4:192.0.2.1:1234"

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return (("user-agent", "cloudcard/1.10 (linux 6.1)"),)

    async def abort_with_status(self, status: grpc.Status) -> None:
        self.status = status
        raise Aborted


Through: TypeAlias = "Callable[[Door, Caller], Awaitable[object]]"


def come(door: Door, who: Enrolled | None, call: Call, through: Through) -> str:
    """How the call ended: OK, or the reason of its refusal."""
    caller, token = Caller(b"" if who is None else pem(who)), CALL.set(call)
    try:
        asyncio.run(_await(through(door, caller)))
    except Aborted:
        return call.reason
    finally:
        CALL.reset(token)
    return OK


async def _await(waited_for: Awaitable[object]) -> None:
    await waited_for


def pem(who: Enrolled) -> bytes:
    return x509.load_der_x509_certificate(who.certificate).public_bytes(Encoding.PEM)


def use_case(door: Door, caller: Caller) -> Awaitable[object]:
    return door.call(caller, lambda identity: identity)


def ask(door: Door, who: Enrolled | None, method: str = GET_CARD, serial: str = "") -> str:
    return come(door, who, Call(method=method, card_serial=serial), use_case)


def new_door(world: World, role: Role = Role.WORKSTATION, **bursts: int) -> Door:
    """A door where only these bursts are small, and no time passes."""
    rates = {name: Rate(1, bursts.get(name, 1000)) for name in RATES}
    limits = Limits(rates=rates, streams=2, streams_of_one=1)
    return Door(world.callers, Limiter(limits, lambda: 0.0, Metrics()), role)


def test_the_identity_of_a_certificate_comes_in(world: World, pc: Enrolled) -> None:
    met: list[Identity] = []
    call = Call()
    ended = come(new_door(world), pc, call, lambda door, caller: door.call(caller, met.append))
    assert (ended, met) == (OK, [pc.identity])
    assert (call.role, call.identity_id) == ("workstation", pc.identity.id)


def test_without_a_certificate_or_in_another_role_nobody_comes_in(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    door = new_door(world)
    assert [ask(door, each) for each in (None, ada[1], pc)] == [REJECTED, REJECTED, OK]
    assert ask(new_door(world, Role.DEVICE), pc) == REJECTED


def test_a_client_is_asked_what_it_is_at_its_first_call(world: World, pc: Enrolled) -> None:
    """DEV-01: what it says is filled at its contact; later calls read nothing of it."""
    door = new_door(world)
    assert [ask(door, pc), ask(door, pc)] == [OK, OK]
    found = world.identities.contacts([pc.identity.id], actor=world.actor)
    assert found[pc.identity.id].software == Software("1.10", "linux", "6.1")
    unheard = replace(door, callers=world.callers, role=None)
    assert ask(unheard, world.workstation("PC2")) == OK
    assert len(world.identities.contacts([each.id for each in _pcs(world)], actor=world.actor)) == 1


def test_a_stream_says_what_its_client_is(world: World, pc: Enrolled) -> None:
    async def stream(door: Door, caller: Caller) -> None:
        async with door.stream(caller):
            pass

    assert come(new_door(world), pc, Call(), stream) == OK
    assert world.identities.contacts([pc.identity.id], actor=world.actor)


def test_a_call_goes_on_if_what_its_client_is_cannot_be_kept(
    world: World, pc: Enrolled, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StorageUnavailable("the disk is full")

    monkeypatch.setattr(Callers, "heard", fail)
    assert ask(new_door(world), pc) == OK


def _pcs(world: World) -> list[Identity]:
    return world.identities.list_of(Role.WORKSTATION, actor=world.actor)


def test_each_caller_has_a_limit_of_its_own(world: World, pc: Enrolled) -> None:
    door, other = new_door(world, workstation=2), world.workstation("PC2")
    assert [ask(door, pc) for _ in range(3)] == [OK, OK, TOO_MANY]
    assert ask(door, other) == OK


def test_a_card_has_a_limit_for_each_caller(world: World, pc: Enrolled) -> None:
    """Any workstation, also one that had been removed, could use up what others may do with a card
    by naming its serial number.
    """
    door, other = new_door(world, card=2), world.workstation("PC2")
    answers = [ask(door, each, serial="1000") for each in (other, other, other, pc)]
    assert answers == [OK, OK, TOO_MANY, OK]
    assert ask(door, pc, serial="2000") == OK
    assert ask(door, pc) == OK  # which names no card


@pytest.mark.parametrize("verb", ["Verify", "Change", "Reset"])
def test_passcodes_of_a_card_have_a_narrower_limit(world: World, pc: Enrolled, verb: str) -> None:
    door, other = new_door(world, passcode=2), world.workstation("PC2")
    method = f"/cloudcard.workstation.v1.WorkstationService/{verb}Passcode"
    assert method in PASSCODE_METHODS
    answers = [ask(door, each, method, "1000") for each in (other, other, other, pc)]
    assert answers == [OK, OK, TOO_MANY, OK]
    assert ask(door, pc, method, "2000") == OK
    assert ask(door, pc, GET_CARD, "1000") == OK


@pytest.mark.parametrize("method", sorted(PIN_METHODS))
def test_pins_of_phones_have_the_limit_of_passcodes(
    world: World, ada: tuple[User, Enrolled], method: str
) -> None:
    door = new_door(world, Role.DEVICE, passcode=2)
    phone, other = ada[1], world.user("Bo")[1]
    answers = [ask(door, each, method) for each in (phone, phone, phone, other)]
    assert answers == [OK, OK, TOO_MANY, OK]


def test_every_pin_method_is_one_of_a_service() -> None:
    service = pins_pb2.DESCRIPTOR.services_by_name["AppPinService"]
    tried = {f"/{service.full_name}/{each.name}" for each in service.methods}
    assert tried - PIN_METHODS == {f"/{service.full_name}/GetAppPin"}


def test_every_passcode_method_is_one_of_a_service() -> None:
    """Those of unlock codes count too, by which a passcode is chosen."""
    services = (
        workstation_pb2.DESCRIPTOR.services_by_name["WorkstationService"],
        authenticator_pb2.DESCRIPTOR.services_by_name["AuthenticatorService"],
        cards_pb2.DESCRIPTOR.services_by_name["CardService"],
    )
    of_passcodes = {
        f"/{service.full_name}/{each.name}"
        for service in services
        for each in service.methods
        if each.name.endswith(("Passcode", "UnlockCode"))
    }
    assert of_passcodes == PASSCODE_METHODS


def no_session(door: Door, caller: Caller) -> Awaitable[object]:
    async def refuse(_: bytes) -> None:
        raise SessionNotFound("no such session")

    return door.gathered(caller, refuse)


def test_who_is_told_of_no_session_is_looked_at(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    """A stranger, another role and a removed workstation are told that they are nobody here."""
    door, removed = new_door(world), world.workstation("PC2")
    world.identities.remove(
        Role.WORKSTATION, removed.identity.id, "lost", world.operator().identity
    )
    known = [come(door, each, Call(), no_session) for each in (pc, ada[1], removed, None)]
    assert known == ["SESSION_NOT_FOUND", REJECTED, REJECTED, REJECTED]


def test_a_gathered_call_knows_its_caller_by_the_certificate_and_counts(
    world: World, pc: Enrolled
) -> None:
    met: list[bytes] = []
    door = new_door(world, workstation=2)

    async def meet(fingerprint: bytes) -> None:
        met.append(fingerprint)

    ended = [
        come(door, pc, Call(), lambda door, caller: door.gathered(caller, meet)) for _ in range(3)
    ]
    assert ended == [OK, OK, TOO_MANY]
    assert met == [sha256(pc.certificate).digest()] * 2


def test_a_greeting_takes_a_certificate_and_counts(world: World, pc: Enrolled) -> None:
    door = new_door(world, workstation=1)
    ended = [
        come(door, each, Call(), lambda door, caller: door.greet(caller)) for each in (None, pc, pc)
    ]
    assert ended == [REJECTED, OK, TOO_MANY]


def test_a_stream_has_an_identity_and_a_place(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    met: list[Identity] = []

    async def watch(door: Door, caller: Caller, inside: Through | None = None) -> None:
        async with door.stream(caller) as identity:
            met.append(identity)
            if inside is not None:
                await inside(door, caller)

    door = new_door(world)
    assert come(door, pc, Call(), watch) == OK
    assert met == [pc.identity]
    assert come(door, ada[1], Call(), watch) == REJECTED
    twice = come(door, pc, Call(), lambda door, caller: watch(door, caller, watch))
    assert twice == TOO_MANY
    assert come(door, pc, Call(), watch) == OK  # the places are free again


def test_a_call_about_no_request_keeps_its_own_trace(
    world: World, ada: tuple[User, Enrolled]
) -> None:
    call = Call(operation_id="none", trace_id="cd" * 16)
    assert come(new_door(world, Role.DEVICE), ada[1], call, use_case) == OK
    assert (call.joined, call.trace_id) == (False, "cd" * 16)


def test_streams_opened_together_do_not_look_together() -> None:
    waits = {patience() for _ in range(50)}
    assert len(waits) > 1
    assert all(45 <= each <= 75 for each in waits)


def test_a_look_waits_for_a_thread(world: World) -> None:
    answers = iter([Overloaded("busy"), Overloaded("busy"), "seen"])

    def look() -> str:
        answer = next(answers)
        if isinstance(answer, Overloaded):
            raise answer
        return answer

    assert asyncio.run(new_door(world).look(look)) == "seen"


def test_looks_take_turns(world: World) -> None:
    under_way, most = 0, 0
    both = threading.Barrier(2, timeout=60)
    limits = Limits(looks=2)
    door = Door(world.callers, Limiter(limits, lambda: 0.0, Metrics()), Role.DEVICE)
    counting = threading.Lock()

    def look() -> None:
        nonlocal under_way, most
        with counting:
            under_way += 1
            most = max(most, under_way)
        both.wait()
        time.sleep(0.02)
        with counting:
            under_way -= 1

    async def look_all() -> None:
        await asyncio.gather(*(door.look(look) for _ in range(6)))

    asyncio.run(look_all())
    assert most == 2


def test_what_a_phone_does_joins_the_trace_of_the_request(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    token = TRACE_ID.set("ab" * 16)
    try:
        operation = world.ask(world.card(ada[0]), pc)
    finally:
        TRACE_ID.reset(token)
    met: list[str] = []

    def look(door: Door, caller: Caller) -> Awaitable[object]:
        return door.call(caller, lambda _: met.append(TRACE_ID.get()))

    for role, who, joined in ((Role.DEVICE, ada[1], True), (Role.WORKSTATION, pc, False)):
        call = Call(operation_id=operation.id, trace_id="cd" * 16)
        assert come(new_door(world, role), who, call, look) == OK
        assert (call.joined, call.trace_id == "ab" * 16) == (joined, joined)
    assert met == ["ab" * 16, ""]


def test_the_trace_of_a_request_is_looked_up_once(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = world.ask(world.card(ada[0]), pc)
    traces = iter(["", "ab" * 16])  # not known yet, then known
    monkeypatch.setattr(operations, "trace_id", lambda *_: next(traces))
    door, met = new_door(world, Role.DEVICE), list[str]()
    for _ in range(4):
        call = Call(operation_id=operation.id, trace_id="cd" * 16)
        assert come(door, ada[1], call, use_case) == OK
        met.append(call.trace_id)
    assert met == ["cd" * 16] + ["ab" * 16] * 3


def test_the_first_call_with_a_new_certificate_can_be_a_use_of_a_session(
    world: World, pc: Enrolled
) -> None:
    """Sessions know the certificate of before until the next one was used."""
    renewed, asked = world.renewed(pc), list[bytes]()

    async def use(fingerprint: bytes) -> None:
        asked.append(fingerprint)
        with world.database.read() as connection:
            known = people.find_identity_by_certificate(connection, fingerprint)
        if known is None:
            raise SessionNotFound("there is no such session")

    def gathered(door: Door, caller: Caller) -> Awaitable[object]:
        return door.gathered(caller, use)

    assert come(new_door(world), renewed, Call(), gathered) == OK
    assert asked == [sha256(renewed.certificate).digest()] * 2


def test_of_two_first_uses_of_a_session_at_once_none_is_refused(world: World, pc: Enrolled) -> None:
    """Another call took the next certificate after the session was looked for."""
    renewed, asked = world.renewed(pc), list[bytes]()

    async def use(fingerprint: bytes) -> None:
        asked.append(fingerprint)
        if len(asked) == 1:
            await asyncio.to_thread(world.rekeyed, renewed)
            raise SessionNotFound("there is no such session")

    assert come(new_door(world), renewed, Call(), lambda door, c: door.gathered(c, use)) == OK
    assert len(asked) == 2


def test_a_door_for_every_role(world: World, ada: tuple[User, Enrolled], pc: Enrolled) -> None:
    door = replace(new_door(world, renewal=2), role=None)
    assert [ask(door, each) for each in (ada[1], pc, pc, pc, None)] == [
        OK,
        OK,
        OK,
        TOO_MANY,
        REJECTED,
    ]


def test_a_list_is_made_for_its_caller_and_divided(world: World, pc: Enrolled) -> None:
    met: list[Identity] = []
    pages: list[int] = []

    def listed(caller: Identity) -> Iterator[audit_pb2.Entry]:
        met.append(caller)
        return iter([audit_pb2.Entry(entry=bytes(1000))] * 1000)

    async def through(door: Door, caller: Caller) -> None:
        async for some in door.listed(caller, listed):
            pages.append(len(some))

    assert come(new_door(world), pc, Call(), through) == OK
    assert (met, sum(pages)) == ([pc.identity], 1000)
    assert max(pages) * 1000 <= CHUNK_BYTES
    assert come(new_door(world), None, Call(), through) == REJECTED
    assert len(met) == 1
