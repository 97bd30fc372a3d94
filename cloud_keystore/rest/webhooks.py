"""Webhooks: where the client is told of what happens."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Header, Path, Query, Response
from pydantic import BaseModel, Field

from cloud_keystore.model.outbox import webhooks
from cloud_keystore.model.outbox.webhooks import LONGEST_URL
from cloud_keystore.people.programs.webhooks import NewSecret, WebhookListing, Webhooks
from cloud_keystore.rest.calls import current
from cloud_keystore.rest.models import Asked
from cloud_keystore.rest.paging import ITEMS, Limit, PageToken, cut, page_of

WebhookId = Annotated[str, Path(max_length=64, description="Identifier of the webhook.")]
MOST_KINDS = len(webhooks.TOLD)
Kinds = Annotated[
    tuple[Annotated[str, Field(max_length=64)], ...],
    Field(
        max_length=MOST_KINDS,
        description=f"Of what it is told: {', '.join(sorted(webhooks.TOLD))}. None: of all.",
    ),
]


class NewWebhook(Asked):
    """A webhook to be added."""

    url: Annotated[str, Field(max_length=LONGEST_URL, description="Begins with https://.")]
    kinds: Kinds = ()


class Webhook(BaseModel):
    """A webhook."""

    id: str
    url: str
    kinds: list[str]
    state: Annotated[str, Field(description="active or disabled")]
    why: Annotated[str, Field(description="Why what is sent there is not taken; can be empty.")]
    failed: Annotated[int, Field(description="How much has failed there.")]
    created: datetime
    failing_since: datetime | None
    old_secret_until: Annotated[
        datetime | None,
        Field(description="Until when what is sent is signed by the secret before too."),
    ]


class SecretWebhook(BaseModel):
    """A webhook, and its secret, which is told this once."""

    webhook: Webhook
    secret: Annotated[str, Field(description="As Standard Webhooks writes it: whsec_…")]


class WebhookList(BaseModel):
    """The webhooks of the client, oldest first."""

    webhooks: list[Webhook]


class Delivery(BaseModel):
    """One thing that a webhook is told."""

    id: Annotated[str, Field(description="The webhook-id with which it is sent.")]
    kind: str
    state: Annotated[str, Field(description="waiting, sending, sent, failed or cancelled")]
    why: str
    tries: int
    happened: datetime
    next_try: datetime | None
    ended: datetime | None


class DeliveryPage(BaseModel):
    """A page of what a webhook was told or is to be told, oldest first."""

    deliveries: list[Delivery]
    next_page_token: str | None


class Retried(BaseModel):
    """How much is sent again."""

    retried: int


class Subjects(BaseModel):
    """What it is about: identifiers, of which those are left out that do not apply."""

    user_id: str = ""
    card: Annotated[str, Field(description="A serial number.")] = ""
    device_id: str = ""
    workstation_id: str = ""
    alert: Annotated[str, Field(description="The kind of an alert.")] = ""


class Happened(BaseModel):
    """Something that has happened."""

    type: Annotated[str, Field(description="Such as card.revoked.")]
    timestamp: Annotated[datetime, Field(description="When it happened.")]
    data: Subjects


def happened(
    said: Happened,
    webhook_id: Annotated[
        str, Header(alias="webhook-id", description="The same whenever it is sent again.")
    ],
    webhook_timestamp: Annotated[
        int, Header(alias="webhook-timestamp", description="When it is sent, in seconds.")
    ],
    webhook_signature: Annotated[
        str,
        Header(
            alias="webhook-signature",
            description="v1, and base64 of HMAC-SHA256 over id, time and body; one for each "
            "secret, with spaces between.",
        ),
    ],
) -> None:
    """What the keystore sends to a webhook (Standard Webhooks). It can come more than once, and not
    in the order in which it happened.
    """


@dataclass(frozen=True, slots=True)
class WebhookCalls:
    """What a client can ask about its webhooks."""

    webhooks: Webhooks

    def list_webhooks(self) -> WebhookList:
        """The client's webhooks, oldest first."""
        found = self.webhooks.list_all(actor=current().actor)
        return WebhookList(webhooks=[_webhook(each) for each in found])

    def add_webhook(self, asked: NewWebhook) -> SecretWebhook:
        """Be told of what happens, as far as the client sees it by then. The secret, by which what
        is sent is signed, is told this once.
        """
        return _secret(self.webhooks.add(asked.url, asked.kinds, actor=current().actor))

    def show_webhook(self, webhook_id: WebhookId) -> Webhook:
        """One webhook."""
        return _webhook(self.webhooks.find(webhook_id, actor=current().actor))

    def remove_webhook(self, webhook_id: WebhookId) -> Response:
        """Be told nothing there any more; what waits is given up."""
        self.webhooks.remove(webhook_id, actor=current().actor)
        return Response(status_code=204)

    def rotate_secret(self, webhook_id: WebhookId) -> SecretWebhook:
        """Get another secret. For a day, what is sent is signed by both."""
        return _secret(self.webhooks.rotate(webhook_id, actor=current().actor))

    def test_webhook(self, webhook_id: WebhookId) -> Delivery:
        """Be sent something that means nothing, of the type webhook.tested."""
        return _delivery(self.webhooks.test(webhook_id, actor=current().actor))

    def list_deliveries(
        self,
        webhook_id: WebhookId,
        failed: Annotated[bool, Query(description="Only what has failed.")] = False,
        limit: Limit = ITEMS,
        page_token: PageToken = "",
    ) -> DeliveryPage:
        """What a webhook was told or is to be told, oldest first."""
        page = page_of("deliveries", limit, page_token)
        found = self.webhooks.deliveries_of(webhook_id, page, failed=failed, actor=current().actor)
        items, following = cut("deliveries", found, limit, lambda each: each.id)
        return DeliveryPage(
            deliveries=[_delivery(each) for each in items], next_page_token=following
        )

    def retry_deliveries(self, webhook_id: WebhookId) -> Retried:
        """Be sent what has failed again. A webhook that was disabled is in use again."""
        return Retried(retried=self.webhooks.retry(webhook_id, actor=current().actor))


def _webhook(listing: WebhookListing) -> Webhook:
    found = listing.webhook
    return Webhook(
        id=found.id,
        url=found.url,
        kinds=list(found.kinds),
        state=found.state.value,
        why=found.why,
        failed=listing.failed,
        created=found.create_time,
        failing_since=found.failing_since,
        old_secret_until=found.old_until,
    )


def _secret(made: NewSecret) -> SecretWebhook:
    return SecretWebhook(webhook=_webhook(made.listing), secret=made.secret)


def _delivery(told: webhooks.Delivery) -> Delivery:
    return Delivery(
        id=told.id,
        kind=told.kind,
        state=told.state.value,
        why=told.why,
        tries=told.tries,
        happened=told.create_time,
        next_try=told.next_time if told.end_time is None else None,
        ended=told.end_time,
    )
