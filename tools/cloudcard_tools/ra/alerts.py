"""`cloudcard ra alerts`: what needs somebody's attention."""

from __future__ import annotations

from pathlib import Path

import click

from cloudcard.registry.v1 import alerts_pb2 as pb
from cloudcard.registry.v1.alerts_pb2_grpc import AlertServiceStub
from cloudcard_tools.ra.registry import TIMEOUT_SECONDS, identity_option, registry, when
from cloudcard_tools.shared.output import Row, json_option, print_facts, print_rows

ALERT_LABELS = {
    "id": "Alert",
    "kind": "Kind",
    "card": "Card",
    "holder": "Holder",
    "raised": "Raised",
    "acknowledged": "Seen to",
    "text": "What to do",
}


@click.group(
    epilog="""\b
Examples:
  cloudcard ra alerts list
  cloudcard ra alerts list --all --json
  cloudcard ra alerts acknowledge ALERT_ID
"""
)
def alerts() -> None:
    """What needs the registration authority's attention."""


@alerts.command("list")
@click.option("--all", "everything", is_flag=True, help="Those seen to as well.")
@identity_option
@json_option
def alerts_list(everything: bool, folder: Path, as_json: bool) -> None:
    """List alerts that nobody has seen to yet, oldest first."""
    with registry(folder, AlertServiceStub) as stub:
        found = stub.ListAlerts(
            pb.ListAlertsRequest(include_acknowledged=everything), timeout=TIMEOUT_SECONDS
        ).alerts
    print_rows([_alert(each) for each in found], ALERT_LABELS, "No alerts.", as_json=as_json)


@alerts.command("acknowledge")
@click.argument("alert_id")
@identity_option
@json_option
def alerts_acknowledge(alert_id: str, folder: Path, as_json: bool) -> None:
    """Say that you have seen to ALERT_ID; your name goes into the journal."""
    request = pb.AcknowledgeAlertRequest(alert_id=alert_id)
    with registry(folder, AlertServiceStub) as stub:
        seen = stub.AcknowledgeAlert(request, timeout=TIMEOUT_SECONDS).alert
    print_facts(_alert(seen), ALERT_LABELS, as_json=as_json)


def _alert(message: pb.Alert) -> Row:
    seen = message.HasField("acknowledge_time")
    return {
        "id": message.id,
        "kind": message.kind,
        "card": message.card_serial,
        "holder": message.user_display_name,
        "raised": when(message.create_time),
        "acknowledged": when(message.acknowledge_time) if seen else None,
        "text": message.text,
    }
