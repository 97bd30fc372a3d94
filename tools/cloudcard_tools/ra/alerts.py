"""`cloudcard ra alerts`: what needs the registration authority's attention."""

from __future__ import annotations

import click

from cloud_keystore.model.finding import Sort
from cloudcard.registry.v1 import alerts_pb2 as pb
from cloudcard.registry.v1.alerts_pb2_grpc import AlertServiceStub
from cloudcard_tools.ra.registry import find, list_options, operator_options, when
from cloudcard_tools.shared.caller import Caller
from cloudcard_tools.shared.calling import listed
from cloudcard_tools.shared.output import Row

ALERT_LABELS = {
    "id": "Alert",
    "kind": "Kind",
    "card": "Card",
    "holder": "Holder",
    "workstation": "Workstation",
    "raised": "Raised",
    "acknowledged": "Seen to",
    "text": "What to do",
}


@click.group(
    epilog="""\b
Examples:
  cloudcard ra alerts list
  cloudcard ra alerts list --all --json
  cloudcard ra alerts acknowledge 1500000000000017
"""
)
def alerts() -> None:
    """What needs the registration authority's attention."""


@alerts.command("list")
@click.option("--all", "everything", is_flag=True, help="List acknowledged alerts too.")
@list_options(ALERT_LABELS)
def alerts_list(everything: bool, caller: Caller) -> None:
    """List alerts that nobody has acknowledged yet, oldest first."""
    with caller.service(AlertServiceStub) as stub:
        pages = listed(stub.ListAlerts, pb.ListAlertsRequest(include_acknowledged=everything))
        found = [each for page in pages for each in page.alerts]
    caller.print_rows([_alert(each) for each in found], ALERT_LABELS, "No alerts.")


@alerts.command("acknowledge")
@click.argument("alert")
@operator_options
def alerts_acknowledge(alert: str, caller: Caller) -> None:
    """Record that you have dealt with ALERT, an identifier, a card's serial number or a
    workstation's name. Your name goes into the journal.
    """
    alert_id = find(caller, Sort.ALERT, alert, in_use=True)
    request = pb.AcknowledgeAlertRequest(alert_id=alert_id)
    with caller.service(AlertServiceStub) as stub:
        seen = stub.AcknowledgeAlert(request).alert
    caller.print_facts(_alert(seen), ALERT_LABELS)


def _alert(message: pb.Alert) -> Row:
    seen = message.HasField("acknowledge_time")
    return {
        "id": message.id,
        "kind": message.kind,
        "card": message.card_serial,
        "holder": message.user_display_name,
        "workstation": message.workstation_display_name,
        "raised": when(message.create_time),
        "acknowledged": when(message.acknowledge_time) if seen else None,
        "text": message.text,
    }
