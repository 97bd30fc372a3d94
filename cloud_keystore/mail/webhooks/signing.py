"""Gives out what webhooks are to be told, signed, and takes what became of it. Whoever sends has no
key, and no secret.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog
from sqlalchemy import Connection

from cloud_keystore.audit import acting, alerts, entries, journal
from cloud_keystore.custody.credentials import webhook_secrets
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.model.actors import KEYSTORE
from cloud_keystore.model.clock import Clock, Random
from cloud_keystore.model.errors import IdentityRejected, RecordDamaged
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.organisations import ROOT
from cloud_keystore.model.outbox.notifications import Outcome, State
from cloud_keystore.model.outbox.webhooks import (
    DISABLE_TIME,
    LAST_TRY,
    Delivery,
    Webhook,
    WebhookState,
    body,
    pause,
    place,
    signatures,
)
from cloud_keystore.model.rights.holding import Held
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.storage import cards, people
from cloud_keystore.storage.authentic.codes import Values
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.outbox import deliveries, webhooks

log = structlog.get_logger()

PORTION = 5  # of one webhook, under one lease
LONGEST_WHY = 200
JITTER_BYTES = 4
DISABLED = "the webhook is disabled"
UNSEEN = "the client does not see what it is about"


@dataclass(frozen=True, slots=True)
class Signed:
    """One thing for one webhook, as it is sent."""

    delivery_id: str
    webhook_id: str
    tries: int
    url: str = field(repr=False)  # parts of it can be secrets
    seconds: int  # the time that is signed
    signature: str = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Signing:
    """What webhooks are told, as it is sent."""

    database: Database
    clock: Clock
    random: Random
    seal: Seal = field(repr=False)

    def take(self) -> Sequence[Signed]:
        """What is due, for the caller alone to send, in the order in which it happened; some of it,
        if there is much. What a client does not see, by the rights that it has now, is cancelled.
        """
        now = self.clock()
        with self.database.read() as connection:
            due = [each for each in webhooks.list_all(connection) if _is_due(connection, each, now)]
        if not due:
            return []
        signed: list[Signed] = []
        with self.database.write() as connection:
            for each in due:
                to = webhooks.find(connection, each.id)
                if to is not None:
                    signed += self._take(connection, to, now)
        return signed

    def tell(self, delivery_id: str, tries: int, outcome: Outcome, why: str) -> None:
        """Write down what became of a try; nothing is done if somebody else tries by now."""
        now, why = self.clock(), why[:LONGEST_WHY]
        with self.database.write() as connection:
            known = deliveries.find(connection, delivery_id)
            to = None if known is None else webhooks.find(connection, known.webhook_id)
            if known is None or to is None:
                return
            changes = self._after(to, tries, outcome, why, now)
            if deliveries.move(connection, replace(known, tries=tries), changes):
                self._note(connection, to, outcome, why, now)

    def _take(self, connection: Connection, to: Webhook, now: datetime) -> list[Signed]:
        client = people.find_identity(connection, to.client_id)
        if to.state is not WebhookState.ACTIVE:
            deliveries.end_all(connection, to.id, State.FAILED, DISABLED, now)
            return []
        try:
            held = None if client is None else acting.held_by(connection, client.actor, now)
        except IdentityRejected:
            held = None
        if held is None:
            self._disable(connection, to, "the API client was removed, or has ended", now)
            return []
        return [
            signed
            for each in deliveries.lease(connection, to.id, now, PORTION)
            if (signed := self._signed(connection, to, each, held, now)) is not None
        ]

    def _signed(
        self, connection: Connection, to: Webhook, leased: Delivery, held: Held, now: datetime
    ) -> Signed | None:
        """What is sent; None for what the client does not see, or cannot be sent: it keeps nothing
        else waiting.
        """
        try:
            facts = _facts(connection, leased, held)
            with_old = to.old_until is not None and now < to.old_until
            kept = webhooks.secrets_of(connection, to.id)
            secrets = webhook_secrets.open_(self.seal, to.id, kept, with_old=with_old)
        except RecordDamaged as damaged:
            log.critical("a record is passed over", record=str(damaged))
            facts, secrets = None, []
        if facts is None or not secrets:
            why = UNSEEN if secrets else "a record of it is damaged"
            gone: Values = {"state": State.CANCELLED, "why": why, "end_time": now}
            deliveries.move(connection, leased, gone)
            return None
        raw, seconds = body(leased.kind, leased.create_time, facts), int(now.timestamp())
        return Signed(
            delivery_id=leased.id,
            webhook_id=to.id,
            tries=leased.tries,
            url=to.url,
            seconds=seconds,
            signature=signatures(secrets, leased.id, seconds, raw),
            body=raw,
        )

    def _after(self, to: Webhook, tries: int, outcome: Outcome, why: str, now: datetime) -> Values:
        """What a delivery is after a try."""
        match outcome:
            case Outcome.TAKEN:
                return {"state": State.SENT, "why": "", "end_time": now}
            case Outcome.UNTRIED:
                return {"state": State.WAITING, "tries": tries - 1, "next_time": now}
            case Outcome.LATER if tries < LAST_TRY:
                next_time = now + pause(tries, self.random(JITTER_BYTES))
                return {"state": State.WAITING, "why": why, "next_time": next_time}
            case _:
                return {"state": State.FAILED, "why": why or to.why, "end_time": now}

    def _note(
        self, connection: Connection, to: Webhook, outcome: Outcome, why: str, now: datetime
    ) -> None:
        """Note how a webhook is. All of it pauses when something was not taken, so that one that is
        gone is not asked again and again.
        """
        match outcome:
            case Outcome.TAKEN if to.failures:
                well = replace(to, failures=0, why="", next_time=now, failing_since=None)
                webhooks.change(connection, well)
            case Outcome.LATER | Outcome.REFUSED:
                failures, since = to.failures + 1, to.failing_since or now
                failing = replace(
                    to,
                    failures=failures,
                    why=why,
                    failing_since=since,
                    next_time=now + pause(failures, self.random(JITTER_BYTES)),
                )
                if outcome is Outcome.REFUSED or now - since >= DISABLE_TIME:
                    self._disable(connection, failing, why, now)
                else:
                    webhooks.change(connection, failing)

    def _disable(self, connection: Connection, to: Webhook, why: str, now: datetime) -> None:
        """Tell a webhook of nothing any more, until somebody retries."""
        if to.state is not WebhookState.ACTIVE:
            return
        webhooks.change(connection, replace(to, state=WebhookState.DISABLED, why=why))
        deliveries.end_all(connection, to.id, State.FAILED, DISABLED, now)
        client = people.find_identity(connection, to.client_id)
        if client is None:
            return
        host, _, _ = place(to.url)
        said = {"webhook": to.id, "identity": client.id, "host": host, "why": why}
        told = entries.about_identity(Kind.WEBHOOK_DISABLED, client, now, KEYSTORE, said)
        journal.append(connection, told)
        alerts.webhook_disabled(connection, client, host, now, self.random)


def _is_due(connection: Connection, to: Webhook, now: datetime) -> bool:
    if to.state is not WebhookState.ACTIVE:
        return deliveries.is_waiting(connection, to.id)
    return to.next_time <= now and deliveries.is_due(connection, to.id, now)


def _facts(connection: Connection, leased: Delivery, held: Held) -> dict[str, str] | None:
    """What the client is told; None if it does not see it: what is about a person, where the person
    is now, and everything else with a view of the whole.
    """
    facts: dict[str, str] = json.loads(leased.facts)
    if leased.kind == Kind.WEBHOOK_TESTED:
        return facts
    user = people.find_user(connection, facts["user_id"]) if "user_id" in facts else None
    if not held.has(Right.VIEW, ROOT if user is None else user.organisation_id):
        return None
    card_id = facts.pop("card_id", None)
    card = None if card_id is None else cards.find(connection, card_id)
    return facts if card is None else {**facts, "card": card.serial}
