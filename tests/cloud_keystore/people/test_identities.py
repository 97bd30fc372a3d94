"""Workstations, operators and auditors that are removed can do nothing from then on."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread

import pytest

from card_os.piv.names import KeyRef
from cloud_keystore.model.errors import (
    AdministratorNeeded,
    ChallengeRejected,
    IdentityNotFound,
    IdentityRejected,
    InvalidInput,
    KeystoreError,
    LastOperator,
    OperationClosed,
    SessionNotFound,
    TokenRejected,
)
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.operations import State
from cloud_keystore.model.passcodes import Verified
from cloud_keystore.model.people import Identity, IdentityState, Role, User
from support.keystore_world import DIGEST, OPERATOR, PASSCODE, SESSIONS, Enrolled, World, secret_of

ROLES = (Role.WORKSTATION, Role.OPERATOR, Role.AUDITOR)


@pytest.fixture
def operator(world: World) -> Identity:
    return world.operator().identity


def invite(world: World, role: Role) -> str:
    """A token for an identity of the role."""
    match role:
        case Role.WORKSTATION:
            return world.people.add_workstation("PC9", "", actor=OPERATOR)[1].text
        case Role.OPERATOR:
            return world.people.add_operator("Otto", actor=OPERATOR).text
        case _:
            return world.people.add_auditor("Aude", actor=OPERATOR).text


def remove(world: World, role: Role, removed: Identity, operator: Identity) -> Identity:
    return world.identities.remove(role, removed.id, "lost on the train", operator)


@pytest.mark.parametrize("role", ROLES)
class TestRemoved:
    """What holds for each role."""

    def test_it_gets_in_nowhere(self, world: World, operator: Identity, role: Role) -> None:
        own = world.enrol(invite(world, role)).identity
        fingerprint = own.certificate_sha256
        assert fingerprint is not None
        assert world.callers.identify(fingerprint, role) == own
        removed = remove(world, role, own, operator)
        assert removed.state is IdentityState.REMOVED
        with pytest.raises(IdentityRejected):
            world.callers.identify(fingerprint, role)
        listed = {each.id: each.state for each in world.identities.list_of(role, actor=world.actor)}
        assert listed[own.id] is IdentityState.REMOVED

    def test_an_invitation_is_void(self, world: World, operator: Identity, role: Role) -> None:
        token = invite(world, role)
        listed = world.identities.list_of(role, actor=world.actor)
        (invited,) = [each for each in listed if each.state is IdentityState.INVITED]
        remove(world, role, invited, operator)
        with pytest.raises(TokenRejected):
            world.enrol(token)

    def test_it_is_journalled_once(self, world: World, operator: Identity, role: Role) -> None:
        own = world.enrol(invite(world, role)).identity
        for _ in range(2):  # the second is harmless
            remove(world, role, own, operator)
        (entry,) = world.journal(Kind.IDENTITY_REMOVED)
        assert str(entry.actor) == f"operator {operator.id}"
        assert entry.workstation_id == (own.id if role is Role.WORKSTATION else None)
        assert entry.details == {
            "identity": own.id,
            "role": role.name.lower(),
            "name": own.display_name,
            "reason": "lost on the train",
        }

    def test_wrong_questions(
        self, world: World, operator: Identity, ada: tuple[User, Enrolled], role: Role
    ) -> None:
        others = [world.enrol(invite(world, each)).identity for each in ROLES if each is not role]
        for other in (*others, ada[1].identity):
            with pytest.raises(IdentityNotFound, match=f"ra {role.name.lower()} list"):
                remove(world, role, other, operator)
        own = world.enrol(invite(world, role)).identity
        with pytest.raises(InvalidInput, match="reason"):
            world.identities.remove(role, own.id, " ", operator)
        with pytest.raises(IdentityNotFound):
            world.identities.remove(role, "nobody", "lost", operator)


class TestWorkstation:
    """All that hangs on a workstation ends with it."""

    def test_what_it_asked_for_is_withdrawn(
        self,
        world: World,
        operator: Identity,
        ada: tuple[User, Enrolled],
        serial: str,
        pc: Enrolled,
    ) -> None:
        elsewhere = world.workstation("WARD7-PC4")
        approved, waiting = world.ask(serial, pc), world.ask(world.card(ada[0]), pc)
        other = world.ask(serial, elsewhere)
        world.decide(approved, ada[1])
        world.woken.clear()
        remove(world, Role.WORKSTATION, pc.identity, operator)
        assert world.state(approved) is world.state(waiting) is State.CANCELLED
        assert world.state(other) is State.PENDING
        assert set(world.woken) == {approved.id, waiting.id, ada[0].id}
        with pytest.raises(OperationClosed):
            world.activation.perform(approved.id, [DIGEST], pc.identity)
        assert [each.id for each in world.deciding.waiting(ada[1].identity)] == [other.id]
        told = world.journal(Kind.OPERATION_CANCELLED)
        assert {(each.operation_id, str(each.actor)) for each in told} == {
            (approved.id, f"operator {operator.id}"),
            (waiting.id, f"operator {operator.id}"),
        }

    def test_its_sessions_end(
        self,
        world: World,
        operator: Identity,
        ada: tuple[User, Enrolled],
        serial: str,
        pc: Enrolled,
    ) -> None:
        world.set_policy(SESSIONS)
        elsewhere = world.workstation("WARD7-PC4")
        mine, other = world.session(serial, pc, ada[1]), world.session(serial, elsewhere, ada[1])
        remove(world, Role.WORKSTATION, pc.identity, operator)
        with pytest.raises(SessionNotFound):
            world.use(mine, pc)
        assert world.use(other, elsewhere)
        (entry,) = world.journal(Kind.SESSION_ENDED)
        assert entry.operation_id == mine.id

    def test_what_was_proved_there_counts_no_longer(
        self, world: World, operator: Identity, ada: tuple[User, Enrolled], pc: Enrolled
    ) -> None:
        serial = world.card(ada[0], "developer")
        administrator = world.administrator(serial, pc)
        at = (serial, 0x0A, pc.identity)
        world.management_keys.request_challenge(*at, enciphered=False)
        remove(world, Role.WORKSTATION, pc.identity, operator)
        with pytest.raises(AdministratorNeeded):
            world.administration.write_object(administrator, 0x5FC10A, b"x")
        with pytest.raises(ChallengeRejected, match="no challenge"):
            world.management_keys.answer_challenge(*at, b"\0" * 16, b"")

    def test_a_call_that_had_come_in_before_asks_for_nothing(
        self, world: World, operator: Identity, serial: str, pc: Enrolled
    ) -> None:
        remove(world, Role.WORKSTATION, pc.identity, operator)
        late = world.passcodes.verify(serial, KeyRef.PIN, PASSCODE, pc.identity)
        assert isinstance(late, Verified)  # it had been let in, and the proof is good for nothing
        with pytest.raises(IdentityRejected, match="enrol it again"):
            world.ask(serial, pc, proof=late.proof)


class TestOperator:
    """The registration authority does not shut itself out."""

    def test_the_last_one_stays(self, world: World, operator: Identity) -> None:
        world.people.add_operator("Otto", actor=OPERATOR)  # who has not enrolled
        with pytest.raises(LastOperator, match="operator invite"):
            remove(world, Role.OPERATOR, operator, operator)
        assert not world.journal(Kind.IDENTITY_REMOVED)

    def test_one_of_two_goes_and_can_do_no_more(self, world: World, operator: Identity) -> None:
        other = world.operator().identity
        remove(world, Role.OPERATOR, operator, operator)
        pc = world.workstation().identity
        with pytest.raises(IdentityRejected, match="removed"):
            remove(world, Role.WORKSTATION, pc, operator)
        with pytest.raises(LastOperator):
            remove(world, Role.OPERATOR, other, other)

    def test_of_two_who_remove_each_other_one_stays(self, world: World, operator: Identity) -> None:
        other = world.operator().identity
        refused: list[KeystoreError] = []

        def remove_the_other(whom: Identity, who: Identity) -> Callable[[], None]:
            def run() -> None:
                try:
                    remove(world, Role.OPERATOR, whom, who)
                except KeystoreError as error:
                    refused.append(error)

            return run

        racers = [
            Thread(target=remove_the_other(operator, other)),
            Thread(target=remove_the_other(other, operator)),
        ]
        for racer in racers:
            racer.start()
        for racer in racers:
            racer.join()
        assert [type(each) for each in refused] == [IdentityRejected]
        active = [
            each
            for each in world.identities.list_of(Role.OPERATOR, actor=world.actor)
            if each.state is IdentityState.ACTIVE and each.display_name
        ]
        assert len(active) == 1


def test_an_auditors_export_ends(world: World, operator: Identity) -> None:
    auditor = world.auditor()
    size = world.take_in()
    world.reading.begin_export(auditor, 0, size)
    assert world.reading.export(auditor, 0, size)
    remove(world, Role.AUDITOR, auditor, operator)
    with pytest.raises(IdentityRejected):
        world.reading.export(auditor, 1, size)


def test_a_name_for_each(world: World) -> None:
    for invited in (world.people.add_operator, world.people.add_auditor):
        with pytest.raises(InvalidInput, match="name"):
            invited(" ", actor=OPERATOR)
    token = world.people.add_operator("  Olga  ", actor=OPERATOR)
    assert world.identities.list_of(Role.OPERATOR, actor=world.actor)[-1].display_name == "Olga"
    assert secret_of(token.text)
