"""Webhooks: where API clients are told of what happens, as far as they see it by then. A client
looks after its own, and operators after those of the clients to which they grant roles.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from cloud_keystore.audit import acting, entries, journal
from cloud_keystore.audit.acting import Acting
from cloud_keystore.custody.credentials import webhook_secrets
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.model.actors import Actor, ActorKind
from cloud_keystore.model.clock import Clock, Random, new_id
from cloud_keystore.model.errors import InvalidInput, WebhookNotFound
from cloud_keystore.model.fields.pages import Page
from cloud_keystore.model.journal import Detail, Entry, Kind
from cloud_keystore.model.outbox import webhooks as addresses
from cloud_keystore.model.outbox.notifications import State
from cloud_keystore.model.outbox.webhooks import (
    MOST_OF_ALL,
    MOST_OF_CLIENT,
    OLD_SECRET_TIME,
    Delivery,
    Webhook,
    WebhookState,
    new_secret,
    secret_text,
)
from cloud_keystore.model.people import Identity, Role
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.people.identities import named
from cloud_keystore.storage import people
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.outbox import deliveries, webhooks
from cloud_keystore.storage.outbox.webhooks import Secrets

REMOVED = "the webhook was removed"


@dataclass(frozen=True, slots=True)
class WebhookListing:
    """A webhook as lists show it: with the name of its client, and how much has failed there."""

    webhook: Webhook
    client_display_name: str
    failed: int


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A webhook that has got a secret, which is told this once."""

    listing: WebhookListing
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Webhooks:
    """Adds, lists, tests and removes webhooks. `inside` are hosts that need not be of the
    internet.
    """

    database: Database
    clock: Clock
    random: Random
    seal: Seal = field(repr=False)
    inside: Collection[str] = ()

    def add(
        self, url: str, kinds: Collection[str], client_id: str = "", *, actor: Actor
    ) -> NewSecret:
        """Add a webhook of a client, by default the one that acts, which is told of some kinds of
        things, or of all. Raises InvalidInput, IdentityNotFound, NotAllowed.
        """
        now, secret = self.clock(), new_secret(self.random)
        url, wanted = addresses.address(url, self.inside), addresses.kinds(kinds)
        with acting.changing(self.database, actor, now) as by:
            connection, client = by.connection, _client(by, client_id)
            if not acting.held_by(connection, client.actor, now).where(Right.VIEW):
                raise InvalidInput(
                    f"no role of the API client lets it see anything (right {Right.VIEW.value!r}): "
                    "it would be told of nothing"
                )
            for own, most in ((client.id, MOST_OF_CLIENT), ("", MOST_OF_ALL)):
                if webhooks.count(connection, own) >= most:
                    whose = "an API client has" if own else "all API clients have"
                    raise InvalidInput(f"{whose} at most {most} webhooks: remove one first")
            added = Webhook(
                id=new_id(now, self.random),
                client_id=client.id,
                url=url,
                kinds=wanted,
                state=WebhookState.ACTIVE,
                why="",
                failures=0,
                create_time=now,
                next_time=now,
            )
            webhooks.add(connection, added, webhook_secrets.close(self.seal, added.id, secret))
            said: dict[str, Detail] = {"kinds": " ".join(wanted)} if wanted else {}
            journal.append(connection, _told(Kind.WEBHOOK_ADDED, added, client, by, said))
            return NewSecret(WebhookListing(added, client.display_name, 0), secret_text(secret))

    def list_all(self, client_id: str = "", *, actor: Actor) -> list[WebhookListing]:
        """The webhooks of a client, by default those of the one that acts, or of all whom an
        operator grants roles; oldest first. Raises IdentityNotFound, NotAllowed.
        """
        with acting.looking(self.database, actor, self.clock()) as by:
            if client_id or _is_client(actor):
                found = webhooks.list_all(by.connection, _client(by, client_id).id)
            else:
                by.need_somewhere(Right.ROLES)
                found = webhooks.list_all(by.connection)
            listed = _listings(by, found)
            return [each for each, client in listed if _may(by, client)]

    def find(self, webhook_id: str, *, actor: Actor) -> WebhookListing:
        """A webhook; raises WebhookNotFound, NotAllowed."""
        with acting.looking(self.database, actor, self.clock()) as by:
            found, client = _named(by, webhook_id)
            return _listing(by, found, client)

    def remove(self, webhook_id: str, *, actor: Actor) -> None:
        """Tell nothing there any more. Raises WebhookNotFound, NotAllowed."""
        now = self.clock()
        with acting.changing(self.database, actor, now) as by:
            found, client = _named(by, webhook_id)
            gone = replace(found, state=WebhookState.REMOVED, end_time=now)
            webhooks.reseal(by.connection, gone, Secrets(None))
            deliveries.end_all(by.connection, found.id, State.CANCELLED, REMOVED, now)
            journal.append(by.connection, _told(Kind.WEBHOOK_REMOVED, found, client, by))

    def rotate(self, webhook_id: str, *, actor: Actor) -> NewSecret:
        """Give a webhook another secret. For OLD_SECRET_TIME, what is sent has signatures by both.
        Raises WebhookNotFound, NotAllowed.
        """
        now, secret = self.clock(), new_secret(self.random)
        with acting.changing(self.database, actor, now) as by:
            connection = by.connection
            found, client = _named(by, webhook_id)
            before = webhooks.secrets_of(connection, found.id)
            secrets = webhook_secrets.rotate(self.seal, found.id, secret, before)
            changed = replace(found, old_until=now + OLD_SECRET_TIME)
            webhooks.reseal(connection, changed, secrets)
            journal.append(connection, _told(Kind.WEBHOOK_ROTATED, changed, client, by))
            return NewSecret(_listing(by, changed, client), secret_text(secret))

    def test(self, webhook_id: str, *, actor: Actor) -> Delivery:
        """Send something that means nothing there, to see whether it arrives. Raises
        WebhookNotFound, NotAllowed, InvalidInput.
        """
        now = self.clock()
        with acting.changing(self.database, actor, now) as by:
            found, client = _named(by, webhook_id)
            if found.state is not WebhookState.ACTIVE:
                raise InvalidInput("the webhook is disabled: retry what has failed there instead")
            told = _told(Kind.WEBHOOK_TESTED, found, client, by)
            journal.append(by.connection, told)
            return deliveries.put_one(by.connection, found, told)

    def deliveries_of(
        self, webhook_id: str, page: Page | None = None, *, failed: bool, actor: Actor
    ) -> list[Delivery]:
        """What a webhook was told or is to be told, oldest first; all, or what has failed; or a
        page of that. Raises WebhookNotFound, NotAllowed.
        """
        with acting.looking(self.database, actor, self.clock()) as by:
            found, _ = _named(by, webhook_id)
            return deliveries.list_of(by.connection, found.id, page, failed=failed)

    def retry(self, webhook_id: str, *, actor: Actor) -> int:
        """Send again what has failed at a webhook, which is in use again if it was disabled; return
        how much that is. Raises WebhookNotFound, NotAllowed.
        """
        now, retried = self.clock(), 0
        while True:
            with acting.changing(self.database, actor, now) as by:
                found, client = _named(by, webhook_id)
                some = deliveries.retry(by.connection, found.id, now)
                if retried and not some:
                    return retried
                well = replace(
                    found,
                    state=WebhookState.ACTIVE,
                    why="",
                    failures=0,
                    next_time=now,
                    failing_since=None,
                )
                webhooks.change(by.connection, well)
                said: dict[str, Detail] = {"deliveries": some}
                journal.append(by.connection, _told(Kind.WEBHOOK_RETRIED, well, client, by, said))
            if not some:
                return 0
            retried += some


def _is_client(actor: Actor) -> bool:
    return actor.kind is ActorKind.CLIENT


def _may(by: Acting, client: Identity) -> bool:
    """Whether the actor looks after the webhooks of a client that it sees."""
    if _is_client(by.actor):
        return by.actor == client.actor
    return by.held.has(Right.ROLES, client.organisation_id)


def _client(by: Acting, client_id: str) -> Identity:
    """The client that acts, or is named; raises IdentityNotFound, NotAllowed, InvalidInput."""
    if _is_client(by.actor):
        acts = people.find_identity(by.connection, by.actor.id)
        if acts is not None:
            return acts
    if not client_id:
        raise InvalidInput("client_id is missing: name the API client that is to be told")
    client = named(by, Role.CLIENT, client_id)
    by.need(Right.ROLES, client.organisation_id)
    return client


def _named(by: Acting, webhook_id: str) -> tuple[Webhook, Identity]:
    """A webhook and its client; raises WebhookNotFound, NotAllowed."""
    found = webhooks.find(by.connection, webhook_id)
    client = None if found is None else people.find_identity(by.connection, found.client_id)
    if found is None or client is None or found.end_time is not None or not _sees(by, client):
        raise WebhookNotFound("there is no such webhook: cloudcard ra webhook list")
    if not _is_client(by.actor):
        by.need(Right.ROLES, client.organisation_id)
    return found, client


def _sees(by: Acting, client: Identity) -> bool:
    return by.actor == client.actor if _is_client(by.actor) else by.sees_identity(client)


def _listing(by: Acting, found: Webhook, client: Identity) -> WebhookListing:
    failed = deliveries.failed_of(by.connection, [found.id])
    return WebhookListing(found, client.display_name, failed.get(found.id, 0))


def _listings(by: Acting, found: Collection[Webhook]) -> list[tuple[WebhookListing, Identity]]:
    known = people.with_identity_ids(by.connection, {each.client_id for each in found})
    clients = {each.id: each for each in known}
    failed = deliveries.failed_of(by.connection, [each.id for each in found])
    return [
        (WebhookListing(each, client.display_name, failed.get(each.id, 0)), client)
        for each in found
        if (client := clients.get(each.client_id)) is not None
    ]


def _told(
    kind: Kind,
    webhook: Webhook,
    client: Identity,
    by: Acting,
    details: Mapping[str, Detail] = entries.NO_DETAILS,
) -> Entry:
    """The entry about a webhook. Its address stays out of it but for the host: parts of addresses
    can be secrets.
    """
    host, _, _ = addresses.place(webhook.url)
    said = {"webhook": webhook.id, "identity": client.id, "host": host, **details}
    return entries.about_identity(kind, client, by.now, by.actor, said)
