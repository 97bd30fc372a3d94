"""Lost phones, reports of requests that were not the holder's, and alerts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy.exc import DBAPIError

from cloud_keystore.approval import qr, statement
from cloud_keystore.audit import alerts
from cloud_keystore.model.alerts import AlertKind
from cloud_keystore.model.cards import CardState
from cloud_keystore.model.errors import (
    AlertNotFound,
    ApprovalRejected,
    CardNotInUse,
    DeviceNotFound,
    IdentityRejected,
    InvalidInput,
    OperationClosed,
    OperationNotFound,
    PasscodeNeeded,
    StorageUnavailable,
    UserNotFound,
)
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.operations import Channel, Decision, Operation, State
from cloud_keystore.model.people import IdentityState, Role, User
from cloud_keystore.model.sessions import Session
from cloud_keystore.operations.asking import qr_secret
from cloud_keystore.operations.watching import Watching
from cloud_keystore.storage import cards, sessions, tables
from cloud_keystore.storage.authentic import rows
from support.keystore_world import OPERATOR, SESSIONS, Enrolled, World
from support.outbox import Told

DIGEST = b"\x11" * 32


@pytest.fixture
def operator(world: World) -> Enrolled:
    return world.operator()


def second_phone(world: World, user: User) -> Enrolled:
    return world.enrol(world.people.invite_device(user.id, actor=OPERATOR).text)


def code(world: World, operation: Operation) -> str:
    return qr.text(operation.id, qr_secret(world.seal, operation.id))


def session_ended(world: World, session: Session) -> bool:
    with world.database.read() as connection:
        found = sessions.find(connection, session.id)
    assert found is not None
    return found.end_time is not None


class TestRemoved:
    """A removed device can do nothing from then on."""

    def test_it_gets_in_nowhere(
        self,
        world: World,
        ada: tuple[User, Enrolled],
        serial: str,
        pc: Enrolled,
        operator: Enrolled,
    ) -> None:
        phone = ada[1]
        operation = world.ask(serial, pc, channels=(Channel.PUSH, Channel.QR))
        removed = world.devices.remove(phone.identity.id, "lost", operator.identity)
        assert removed.device.state is IdentityState.REMOVED
        fingerprint = phone.identity.certificate_sha256
        assert fingerprint is not None
        with pytest.raises(IdentityRejected):
            world.callers.identify(fingerprint, Role.DEVICE)
        # nor does a call that had come in before
        with pytest.raises(IdentityRejected):
            world.deciding.waiting(phone.identity)
        with pytest.raises(IdentityRejected):
            world.deciding.claim(code(world, operation), phone.identity)
        for decision in Decision:
            with pytest.raises(IdentityRejected):
                world.decide(operation, phone, decision)
        assert world.state(operation) is State.PENDING

    def test_its_approvals_are_void(
        self,
        world: World,
        ada: tuple[User, Enrolled],
        serial: str,
        pc: Enrolled,
        operator: Enrolled,
    ) -> None:
        operation = world.ask(serial, pc)
        world.decide(operation, ada[1])
        world.devices.remove(ada[1].identity.id, "lost", operator.identity)
        assert world.state(operation) is State.CANCELLED
        with pytest.raises(OperationClosed):
            world.activation.perform(operation.id, [DIGEST], pc.identity)
        assert operation.id in world.woken

    def test_and_so_they_are_where_only_its_row_says_so(
        self, world: World, ada: tuple[User, Enrolled], serial: str, pc: Enrolled
    ) -> None:
        operation = world.ask(serial, pc)
        world.decide(operation, ada[1])
        with world.database.write() as connection:
            hers = tables.identity.c.id == ada[1].identity.id
            rows.change(connection, tables.identity, [hers], {"state": IdentityState.REMOVED})
        with pytest.raises(ApprovalRejected, match="removed"):
            world.activation.perform(operation.id, [DIGEST], pc.identity)

    def test_sessions_that_it_approved_end(
        self,
        world: World,
        ada: tuple[User, Enrolled],
        serial: str,
        pc: Enrolled,
        operator: Enrolled,
    ) -> None:
        world.set_policy(SESSIONS)
        other = second_phone(world, ada[0])
        opened = [
            world.session(serial, pc, ada[1]),
            world.session(serial, world.workstation("WARD7-PC4"), other),
        ]
        world.devices.remove(ada[1].identity.id, "lost", operator.identity)
        assert [session_ended(world, each) for each in opened] == [True, False]
        (entry,) = world.journal(Kind.SESSION_ENDED)
        assert entry.operation_id == opened[0].id

    def test_what_waits_stays_for_the_other_devices(
        self,
        world: World,
        ada: tuple[User, Enrolled],
        serial: str,
        pc: Enrolled,
        operator: Enrolled,
    ) -> None:
        other = second_phone(world, ada[0])
        operation = world.ask(serial, pc, channels=(Channel.PUSH, Channel.QR))
        world.deciding.claim(code(world, operation), ada[1].identity)
        world.devices.remove(ada[1].identity.id, "lost", operator.identity)
        assert [each.id for each in world.deciding.waiting(other.identity)] == [operation.id]
        assert world.decide(operation, other) is State.APPROVED

    def test_what_only_it_could_see_is_withdrawn(
        self,
        world: World,
        ada: tuple[User, Enrolled],
        serial: str,
        pc: Enrolled,
        operator: Enrolled,
    ) -> None:
        operation = world.ask(serial, pc, channels=(Channel.QR,))
        world.deciding.claim(code(world, operation), ada[1].identity)
        world.devices.remove(ada[1].identity.id, "lost", operator.identity)
        assert world.state(operation) is State.CANCELLED

    def test_it_is_journalled_once(
        self, world: World, ada: tuple[User, Enrolled], operator: Enrolled
    ) -> None:
        for _ in range(2):
            world.devices.remove(ada[1].identity.id, "lost on the train", operator.identity)
        (entry,) = world.journal(Kind.IDENTITY_REMOVED)
        assert str(entry.actor) == f"operator {operator.identity.id}"
        assert (entry.device_id, entry.user_id) == (ada[1].identity.id, ada[0].id)
        assert entry.details["reason"] == "lost on the train"

    def test_wrong_questions(
        self, world: World, ada: tuple[User, Enrolled], pc: Enrolled, operator: Enrolled
    ) -> None:
        for other in (pc, operator):
            with pytest.raises(DeviceNotFound):
                world.devices.remove(other.identity.id, "lost", operator.identity)
        with pytest.raises(InvalidInput, match="reason"):
            world.devices.remove(ada[1].identity.id, " ", operator.identity)
        with pytest.raises(UserNotFound):
            world.devices.list_of("nobody", actor=world.actor)


class TestNotMe:
    """ "This was not me" takes the card out of use, all at once."""

    def test_everything_of_the_card_ends(
        self, world: World, ada: tuple[User, Enrolled], serial: str, pc: Enrolled
    ) -> None:
        elsewhere = world.workstation("PC4")
        world.set_policy(SESSIONS)
        opened = world.session(serial, pc, ada[1])
        mine = world.ask(serial, elsewhere)
        world.decide(mine, ada[1])
        other_card = world.ask(world.card(ada[0]), pc)
        strange, proof = world.ask(serial, pc), world.proof(serial, pc)

        assert world.decide(strange, ada[1], Decision.NOT_ME) is State.DENIED
        assert world.find(serial).card.state is CardState.SUSPENDED
        assert world.state(mine) is State.CANCELLED
        assert session_ended(world, opened)
        assert world.state(other_card) is State.PENDING
        with pytest.raises(OperationClosed):
            world.activation.perform(mine.id, [DIGEST], elsewhere.identity)
        with pytest.raises(CardNotInUse):
            world.ask(serial, pc, proof=proof)
        world.cards.resume(serial, actor=OPERATOR)
        world.clock.forward(seconds=10)
        with pytest.raises(PasscodeNeeded):  # whoever gave it gives it again
            world.ask(serial, pc, proof=proof)

    def test_the_registration_authority_is_told(
        self,
        world: World,
        ada: tuple[User, Enrolled],
        serial: str,
        pc: Enrolled,
        operator: Enrolled,
    ) -> None:
        world.decide(world.ask(serial, pc), ada[1], Decision.NOT_ME)
        (entry,) = world.alerts.list_all(include_acknowledged=False, actor=world.actor)
        assert entry.alert.kind is AlertKind.NOT_ME
        assert (entry.card_serial, entry.user_display_name) == (serial, "Ada Byron")
        assert "WARD7-PC3" in entry.alert.text
        for _ in range(2):
            seen = world.alerts.acknowledge(entry.alert.id, operator.identity)
            assert seen.alert.acknowledged_by == operator.identity.id
        assert world.alerts.list_all(include_acknowledged=False, actor=world.actor) == []
        assert len(world.alerts.list_all(include_acknowledged=True, actor=world.actor)) == 1
        assert len(world.journal(Kind.ALERT_ACKNOWLEDGED)) == 1
        with pytest.raises(AlertNotFound):
            world.alerts.acknowledge("none", operator.identity)

    @pytest.mark.parametrize("decision", [Decision.APPROVE, Decision.DENY, Decision.NOT_ME])
    def test_who_waits_is_woken(
        self,
        world: World,
        ada: tuple[User, Enrolled],
        serial: str,
        pc: Enrolled,
        decision: Decision,
    ) -> None:
        """The workstation, the holder's other phones, and all who wait for what was withdrawn."""
        woken: list[str] = []
        withdrawn = world.ask(serial, world.workstation("PC4"))
        operation = world.ask(serial, pc)
        number = operation.number if decision is Decision.APPROVE else ""
        signed = statement.statement(operation.payload, decision, number)
        signature, _ = ada[1].evidence(signed)
        deciding = replace(world.deciding, wake=woken.extend)
        deciding.decide(operation.id, decision, number, signature, ada[1].identity)
        expected = {operation.id, ada[0].id}
        assert set(woken) >= expected | ({withdrawn.id} if decision is Decision.NOT_ME else set())
        assert (withdrawn.id in woken) is (decision is Decision.NOT_ME)

    def test_it_is_journalled_with_its_evidence(
        self, world: World, ada: tuple[User, Enrolled], serial: str, pc: Enrolled
    ) -> None:
        operation = world.ask(serial, pc)
        world.decide(operation, ada[1], Decision.NOT_ME)
        (reported,) = world.journal(Kind.OPERATION_REPORTED)
        assert reported.evidence["payload"] == operation.payload
        assert reported.evidence["device_signature"]
        (suspended,) = world.journal(Kind.CARD_SUSPENDED)
        (raised,) = world.journal(Kind.ALERT_RAISED)
        assert suspended.card_id == raised.card_id == operation.card_id

    def test_it_needs_the_devices_signature_over_it(
        self, world: World, ada: tuple[User, Enrolled], serial: str, pc: Enrolled
    ) -> None:
        operation = world.ask(serial, pc)
        denial = statement.statement(operation.payload, Decision.DENY, "")
        signature, _ = ada[1].evidence(denial)
        with pytest.raises(ApprovalRejected):
            world.deciding.decide(operation.id, Decision.NOT_ME, "", signature, ada[1].identity)
        assert world.find(serial).card.state is CardState.ACTIVE

    def test_a_stranger_suspends_nothing(self, world: World, serial: str, pc: Enrolled) -> None:
        operation, (_, mallory) = world.ask(serial, pc), world.user("Mallory")
        with pytest.raises(OperationNotFound):
            world.decide(operation, mallory, Decision.NOT_ME)
        assert world.find(serial).card.state is CardState.ACTIVE

    def test_all_or_nothing(
        self, world: World, ada: tuple[User, Enrolled], serial: str, pc: Enrolled
    ) -> None:
        """Where the alert cannot be kept, neither is the decision."""
        operation = world.ask(serial, pc)
        with world.database.write() as connection:
            connection.exec_driver_sql("ALTER TABLE alert RENAME TO elsewhere")
        with pytest.raises((DBAPIError, StorageUnavailable)):
            world.decide(operation, ada[1], Decision.NOT_ME)
        assert world.state(operation) is State.PENDING
        assert world.find(serial).card.state is CardState.ACTIVE
        assert world.journal(Kind.OPERATION_REPORTED, Kind.CARD_SUSPENDED) == []


class TestNew:
    """The attack: an operator enrols a phone of their own for somebody, and nobody is told."""

    def test_the_holders_other_devices_are_told(
        self, world: World, ada: tuple[User, Enrolled]
    ) -> None:
        assert world.alerts.told_to(ada[1].identity) == []
        watching = Watching(world.database, iter((0.0, 10.0)).__next__)
        watching.topics()
        second = second_phone(world, ada[0])
        (told,) = world.alerts.told_to(ada[1].identity)
        assert told.alert.kind is AlertKind.NEW_DEVICE
        assert f'"{second.identity.display_name}"' in told.alert.text
        assert ada[0].id in watching.topics()  # so that its stream looks again
        (entry,) = world.journal(Kind.ALERT_RAISED)
        assert (entry.user_id, entry.details["alert"]) == (ada[0].id, "new-device")

    def test_no_operator_can_hide_it(self, world: World, ada: tuple[User, Enrolled]) -> None:
        second = second_phone(world, ada[0])
        operator = world.operator().identity
        (told,) = world.alerts.told_to(ada[1].identity)
        world.alerts.acknowledge(told.alert.id, operator)
        world.devices.remove(second.identity.id, "used", operator)
        assert [each.alert.id for each in world.alerts.told_to(ada[1].identity)] == [told.alert.id]
        world.clock.forward(days=29)
        assert len(world.alerts.told_to(ada[1].identity)) == 1
        world.clock.forward(days=2)
        assert world.alerts.told_to(ada[1].identity) == []

    def test_the_registration_authority_has_nothing_to_do(
        self, world: World, ada: tuple[User, Enrolled]
    ) -> None:
        second_phone(world, ada[0])
        assert world.alerts.list_all(include_acknowledged=False, actor=world.actor) == []
        assert len(world.alerts.list_all(include_acknowledged=True, actor=world.actor)) == 1

    def test_nobody_else_is_told(self, world: World, ada: tuple[User, Enrolled]) -> None:
        _, bo = world.user("Bo")
        second_phone(world, ada[0])
        world.enrol(world.people.add_workstation("PC9", "", actor=OPERATOR)[1].text)
        assert world.alerts.told_to(bo.identity) == []
        assert len(world.journal(Kind.ALERT_RAISED)) == 1

    def test_a_phone_in_place_of_one_that_was_removed_is_told_to_nobody(
        self, world: World, ada: tuple[User, Enrolled], operator: Enrolled
    ) -> None:
        world.devices.remove(ada[1].identity.id, "lost", operator.identity)
        second = second_phone(world, ada[0])
        assert world.alerts.told_to(second.identity) == []


def test_an_alert_is_raised_once_until_somebody_has_seen_to_it(
    world: World, serial: str, pc: Enrolled, operator: Enrolled
) -> None:
    def raise_it() -> bool:
        with world.database.write() as connection:
            card = cards.find_by_serial(connection, serial)
            assert card is not None
            now, random = world.clock(), world.deciding.random
            at = pc.identity
            return alerts.too_many_refusals(connection, card, at, now, random) is not None

    assert [raise_it(), raise_it()] == [True, False]
    (entry,) = world.alerts.list_all(include_acknowledged=False, actor=world.actor)
    world.alerts.acknowledge(entry.alert.id, operator.identity)
    assert raise_it()
    assert len(world.journal(Kind.ALERT_RAISED)) == 2


class TestRelay:
    """A code that somebody else gets to see is of no use to them."""

    def test_it_is_the_holders_and_the_first_devices(
        self, world: World, ada: tuple[User, Enrolled], serial: str, pc: Enrolled
    ) -> None:
        _, mallory = world.user("Mallory")
        other = second_phone(world, ada[0])
        operation = world.ask(serial, pc, channels=(Channel.QR,))
        with pytest.raises(OperationNotFound, match="not for you"):
            world.deciding.claim(code(world, operation), mallory.identity)
        world.deciding.claim(code(world, operation), ada[1].identity)
        world.deciding.claim(code(world, operation), ada[1].identity)  # a repeat is harmless
        with pytest.raises(OperationClosed):
            world.deciding.claim(code(world, operation), other.identity)
        with pytest.raises(OperationNotFound):
            world.decide(operation, other, number="")
        assert len(world.journal(Kind.OPERATION_CLAIMED)) == 1

    def test_a_stolen_code_soon_ends(
        self, world: World, ada: tuple[User, Enrolled], serial: str, pc: Enrolled
    ) -> None:
        operation = world.ask(serial, pc, channels=(Channel.QR,))
        world.clock.forward(seconds=61)
        with pytest.raises(OperationClosed):
            world.deciding.claim(code(world, operation), ada[1].identity)

    def test_a_claimed_code_is_decided_by_its_device_alone(
        self, world: World, ada: tuple[User, Enrolled], serial: str, pc: Enrolled
    ) -> None:
        other = second_phone(world, ada[0])
        operation = world.ask(serial, pc, channels=(Channel.PUSH, Channel.QR))
        world.deciding.claim(code(world, operation), ada[1].identity)
        assert world.decide(operation, other, number="") is State.DENIED

    def test_another_devices_name_on_ones_own_signature(
        self, world: World, ada: tuple[User, Enrolled], serial: str, pc: Enrolled
    ) -> None:
        operation, (_, mallory) = world.ask(serial, pc), world.user("Mallory")
        disguised = replace(mallory, identity=ada[1].identity)
        with pytest.raises(ApprovalRejected):
            world.decide(operation, disguised)


class TestRemovedByTheHolder:
    """DEV-02: a holder removes another own phone from a phone."""

    def test_it_can_do_nothing_and_everybody_is_told(self, world: World) -> None:
        told = Told(world)
        user, phone = told.enrolled()
        world.clock.forward(seconds=1)
        old = second_phone(world, user)
        told.send()
        listed = world.devices.list_own(phone.identity)
        assert [each.id for each in listed] == [phone.identity.id, old.identity.id]
        gone = world.devices.remove_own(old.identity.id, phone.identity)
        assert gone.state is IdentityState.REMOVED
        assert world.devices.list_own(phone.identity) == [listed[0]]
        [letter] = told.send()
        assert (letter.subject, letter.address) == ("Your phone was removed", user.email)
        notices = [each.alert.kind for each in world.alerts.told_to(phone.identity)]
        assert AlertKind.DEVICE_REMOVED in notices
        (entry,) = world.journal(Kind.IDENTITY_REMOVED)
        assert (entry.actor, entry.device_id) == (phone.identity.actor, old.identity.id)
        fingerprint = old.identity.certificate_sha256
        assert fingerprint is not None
        with pytest.raises(IdentityRejected):
            world.callers.identify(fingerprint, Role.DEVICE)
        world.devices.remove_own(old.identity.id, phone.identity)
        assert told.send() == []

    def test_what_it_may_not_remove(self, world: World, ada: tuple[User, Enrolled]) -> None:
        """The attack: a phone removes those of others, or goes on after it was removed."""
        user, phone = ada
        other = second_phone(world, user)
        _, stranger = world.user("Mallory")
        for unknown in (stranger.identity.id, world.workstation().identity.id, "nobody"):
            with pytest.raises(DeviceNotFound):
                world.devices.remove_own(unknown, phone.identity)
        with pytest.raises(InvalidInput, match="that you hold"):
            world.devices.remove_own(phone.identity.id, phone.identity)
        world.devices.remove_own(other.identity.id, phone.identity)
        with pytest.raises(IdentityRejected):
            world.devices.remove_own(phone.identity.id, other.identity)
