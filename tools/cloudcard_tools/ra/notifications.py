"""`cloudcard ra notify`: what people are told by e-mail, and whether it arrived."""

from __future__ import annotations

import click

from cloud_keystore.model.finding import Sort
from cloudcard.registry.v1 import notifications_pb2 as pb
from cloudcard.registry.v1.notifications_pb2_grpc import NotificationServiceStub
from cloudcard_tools.ra.registry import find, list_options, operator_options, when
from cloudcard_tools.shared.caller import Caller
from cloudcard_tools.shared.calling import listed
from cloudcard_tools.shared.output import Row

COLUMNS = {
    "name": "Person",
    "medium": "By",
    "address": "Address",
    "template": "About",
    "state": "State",
    "told": "Since",
    "tries": "Tries",
    "next": "Next try",
    "why": "Why",
}
SPARE = ("medium", "tries", "next", "told")
WHO = "A person, by name, e-mail address, UUID or card; by default everybody."


@click.group(
    epilog="""\b
Examples:
  cloudcard ra notify list --failed
  cloudcard ra notify list --for ada@example.org
  cloudcard ra notify retry --for ada@example.org
  cloudcard ra notify test olga@example.org
"""
)
def notify() -> None:
    """What people are told by e-mail."""


@notify.command("list")
@click.option("--failed", is_flag=True, help="Only what was not delivered.")
@click.option("--for", "who", default="", metavar="WHO", help=WHO)
@list_options(COLUMNS)
def notify_list(failed: bool, who: str, caller: Caller) -> None:
    """List what people are told, oldest first, with what became of it."""
    request = pb.ListNotificationsRequest(user_id=find(caller, Sort.USER, who), failed=failed)
    with caller.service(NotificationServiceStub) as stub:
        pages = listed(stub.ListNotifications, request)
        found = [each for page in pages for each in page.notifications]
    nothing = "Nothing has failed." if failed else "Nobody was told anything by e-mail."
    caller.print_rows([_row(each) for each in found], COLUMNS, nothing, SPARE)


@notify.command("retry")
@click.option("--for", "who", default="", metavar="WHO", help=WHO)
@operator_options
def notify_retry(who: str, caller: Caller) -> None:
    """Try again what has failed, to the addresses that people have by now."""
    request = pb.RetryNotificationsRequest(user_id=find(caller, Sort.USER, who))
    with caller.service(NotificationServiceStub) as stub:
        retried = stub.RetryNotifications(request).retried
    caller.print_facts({"retried": retried}, {"retried": "Tried again"})


@notify.command("test")
@click.argument("address")
@operator_options
def notify_test(address: str, caller: Caller) -> None:
    """Send an e-mail to ADDRESS; `notify list` then shows what became of it."""
    with caller.service(NotificationServiceStub) as stub:
        stub.TestNotification(pb.TestNotificationRequest(address=address))
    caller.print_facts({"address": address}, {"address": "On its way to"})


def undelivered(caller: Caller, user_id: str) -> int:
    """How many e-mails to a user have failed."""
    request = pb.ListNotificationsRequest(user_id=user_id, failed=True)
    with caller.service(NotificationServiceStub) as stub:
        return sum(len(page.notifications) for page in listed(stub.ListNotifications, request))


def _row(message: pb.Notification) -> Row:
    waits = message.HasField("next_time")
    return {
        "id": message.id,
        "name": message.user_display_name,
        "medium": message.medium,
        "address": message.address,
        "template": message.template,
        "state": message.state,
        "told": when(message.create_time),
        "tries": message.tries,
        "next": when(message.next_time) if waits else None,
        "ended": None if waits else when(message.end_time),
        "why": message.why,
    }
