"""`WebhookService`: where API clients are told of what happens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from cloud_keystore.model.fields.pages import page
from cloud_keystore.model.outbox.webhooks import Delivery
from cloud_keystore.model.people import Identity
from cloud_keystore.people.programs.webhooks import WebhookListing, Webhooks
from cloud_keystore.rpc.door import Door
from cloud_keystore.rpc.refusals import Context
from cloudcard.registry.v1 import webhooks_pb2 as pb
from cloudcard.registry.v1 import webhooks_pb2_grpc


@dataclass(frozen=True, slots=True)
class WebhookServicer(webhooks_pb2_grpc.WebhookServiceServicer):
    """Translates between messages and use cases."""

    door: Door
    webhooks: Webhooks

    async def CreateWebhook(
        self, request: pb.CreateWebhookRequest, context: Context
    ) -> pb.CreateWebhookResponse:
        made = await self.door.call(
            context,
            lambda operator: self.webhooks.add(
                request.url, list(request.kinds), request.client_id, actor=operator.actor
            ),
        )
        return pb.CreateWebhookResponse(webhook=_webhook(made.listing), secret=made.secret)

    async def ListWebhooks(
        self, request: pb.ListWebhooksRequest, context: Context
    ) -> AsyncIterator[pb.ListWebhooksResponse]:
        def listed(who: Identity) -> Iterator[pb.Webhook]:
            return map(_webhook, self.webhooks.list_all(request.client_id, actor=who.actor))

        async for some in self.door.listed(context, listed):
            yield pb.ListWebhooksResponse(webhooks=some)

    async def RemoveWebhook(
        self, request: pb.RemoveWebhookRequest, context: Context
    ) -> pb.RemoveWebhookResponse:
        await self.door.call(
            context,
            lambda operator: self.webhooks.remove(request.webhook_id, actor=operator.actor),
        )
        return pb.RemoveWebhookResponse()

    async def RotateWebhook(
        self, request: pb.RotateWebhookRequest, context: Context
    ) -> pb.RotateWebhookResponse:
        made = await self.door.call(
            context,
            lambda operator: self.webhooks.rotate(request.webhook_id, actor=operator.actor),
        )
        return pb.RotateWebhookResponse(webhook=_webhook(made.listing), secret=made.secret)

    async def TestWebhook(
        self, request: pb.TestWebhookRequest, context: Context
    ) -> pb.TestWebhookResponse:
        made = await self.door.call(
            context,
            lambda operator: self.webhooks.test(request.webhook_id, actor=operator.actor),
        )
        return pb.TestWebhookResponse(delivery=_delivery(made))

    async def ListDeliveries(
        self, request: pb.ListDeliveriesRequest, context: Context
    ) -> AsyncIterator[pb.ListDeliveriesResponse]:
        def listed(who: Identity) -> Iterator[pb.Delivery]:
            found = self.webhooks.deliveries_of(
                request.webhook_id,
                page(request.page_size, request.after),
                failed=request.failed,
                actor=who.actor,
            )
            return map(_delivery, found)

        async for some in self.door.listed(context, listed):
            yield pb.ListDeliveriesResponse(deliveries=some)

    async def RetryDeliveries(
        self, request: pb.RetryDeliveriesRequest, context: Context
    ) -> pb.RetryDeliveriesResponse:
        retried = await self.door.call(
            context,
            lambda operator: self.webhooks.retry(request.webhook_id, actor=operator.actor),
        )
        return pb.RetryDeliveriesResponse(retried=retried)


def _webhook(listing: WebhookListing) -> pb.Webhook:
    found = listing.webhook
    message = pb.Webhook(
        id=found.id,
        client_id=found.client_id,
        client_display_name=listing.client_display_name,
        url=found.url,
        kinds=found.kinds,
        state=found.state.value,
        why=found.why,
        failed=listing.failed,
    )
    message.create_time.FromDatetime(found.create_time)
    if found.failing_since is not None:
        message.failing_since.FromDatetime(found.failing_since)
    if found.old_until is not None:
        message.old_secret_until.FromDatetime(found.old_until)
    return message


def _delivery(told: Delivery) -> pb.Delivery:
    message = pb.Delivery(
        id=told.id, kind=told.kind, state=told.state.value, why=told.why, tries=told.tries
    )
    message.create_time.FromDatetime(told.create_time)
    if told.end_time is None:
        message.next_time.FromDatetime(told.next_time)
    else:
        message.end_time.FromDatetime(told.end_time)
    return message
