"""API clients are told of what they see, at least once, signed, and of nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from sqlalchemy import update
from standardwebhooks.webhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from cloud_keystore.custody.sealing import rotation
from cloud_keystore.mail.webhooks import signing
from cloud_keystore.mail.webhooks.signing import PORTION, Signed, Signing
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.alerts import AlertKind
from cloud_keystore.model.clock import utc_now
from cloud_keystore.model.errors import (
    IdentityNotFound,
    InvalidInput,
    NotAllowed,
    WebhookNotFound,
)
from cloud_keystore.model.fields.pages import Page
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.outbox.notifications import Outcome, State
from cloud_keystore.model.outbox.webhooks import (
    DISABLE_TIME,
    LEASE_TIME,
    LONGEST_PAUSE,
    MOST_OF_CLIENT,
    OLD_SECRET_TIME,
    TOLD,
    WebhookState,
)
from cloud_keystore.model.people import Role
from cloud_keystore.storage.outbox import webhooks
from cloud_keystore.storage.outbox.deliveries import webhook_delivery
from cloud_keystore.storage.outbox.webhooks import webhook
from cloudcard_client.webhooks import NotGenuine, verify
from support.keystore_world import World

URL = "https://hr.example.org/hook"


@dataclass
class Told:
    """A client with a webhook, and what sends to it."""

    world: World
    actor: Actor
    webhook_id: str
    secret: str

    @property
    def signing(self) -> Signing:
        return Signing(
            self.world.database, self.world.clock, lambda size: b"\x80" * size, self.world.seal
        )

    def take(self, outcome: Outcome = Outcome.TAKEN, why: str = "") -> Sequence[Signed]:
        """What is due, and what became of it."""
        found = self.signing.take()
        for each in found:
            self.signing.tell(each.delivery_id, each.tries, outcome, why)
        return found

    def types(self) -> list[str]:
        """The types of all that is due."""
        found: list[str] = []
        while some := self.take():
            found += [json.loads(each.body)["type"] for each in some]
        return found

    def states(self) -> set[State]:
        found = self.world.webhooks.deliveries_of(self.webhook_id, failed=False, actor=self.actor)
        return {each.state for each in found}


def new_client(world: World, role: str = "ra-agent", place: str = "") -> Actor:
    return world.clients.add("HR system", [role], place, actor=world.actor).listing.client.actor


def webhook_of(world: World, client: Actor, *kinds: str, url: str = URL) -> Told:
    made = world.webhooks.add(url, kinds, actor=client)
    return Told(world, client, made.listing.webhook.id, made.secret)


@pytest.fixture
def told(world: World) -> Told:
    return webhook_of(world, new_client(world))


def headers_of(signed: Signed) -> dict[str, str]:
    return {
        "webhook-id": signed.delivery_id,
        "webhook-timestamp": str(signed.seconds),
        "webhook-signature": signed.signature,
    }


def is_by(secret: str, signed: Signed, world: World) -> bool:
    """Whether something is signed by a secret, as a client finds out."""
    now = world.clock().timestamp()
    try:
        return verify(secret, headers_of(signed), signed.body, now).id == signed.delivery_id
    except NotGenuine:
        return False


def test_a_client_is_told_of_a_person_and_a_card(world: World, told: Told) -> None:
    user, phone = world.user()
    serial = world.card(user)
    found: list[Signed] = []
    while some := told.take():
        found += some
    said = {each["type"]: each for each in (json.loads(one.body) for one in found)}
    assert said.keys() == {
        "user.added",
        "identity.invited",
        "identity.enrolled",
        "card.ordered",
        "card.issued",
        "card.activated",
        "passcode.set",
    }
    assert said["user.added"]["data"] == {"user_id": user.id}
    device = {"user_id": user.id, "device_id": phone.identity.id}
    assert said["identity.enrolled"]["data"] == device
    assert said["card.issued"]["data"] == {"user_id": user.id, "card": serial}
    assert said["user.added"]["timestamp"] == "2026-11-23T09:00:00.000Z"
    assert len({each.delivery_id for each in found}) == len(found)
    assert told.states() == {State.SENT}
    assert told.take() == []


def test_an_independent_program_verifies_it(world: World) -> None:
    """The reference implementation of Standard Webhooks, which looks at the computer's clock."""
    world.clock.now = utc_now()
    client = new_client(world)
    told, other = webhook_of(world, client), webhook_of(world, client, "card.issued")
    world.people.add_user("Ada Byron", "ada@example.org", actor=world.actor)
    first, *_ = told.take()
    headers = headers_of(first)
    assert Verifier(told.secret).verify(first.body, headers)["type"] == "user.added"
    for secret, body in ((told.secret, first.body + b" "), (other.secret, first.body)):
        with pytest.raises(WebhookVerificationError, match="No matching signature"):
            Verifier(secret).verify(body, headers)
    assert is_by(told.secret, first, world)
    assert not is_by(other.secret, first, world)
    assert not is_by(told.secret, replace(first, body=first.body + b" "), world)


def test_nothing_personal_and_no_secret_is_told(world: World, told: Told) -> None:
    """The attack: whoever reads what is sent learns names, addresses, numbers or codes."""
    user, token = world.people.add_user("Ada Byron", "ada@example.org", actor=world.actor)
    world.people.change_user(user.id, "Ada King", None, "+447700900123", actor=world.actor)
    assert token is not None
    while some := told.take():
        for each in some:
            for word in (b"Ada", b"ada@", b"+44", b"7700", token.text.encode()):
                assert word not in each.body
            assert told.secret not in repr(each)
            assert URL not in repr(each)


def test_it_is_written_with_what_it_tells_or_not_at_all(world: World, told: Told) -> None:
    with pytest.raises(InvalidInput):
        world.people.add_user("Ada", "not an address", actor=world.actor)
    assert told.take() == []


def test_a_client_is_told_of_some_kinds_alone(world: World) -> None:
    told = webhook_of(world, new_client(world), "card.suspended", "card.suspended")
    user, _ = world.user()
    serial = world.card(user)
    world.cards.suspend(serial, actor=world.actor)
    assert told.types() == ["card.suspended"]


def test_a_client_is_told_of_its_own_organisation_alone(world: World) -> None:
    """The attack: a client learns by its webhook of people whom it does not see. What counts is
    what it sees when it is told.
    """
    operator = world.operator().identity
    own, other = (world.organisations.add(each, operator).id for each in ("Own", "Other"))
    told = webhook_of(world, new_client(world, place=own), "user.added", "alert.raised")
    for place in (own, other):
        world.people.add_user(f"Of {place}", "", organisation_id=place, actor=world.actor)
    moved, _ = world.people.add_user("Moves", "", organisation_id=own, actor=world.actor)
    world.people.change_user(moved.id, None, None, None, other, actor=world.actor)
    assert told.types() == ["user.added"]
    assert told.states() == {State.SENT, State.CANCELLED}


def test_a_client_without_its_role_is_told_nothing(world: World, told: Told) -> None:
    listed = world.roles.list_all(actor=world.actor)
    [held] = [each for each in listed if each.identity.id == told.actor.id]
    world.people.add_user("Ada", "", actor=world.actor)
    world.roles.withdraw(held.assignment.id, actor=world.actor)
    assert told.take() == []
    assert told.states() == {State.CANCELLED}


def test_a_removed_client_is_told_nothing(world: World, told: Told) -> None:
    operator = world.operator().identity
    world.people.add_user("Ada", "", actor=world.actor)
    world.identities.remove(Role.CLIENT, told.actor.id, "replaced", operator)
    assert told.take() == []
    [found] = world.webhooks.list_all(actor=world.actor)
    assert found.webhook.state is WebhookState.DISABLED
    world.people.add_user("Bo", "", actor=world.actor)
    assert told.take() == []


def test_what_is_not_taken_is_tried_again(world: World, told: Told) -> None:
    world.people.add_user("Ada", "", actor=world.actor)
    first = told.take(Outcome.LATER, "the answer was 500")
    [found] = world.webhooks.list_all(actor=told.actor)
    assert (found.webhook.failures, found.webhook.why) == (len(first), "the answer was 500")
    assert told.take() == []
    world.clock.forward(seconds=LONGEST_PAUSE.total_seconds() * 2)
    again = told.take()
    assert {each.delivery_id for each in again} == {each.delivery_id for each in first}
    assert {each.tries for each in again} == {2}
    [found] = world.webhooks.list_all(actor=told.actor)
    assert (found.webhook.failures, found.webhook.failing_since) == (0, None)


def test_what_is_tried_by_nobody_goes_to_the_next(world: World, told: Told) -> None:
    """A process that was killed has a lease, which ends."""
    world.people.add_user("Ada", "", actor=world.actor)
    lost = told.signing.take()
    assert told.take() == []
    world.clock.forward(seconds=LEASE_TIME.total_seconds())
    again = told.signing.take()
    assert {each.delivery_id for each in again} == {each.delivery_id for each in lost}
    for each in lost:  # it comes back, and counts no more
        told.signing.tell(each.delivery_id, each.tries, Outcome.LATER, "late")
    assert told.states() == {State.SENDING}
    for each in again:
        told.signing.tell(each.delivery_id, each.tries, Outcome.UNTRIED, "")
    assert {each.tries for each in told.take()} == {2}


def test_what_fails_for_ever_is_seen_and_can_be_retried(
    world: World, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing, "LAST_TRY", few := 4)
    world.people.add_user("Ada", "", actor=world.actor)
    for _ in range(few - 1):
        told.take(Outcome.LATER, "the answer was 500")
        # Another thing is taken meanwhile: it is not the webhook that fails.
        world.webhooks.test(told.webhook_id, actor=told.actor)
        world.clock.forward(seconds=LONGEST_PAUSE.total_seconds() * 2)
        for each in told.signing.take():
            taken = b"webhook.tested" in each.body
            outcome = Outcome.TAKEN if taken else Outcome.UNTRIED
            told.signing.tell(each.delivery_id, each.tries, outcome, "")
    world.clock.forward(days=1)
    told.take(Outcome.LATER, "the answer was 500")
    failed = world.webhooks.deliveries_of(told.webhook_id, failed=True, actor=world.actor)
    assert {each.why for each in failed} == {"the answer was 500"}
    [found] = world.webhooks.list_all(actor=world.actor)
    assert found.failed == len(failed) > 0
    assert world.webhooks.retry(told.webhook_id, actor=world.actor) == len(failed)
    assert told.take()
    assert told.states() == {State.SENT}
    assert world.webhooks.retry(told.webhook_id, actor=world.actor) == 0
    said = [each.details["deliveries"] for each in world.journal(Kind.WEBHOOK_RETRIED)]
    assert said == [len(failed), 0]


def test_where_nothing_is_taken_for_days_nothing_is_sent_any_more(world: World, told: Told) -> None:
    world.people.add_user("Ada", "", actor=world.actor)
    told.take(Outcome.LATER, "the address is not reached")
    world.clock.forward(days=DISABLE_TIME.days)
    told.take(Outcome.LATER, "the address is not reached")
    [found] = world.webhooks.list_all(actor=told.actor)
    assert found.webhook.state is WebhookState.DISABLED
    assert told.states() == {State.FAILED}
    (disabled,) = world.journal(Kind.WEBHOOK_DISABLED)
    assert disabled.details["host"] == "hr.example.org"
    [alert] = [
        each.alert for each in world.alerts.list_all(include_acknowledged=False, actor=world.actor)
    ]
    assert alert.kind is AlertKind.WEBHOOK_DISABLED
    assert "hr.example.org" in alert.text
    world.people.add_user("Bo", "", actor=world.actor)
    assert told.take() == []
    with pytest.raises(InvalidInput, match="disabled"):
        world.webhooks.test(told.webhook_id, actor=told.actor)
    assert world.webhooks.retry(told.webhook_id, actor=told.actor) == 2
    assert len(told.take()) == 2


def test_a_webhook_that_wants_nothing_any_more_is_believed(world: World, told: Told) -> None:
    """410 Gone."""
    world.people.add_user("Ada", "", actor=world.actor)
    told.take(Outcome.REFUSED, "the answer was 410")
    [found] = world.webhooks.list_all(actor=told.actor)
    assert found.webhook.state is WebhookState.DISABLED


def test_one_that_is_gone_keeps_no_other_waiting(world: World, told: Told) -> None:
    well = webhook_of(world, told.actor, url="https://well.example.org/")
    for number in range(PORTION + 1):
        world.people.add_user(f"Person {number}", "", actor=world.actor)
    while some := told.signing.take():
        for each in some:
            outcome = Outcome.TAKEN if each.webhook_id == well.webhook_id else Outcome.LATER
            told.signing.tell(each.delivery_id, each.tries, outcome, "")
    assert well.states() == {State.SENT}
    assert told.states() == {State.WAITING}


def test_another_secret_is_used_beside_the_one_before_for_a_day(world: World, told: Told) -> None:
    made = world.webhooks.rotate(told.webhook_id, actor=told.actor)
    assert made.secret != told.secret
    world.people.add_user("Ada", "", actor=world.actor)
    first, *_ = told.take()
    assert is_by(told.secret, first, world)
    assert is_by(made.secret, first, world)
    world.clock.forward(seconds=OLD_SECRET_TIME.total_seconds())
    world.people.add_user("Bo", "", actor=world.actor)
    later, *_ = told.take()
    assert is_by(made.secret, later, world)
    assert not is_by(told.secret, later, world)


def test_the_secret_is_sealed_and_gone_with_the_webhook(world: World, told: Told) -> None:
    world.webhooks.rotate(told.webhook_id, actor=told.actor)
    with world.database.read() as connection:
        before = webhooks.secrets_of(connection, told.webhook_id)
    assert told.secret.encode() not in (before.current or b"")
    assert sum(rotation.check(world.database, world.seal)) >= 2
    world.webhooks.test(told.webhook_id, actor=told.actor)
    [signed] = told.take()
    assert is_by(told.secret, signed, world)
    world.webhooks.remove(told.webhook_id, actor=told.actor)
    with world.database.read() as connection:
        after = webhooks.secrets_of(connection, told.webhook_id)
    assert (after.current, after.old) == (None, None)


def test_a_removed_webhook_is_told_nothing(world: World, told: Told) -> None:
    world.people.add_user("Ada", "", actor=world.actor)
    world.webhooks.remove(told.webhook_id, actor=told.actor)
    assert told.take() == []
    world.people.add_user("Bo", "", actor=world.actor)
    assert told.take() == []
    assert world.webhooks.list_all(actor=told.actor) == []
    for use in (world.webhooks.remove, world.webhooks.rotate, world.webhooks.find):
        with pytest.raises(WebhookNotFound):
            use(told.webhook_id, actor=told.actor)
    (gone,) = world.journal(Kind.WEBHOOK_REMOVED)
    assert gone.details["webhook"] == told.webhook_id


def test_a_record_that_somebody_else_wrote_keeps_nothing_waiting(world: World, told: Told) -> None:
    """The attack: somebody who writes the database leads the keystore elsewhere, or makes it tell
    what has not happened.
    """
    with world.database.write() as connection:
        connection.execute(update(webhook).values(url="https://evil.example.org/"))
    world.people.add_user("Ada", "", actor=world.actor)
    assert told.take() == []
    with world.database.write() as connection:
        connection.execute(update(webhook).values(url=URL))
    world.people.add_user("Bo", "", actor=world.actor)
    with world.database.write() as connection:
        kinds = update(webhook_delivery).where(webhook_delivery.c.kind == "user.added")
        connection.execute(kinds.values(kind="card.revoked"))
    assert told.types() == ["identity.invited"]


def test_a_client_looks_after_its_own_alone(world: World, told: Told) -> None:
    """The attack: one client reads, turns or removes the webhook of another."""
    other = new_client(world, "ra-manager")
    assert world.webhooks.list_all(actor=other) == []
    for use in (
        world.webhooks.find,
        world.webhooks.remove,
        world.webhooks.rotate,
        world.webhooks.test,
        world.webhooks.retry,
    ):
        with pytest.raises(WebhookNotFound):
            use(told.webhook_id, actor=other)
    with pytest.raises(WebhookNotFound):
        world.webhooks.deliveries_of(told.webhook_id, failed=False, actor=other)
    added = world.webhooks.add(URL, (), told.actor.id, actor=other)
    assert added.listing.webhook.client_id == other.id


def test_operators_look_after_those_of_clients_to_which_they_grant_roles(
    world: World, told: Told
) -> None:
    invited = world.people.add_operator("Agent", "ra-agent", actor=world.actor)
    own = world.enrol(invited.text).identity.actor
    with pytest.raises(NotAllowed):
        world.webhooks.list_all(actor=own)
    with pytest.raises((NotAllowed, WebhookNotFound)):
        world.webhooks.rotate(told.webhook_id, actor=own)
    with pytest.raises((NotAllowed, IdentityNotFound)):
        world.webhooks.add(URL, (), told.actor.id, actor=own)
    made = world.webhooks.add(URL, ["card.revoked"], told.actor.id, actor=world.actor)
    assert made.listing.client_display_name == "HR system"
    assert len(world.webhooks.list_all(actor=world.actor)) == 2
    assert len(world.webhooks.list_all(told.actor.id, actor=world.actor)) == 2
    with pytest.raises(InvalidInput, match="client_id"):
        world.webhooks.add(URL, (), actor=world.actor)
    with pytest.raises(IdentityNotFound):
        world.webhooks.add(URL, (), "nobody", actor=world.actor)


def test_how_many_there_can_be(world: World, told: Told) -> None:
    for number in range(MOST_OF_CLIENT - 1):
        webhook_of(world, told.actor, url=f"https://{number}.example.org/")
    with pytest.raises(InvalidInput, match="at most"):
        webhook_of(world, told.actor)


def test_what_no_webhook_can_be(world: World) -> None:
    client = new_client(world)
    with pytest.raises(InvalidInput, match="nothing that is told"):
        world.webhooks.add(URL, ["journal.read"], actor=client)
    [held] = [
        each for each in world.roles.list_all(actor=world.actor) if each.identity.actor == client
    ]
    world.roles.withdraw(held.assignment.id, actor=world.actor)
    with pytest.raises(InvalidInput, match="told of nothing"):
        world.webhooks.add(URL, (), actor=client)


def test_pages_of_deliveries(world: World, told: Told) -> None:
    for number in range(3):
        world.clock.forward(seconds=1)
        world.people.add_user(f"Person {number}", "", actor=world.actor)
    use = world.webhooks.deliveries_of
    every = use(told.webhook_id, failed=False, actor=told.actor)
    assert len(every) == 6
    first = use(told.webhook_id, Page(4), failed=False, actor=told.actor)
    rest = use(told.webhook_id, Page(4, first[-1].id), failed=False, actor=told.actor)
    assert [*first, *rest] == every
    assert use(told.webhook_id, failed=True, actor=told.actor) == []


def test_single_uses_of_keys_are_not_told() -> None:
    for each in TOLD:
        assert each.split(".")[0] not in ("operation", "session", "journal", "sign-in")
    assert timedelta(0) < LEASE_TIME < timedelta(minutes=6)  # or verifiers find it too old
