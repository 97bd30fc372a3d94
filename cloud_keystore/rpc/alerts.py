"""`AlertService`: alerts that operators list and acknowledge."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from cloud_keystore.model.people import Identity
from cloud_keystore.people.alerts import AlertListing, Alerts
from cloud_keystore.rpc.door import Door
from cloud_keystore.rpc.refusals import Context
from cloudcard.registry.v1 import alerts_pb2 as pb
from cloudcard.registry.v1 import alerts_pb2_grpc


@dataclass(frozen=True, slots=True)
class AlertServicer(alerts_pb2_grpc.AlertServiceServicer):
    """Translates between messages and use cases."""

    door: Door
    alerts: Alerts

    async def ListAlerts(
        self, request: pb.ListAlertsRequest, context: Context
    ) -> AsyncIterator[pb.ListAlertsResponse]:
        def listed(who: Identity) -> Iterator[pb.Alert]:
            everything = request.include_acknowledged
            found = self.alerts.list_all(include_acknowledged=everything, actor=who.actor)
            return map(_alert, found)

        async for some in self.door.listed(context, listed):
            yield pb.ListAlertsResponse(alerts=some)

    async def AcknowledgeAlert(
        self, request: pb.AcknowledgeAlertRequest, context: Context
    ) -> pb.AcknowledgeAlertResponse:
        entry = await self.door.call(
            context, lambda operator: self.alerts.acknowledge(request.alert_id, operator)
        )
        return pb.AcknowledgeAlertResponse(alert=_alert(entry))


def _alert(entry: AlertListing) -> pb.Alert:
    alert = entry.alert
    message = pb.Alert(
        id=alert.id,
        kind=alert.kind.value,
        card_serial=entry.card_serial,
        user_display_name=entry.user_display_name,
        text=alert.text,
        workstation_display_name=entry.workstation_display_name,
    )
    message.create_time.FromDatetime(alert.create_time)
    if alert.acknowledge_time is not None:
        message.acknowledge_time.FromDatetime(alert.acknowledge_time)
    return message
