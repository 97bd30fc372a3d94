"""Seats: a shared device approves for whoever has signed in there by a phone, and for nobody else
(MIA-01).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import update

from cloud_keystore.approval import payload, statement
from cloud_keystore.model.errors import (
    ApprovalRejected,
    CardNotFound,
    IdentityNotFound,
    IdentityRejected,
    InvalidInput,
    KeystoreError,
    NotAllowed,
    OperationClosed,
    OperationNotFound,
    RowNotAuthentic,
    SeatNotFound,
    SessionClosed,
)
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.operations import Decision, Operation, State
from cloud_keystore.model.people import Role, User
from cloud_keystore.model.policies import Policy
from cloud_keystore.model.rights.roles import BuiltIn
from cloud_keystore.model.sharing.seats import IDLE_TIME, SeatState
from cloud_keystore.storage import approval_keys, tables
from cloud_keystore.storage.sharing import seats
from support.keystore_world import (
    DIGEST,
    OPERATOR,
    TERMS,
    Enrolled,
    World,
    csr,
    secret_of,
    spki,
    verify,
)
from support.seats import ALLOWED, Tablet, decide, tablet


@pytest.fixture
def serial(world: World, ada: tuple[User, Enrolled]) -> str:
    """A card whose policy allows shared devices."""
    world.set_policy(ALLOWED)
    return world.card(ada[0])


@pytest.fixture
def ward(world: World) -> Tablet:
    """A shared device."""
    return tablet(world)


def kinds(world: World) -> list[Kind]:
    return [each.kind for each in world.journal() if each.kind.startswith("seat.")]


def gone(world: World, seat: Enrolled, waiting: Operation) -> bool:
    """Whether a seat neither sees nor decides anything."""
    with pytest.raises(IdentityRejected):
        world.deciding.waiting(seat.identity)
    with pytest.raises(KeystoreError):
        world.decide(waiting, seat)
    with pytest.raises(IdentityRejected):
        world.callers.identify(seat.identity.certificate_sha256 or b"", Role.SEAT)
    return world.state(waiting) is State.PENDING


def test_whoever_signs_in_approves_there_until_the_sign_out(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str, ward: Tablet
) -> None:
    seat = ward.taken_by(ada[1])
    operation = world.ask(serial, pc)
    (rung,) = world.deciding.waiting(seat.identity)
    assert rung.id == operation.id
    assert world.decide(operation, seat) is State.APPROVED
    verify(world, serial, 0x9A, world.perform(operation, pc), DIGEST)
    (approved,) = world.journal(Kind.OPERATION_APPROVED)
    assert (approved.user_id, approved.device_id) == (ada[0].id, seat.identity.id)
    assert approved.details["shared_device"] == ward.own.identity.id
    (listed,) = world.seats.list_open(ada[1].identity)
    assert (listed.device, listed.site) == ("Ward 7 tablet", "Ward 7")
    (seen,) = world.shared_devices.list_all(actor=OPERATOR)
    assert (seen.device.id, seen.holder) == (ward.own.identity.id, "Ada Byron")
    waiting = world.ask(serial, pc)
    world.seats.sign_out(seat.identity)
    assert gone(world, seat, waiting)
    assert world.seats.list_open(ada[1].identity) == []
    assert world.shared_devices.list_all(actor=OPERATOR)[0].seat is None
    assert kinds(world) == [Kind.SEAT_CLAIMED, Kind.SEAT_OPENED, Kind.SEAT_ENDED]


@pytest.mark.usefixtures("serial")
def test_the_phone_shows_and_signs_device_person_and_key(
    world: World, ada: tuple[User, Enrolled], ward: Tablet
) -> None:
    seen, private = ward.code()
    shown = world.seating.claim(seen.code, ada[1].identity)
    said = payload.decode_seat(shown.payload)
    assert (said.version, said.card_serial, said.key_id) == (5, "", "")
    assert (said.user_display_name, said.workstation.display_name) == ("Ada Byron", "Ward 7 tablet")
    assert (said.seat.seconds, said.seat.idle_seconds) == (8 * 3600, 300)
    with pytest.raises(ApprovalRejected):  # for a use of a key
        payload.decode(shown.payload)
    found = world.seats.find(seen.id, ward.own.identity)
    assert (found.state, found.holder, found.certificate) == (SeatState.PENDING, "", b"")
    signature, _ = ada[1].evidence(statement.statement(shown.payload, Decision.APPROVE, ""))
    phone = ada[1].identity
    for _ in range(2):  # one whose answer was lost asks again
        again = world.seating.decide(seen.id, Decision.APPROVE, signature, phone)
        assert again is State.APPROVED
    assert ward.seated(seen, private).identity.user_id == ada[0].id


ENDS: dict[str, Callable[[World, Tablet, Enrolled, tuple[User, Enrolled]], object]] = {
    "at the device": lambda world, ward, _seat, _ada: world.seats.leave(ward.own.identity),
    "on the phone": lambda world, _ward, _seat, ada: world.seats.end(
        world.seats.list_open(ada[1].identity)[0].seat.id, ada[1].identity
    ),
    "by an operator": lambda world, ward, _seat, _ada: world.shared_devices.sign_out(
        ward.own.identity.id, world.operator().identity
    ),
    "device removed": lambda world, ward, _seat, _ada: world.shared_devices.remove(
        ward.own.identity.id, "lost", world.operator().identity
    ),
    "phone removed": lambda world, _ward, _seat, ada: world.devices.remove(
        ada[1].identity.id, "lost", world.operator().identity
    ),
    "nobody there": lambda world, _ward, _seat, _ada: world.clock.forward(minutes=5),
    "somebody else": lambda world, ward, _seat, _ada: _other(world, ward),
}


def _other(world: World, ward: Tablet) -> None:
    bob = world.user("Bob")
    world.card(bob[0])
    ward.taken_by(bob[1])


@pytest.mark.parametrize("how", ENDS)
def test_what_was_approved_ends_with_the_seat(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str, ward: Tablet, how: str
) -> None:
    seat = ward.taken_by(ada[1])
    operation, waiting = world.ask(serial, pc), world.ask(serial, world.workstation("PC4"))
    assert world.decide(operation, seat) is State.APPROVED
    ENDS[how](world, ward, seat, ada)
    with pytest.raises((ApprovalRejected, OperationClosed)):
        world.perform(operation, pc)
    if how != "nobody there":
        assert gone(world, seat, waiting)
    world.sweep()
    assert kinds(world).count(Kind.SEAT_ENDED) == 1
    with pytest.raises(IdentityRejected):
        world.callers.identify(seat.identity.certificate_sha256 or b"", Role.SEAT)


def test_a_seat_ends_with_its_holder(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str, ward: Tablet
) -> None:
    seat, waiting = ward.taken_by(ada[1]), world.ask(serial, pc)
    world.leaving.close(ada[0].id, "left", world.operator().identity)
    with pytest.raises(IdentityRejected):
        world.deciding.waiting(seat.identity)
    with pytest.raises(KeystoreError):
        world.decide(waiting, seat)
    assert kinds(world)[-1] is Kind.SEAT_ENDED


def test_a_session_that_was_approved_there_ends_too(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, ward: Tablet
) -> None:
    world.set_policy(Policy(session=TERMS, shared_device_time=timedelta(hours=1)))
    serial = world.card(ada[0])
    seat = ward.taken_by(ada[1])
    session = world.session(serial, pc, seat)
    assert world.use(session, pc)
    world.seats.sign_out(seat.identity)
    with pytest.raises(SessionClosed):
        world.use(session, pc)


@pytest.mark.usefixtures("serial")
def test_it_lasts_while_somebody_is_there_and_never_longer_than_the_policy(
    world: World, ada: tuple[User, Enrolled], ward: Tablet
) -> None:
    seat = ward.taken_by(ada[1])
    began = world.clock()
    while world.clock() - began < timedelta(hours=8) - IDLE_TIME:
        world.clock.forward(minutes=4)
        until = world.seats.stay(seat.identity)
        assert until <= began + timedelta(hours=8)
    world.clock.now = began + timedelta(hours=8)
    with pytest.raises(IdentityRejected):
        world.seats.stay(seat.identity)
    with pytest.raises(IdentityRejected):
        world.deciding.waiting(seat.identity)


def test_no_policy_is_a_no_and_a_stricter_one_ends_approvals(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, ward: Tablet
) -> None:
    serial = world.card(ada[0])
    seen, _ = ward.code()
    with pytest.raises(ApprovalRejected, match="allows nobody"):
        decide(world, seen, ada[1])
    world.set_policy(ALLOWED)
    seat = ward.taken_by(ada[1])
    approved, waiting = world.ask(serial, pc), world.ask(serial, world.workstation("PC4"))
    assert world.decide(approved, seat) is State.APPROVED
    world.set_policy(Policy())
    with pytest.raises(ApprovalRejected, match="no shared devices"):
        world.decide(waiting, seat)
    with pytest.raises(ApprovalRejected, match="no shared devices"):
        world.perform(approved, pc)
    assert world.decide(waiting, seat, Decision.DENY) is State.DENIED


@pytest.mark.usefixtures("serial")
def test_the_phone_itself_has_to_be_one_that_may_approve(
    world: World, ada: tuple[User, Enrolled], ward: Tablet
) -> None:
    model = "2fc0579f-8113-47ea-b116-bb5a8db9202a"
    world.set_policy(
        Policy(shared_device_time=timedelta(hours=8), passkey_models=frozenset({model}))
    )
    seen, _ = ward.code()
    with pytest.raises(ApprovalRejected, match="certain models"):
        decide(world, seen, ada[1])
    assert world.seats.find(seen.id, ward.own.identity).state is SeatState.PENDING


@pytest.mark.usefixtures("serial")
def test_a_shared_device_is_for_its_organisation_and_those_below(
    world: World, ada: tuple[User, Enrolled]
) -> None:
    other = world.organisations.add("St Elsewhere", world.operator().identity)
    elsewhere = tablet(world, "Their tablet", other.id)
    seen, _ = elsewhere.code()
    with pytest.raises(ApprovalRejected, match="another organisation"):
        decide(world, seen, ada[1])


@pytest.mark.usefixtures("serial")
def test_only_whoever_has_the_code_and_a_card_signs_in(
    world: World, ada: tuple[User, Enrolled], ward: Tablet
) -> None:
    bob = world.user("Bob")
    seen, _ = ward.code()
    with pytest.raises(CardNotFound):
        decide(world, seen, bob[1])
    forged = seen.code[:-2] + ("A" if seen.code[-2] != "A" else "B") + seen.code[-1]
    for wrong in (forged, "CLOUDCARD:SEAT:1:AAAA", "CLOUDCARD:1:AAAA", ""):
        with pytest.raises((OperationNotFound, InvalidInput)):
            world.seating.claim(wrong, ada[1].identity)
    world.clock.forward(seconds=60)
    with pytest.raises(OperationClosed):
        world.seating.claim(seen.code, ada[1].identity)


@pytest.mark.usefixtures("serial")
def test_a_code_is_the_first_phones(world: World, ada: tuple[User, Enrolled], ward: Tablet) -> None:
    eve = world.user("Eve")
    world.card(eve[0])
    seen, _ = ward.code()
    shown = world.seating.claim(seen.code, ada[1].identity)
    assert world.seats.find(seen.id, ward.own.identity).code == ""
    with pytest.raises(OperationClosed):
        world.seating.claim(seen.code, eve[1].identity)
    signature, _ = eve[1].evidence(statement.statement(shown.payload, Decision.APPROVE, ""))
    with pytest.raises(OperationNotFound):
        world.seating.decide(seen.id, Decision.APPROVE, signature, eve[1].identity)
    with pytest.raises(ApprovalRejected):  # her signature, over what Ada was shown
        world.seating.decide(seen.id, Decision.APPROVE, signature, ada[1].identity)


@pytest.mark.usefixtures("serial")
@pytest.mark.parametrize(
    ("decision", "kind"),
    [(Decision.DENY, Kind.SEAT_DENIED), (Decision.NOT_ME, Kind.SEAT_REPORTED)],
)
def test_a_no_signs_nobody_in(
    world: World,
    ada: tuple[User, Enrolled],
    ward: Tablet,
    decision: Decision,
    kind: Kind,
) -> None:
    seen, _ = ward.code()
    assert decide(world, seen, ada[1], decision) is State.DENIED
    assert world.seats.find(seen.id, ward.own.identity).state is SeatState.ENDED
    assert kinds(world) == [Kind.SEAT_CLAIMED, kind]
    assert bool(world.journal(Kind.ALERT_RAISED)) is (decision is Decision.NOT_ME)


def test_a_seat_is_one_persons(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str, ward: Tablet
) -> None:
    """Nobody decides for anybody else: not by the same device, and not by an earlier seat."""
    bob = world.user("Bob")
    his = world.card(bob[0])
    seat = ward.taken_by(bob[1])
    for asked in (world.ask(serial, pc), world.ask(serial, world.workstation("PC4"))):
        with pytest.raises(OperationNotFound):
            world.decide(asked, seat)
    assert world.deciding.waiting(seat.identity) == []
    assert world.decide(world.ask(his, world.workstation("PC5")), seat) is State.APPROVED
    with pytest.raises(SeatNotFound):
        world.seats.end(world.seats.list_open(bob[1].identity)[0].seat.id, ada[1].identity)
    with pytest.raises(KeystoreError):  # the device itself is nobody
        world.decide(world.ask(serial, world.workstation("PC6")), ward.own)


@pytest.mark.usefixtures("serial")
def test_a_seat_gives_nobody_more_than_decisions(
    world: World, ada: tuple[User, Enrolled], ward: Tablet
) -> None:
    """No further seat, no longer life, and no place among the holder's phones."""
    seat = ward.taken_by(ada[1])
    seen, _ = tablet(world, "Second tablet").code()
    with pytest.raises(OperationNotFound):
        world.seating.claim(seen.code, seat.identity)
    private = ec.generate_private_key(ec.SECP256R1())
    request = csr(private)
    signed = statement.renewal(seat.identity.certificate_sha256 or b"", request)
    signature, _ = seat.evidence(signed)
    with pytest.raises(IdentityRejected, match="sign in again"):
        world.renewing.renew(seat.identity, request, signature)
    assert [each.id for each in world.devices.list_own(ada[1].identity)] == [ada[1].identity.id]
    for role in (Role.DEVICE, Role.WORKSTATION, Role.OPERATOR, Role.SHARED_DEVICE):
        with pytest.raises(IdentityRejected):
            world.callers.identify(seat.identity.certificate_sha256 or b"", role)


def test_another_key_than_the_approved_one_decides_nothing(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str, ward: Tablet
) -> None:
    """Even if custody's own code had put it there: the holder has signed which key it is."""
    seat = ward.taken_by(ada[1])
    other = ec.generate_private_key(ec.SECP256R1())
    with world.database.write() as connection:
        k = tables.approval_key.c
        approval_keys.rows.change(
            connection,
            tables.approval_key,
            [k.identity_id == seat.identity.id],
            {"public_key": spki(other)},
        )
    with pytest.raises(ApprovalRejected, match="not approved the key"):
        world.decide(world.ask(serial, pc), Enrolled(seat.identity, other))


def test_whoever_writes_the_database_signs_nobody_in(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str, ward: Tablet
) -> None:
    """Neither a longer time, nor another person or key, nor an end that is taken back."""
    eve = world.user("Eve")
    world.card(eve[0])
    seat = ward.taken_by(ada[1])
    approved = world.ask(serial, pc)
    assert world.decide(approved, seat) is State.APPROVED
    waiting = world.ask(serial, world.workstation("PC4"))
    with world.database.read() as connection:
        found = seats.of_identity(connection, seat.identity.id)
    assert found is not None
    changes = (
        {"expire_time": world.clock() + timedelta(days=9)},
        {"user_id": eve[0].id},
        {"payload": b""},
        {"csr": b""},
        {"state": int(SeatState.PENDING)},
    )
    for change in changes:
        with world.database.write() as connection:
            connection.execute(update(seats.seat).values(change))
        for attack in (
            lambda: world.decide(waiting, seat),
            lambda: world.perform(approved, pc),
        ):
            with pytest.raises(RowNotAuthentic):
                attack()
        with world.database.write() as connection:
            whole = {name: getattr(found, name) for name in change}
            connection.execute(update(seats.seat).values(whole))
    assert world.decide(waiting, seat) is State.APPROVED


@pytest.mark.usefixtures("serial")
def test_a_removed_device_begins_nothing(world: World, ward: Tablet) -> None:
    seen, _ = ward.code()
    with pytest.raises(SeatNotFound):
        world.seats.find(seen.id, tablet(world, "Other").own.identity)
    world.shared_devices.remove(ward.own.identity.id, "lost", world.operator().identity)
    with pytest.raises(IdentityRejected):
        ward.code()
    with pytest.raises(IdentityRejected):
        world.seats.find(seen.id, ward.own.identity)


@pytest.mark.usefixtures("serial")
def test_codes_of_before_end_when_further_ones_are_shown(
    world: World, ada: tuple[User, Enrolled], ward: Tablet
) -> None:
    shown = []
    for _ in range(3):
        shown.append(ward.code()[0])
        world.clock.forward(seconds=1)
    first = shown[0]
    with pytest.raises(OperationClosed):
        world.seating.claim(first.code, ada[1].identity)
    assert decide(world, shown[1], ada[1]) is State.APPROVED
    with pytest.raises(InvalidInput):
        world.seats.begin(b"no request", ward.own.identity)


@pytest.mark.usefixtures("serial")
def test_a_code_of_before_takes_the_device_from_nobody(
    world: World, ada: tuple[User, Enrolled], ward: Tablet
) -> None:
    """Somebody scans a code and goes; another one signs in; then the first says yes."""
    other, phone = world.user("Bea Blum")
    world.card(other)
    before = world.seating.claim(ward.code()[0].code, phone.identity)
    seat = ward.taken_by(ada[1])
    signature, _ = phone.evidence(statement.statement(before.payload, Decision.APPROVE, ""))
    with pytest.raises(OperationClosed):
        world.seating.decide(before.id, Decision.APPROVE, signature, phone.identity)
    (still,) = world.seats.list_open(ada[1].identity)
    assert still.seat.identity_id == seat.identity.id


def test_who_may_add_see_and_remove_them(world: World, ward: Tablet) -> None:
    other = world.organisations.add("St Elsewhere", world.operator().identity)
    theirs = world.enrol(
        world.people.add_operator("Theo", BuiltIn.RA_MANAGER, other.id, actor=OPERATOR).text
    )
    agent = world.enrol(
        world.people.add_operator("Agnes", BuiltIn.RA_AGENT, other.id, actor=OPERATOR).text
    )
    assert world.shared_devices.list_all(actor=theirs.identity.actor) == []
    for hidden in (world.shared_devices.sign_out, _removal(world)):
        with pytest.raises(IdentityNotFound):
            hidden(ward.own.identity.id, theirs.identity)
    with pytest.raises(NotAllowed):
        world.shared_devices.add("Tablet", "", actor=agent.identity.actor)
    device, token = world.shared_devices.add("Tablet", "", actor=theirs.identity.actor)
    assert device.organisation_id == other.id
    with pytest.raises(InvalidInput, match="shared device"):
        world.enrolment.enrol(
            secret_of(token.text),
            csr(ec.generate_private_key(ec.SECP256R1())),
            "",
            None,
            Role.DEVICE,
        )


def _removal(world: World) -> Callable[[str, object], object]:
    return lambda device, who: world.shared_devices.remove(device, "why", who)  # type: ignore[arg-type]
