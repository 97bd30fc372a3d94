"""`NotificationService`: what people are told by e-mail."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from cloud_keystore.mail.notifications import NotificationListing, Notifications
from cloud_keystore.model.fields.pages import page
from cloud_keystore.model.outbox.media import medium_of
from cloud_keystore.model.people import Identity
from cloud_keystore.rpc.door import Door
from cloud_keystore.rpc.refusals import Context
from cloudcard.registry.v1 import notifications_pb2 as pb
from cloudcard.registry.v1 import notifications_pb2_grpc


@dataclass(frozen=True, slots=True)
class NotificationServicer(notifications_pb2_grpc.NotificationServiceServicer):
    """Translates between messages and use cases."""

    door: Door
    notifications: Notifications

    async def ListNotifications(
        self, request: pb.ListNotificationsRequest, context: Context
    ) -> AsyncIterator[pb.ListNotificationsResponse]:
        def listed(who: Identity) -> Iterator[pb.Notification]:
            found = self.notifications.list_all(
                request.user_id,
                page(request.page_size, request.after),
                failed=request.failed,
                actor=who.actor,
            )
            return map(_notification, found)

        async for some in self.door.listed(context, listed):
            yield pb.ListNotificationsResponse(notifications=some)

    async def RetryNotifications(
        self, request: pb.RetryNotificationsRequest, context: Context
    ) -> pb.RetryNotificationsResponse:
        retried = await self.door.call(
            context,
            lambda operator: self.notifications.retry(request.user_id, actor=operator.actor),
        )
        return pb.RetryNotificationsResponse(retried=retried)

    async def TestNotification(
        self, request: pb.TestNotificationRequest, context: Context
    ) -> pb.TestNotificationResponse:
        await self.door.call(
            context,
            lambda operator: self.notifications.test(request.address, actor=operator.actor),
        )
        return pb.TestNotificationResponse()


def _notification(listing: NotificationListing) -> pb.Notification:
    told = listing.notification
    message = pb.Notification(
        id=told.id,
        template=told.template.value,
        user_display_name=listing.user_display_name,
        address=told.address,
        state=told.state.value,
        why=told.why,
        tries=told.tries,
        medium=medium_of(told.template),
    )
    message.create_time.FromDatetime(told.create_time)
    if told.end_time is None:
        message.next_time.FromDatetime(told.next_time)
    else:
        message.end_time.FromDatetime(told.end_time)
    return message
