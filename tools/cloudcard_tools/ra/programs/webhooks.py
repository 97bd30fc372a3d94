"""`cloudcard ra webhook`: where API clients are told of what happens."""

from __future__ import annotations

import click

from cloud_keystore.model.finding import Sort
from cloudcard.registry.v1 import webhooks_pb2 as pb
from cloudcard.registry.v1.webhooks_pb2_grpc import WebhookServiceStub
from cloudcard_tools.ra.registry import find, list_options, operator_options, when
from cloudcard_tools.shared.caller import Caller
from cloudcard_tools.shared.calling import listed
from cloudcard_tools.shared.confirming import confirm, yes_option
from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.shared.output import Row

LABELS = {
    "id": "Webhook",
    "client": "Client",
    "url": "Address",
    "state": "State",
    "failed": "Failed",
    "kinds": "Told of",
    "why": "Why",
}
FACTS = {
    **LABELS,
    "created": "Added",
    "failing_since": "Failing since",
    "old_secret_until": "Old secret until",
}
SECRET = {"secret": "Secret"}
COLUMNS = {
    "id": "Delivery",
    "kind": "About",
    "state": "State",
    "happened": "Since",
    "tries": "Tries",
    "next": "Next try",
    "why": "Why",
}
SPARE = ("id", "next", "tries", "happened")


@click.group(
    epilog="""\b
Examples:
  cloudcard ra webhook add "HR system" https://hr.example.org/hook --kind card.revoked
  cloudcard ra webhook list
  cloudcard ra webhook show https://hr.example.org
  cloudcard ra webhook test https://hr.example.org
  cloudcard ra webhook deliveries https://hr.example.org --failed
  cloudcard ra webhook retry https://hr.example.org
  cloudcard ra webhook rotate https://hr.example.org
  cloudcard ra webhook remove https://hr.example.org --yes
"""
)
def webhook() -> None:
    """Where API clients are told of what happens."""


@webhook.command("add")
@click.argument("client")
@click.argument("url")
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    help="Of what the client is told there, such as card.revoked. Repeatable. Default: everything.",
)
@operator_options
def webhook_add(client: str, url: str, kinds: tuple[str, ...], caller: Caller) -> None:
    """Tell CLIENT at URL of what it may see, and print the secret by which it knows that, which is
    shown this once. CLIENT is a name, an identifier, or the beginning of one.
    """
    client_id = find(caller, Sort.CLIENT, client, in_use=True)
    asked = pb.CreateWebhookRequest(client_id=client_id, url=url, kinds=kinds)
    with caller.service(WebhookServiceStub) as stub:
        made = stub.CreateWebhook(asked)
    caller.print_facts({**_webhook(made.webhook), "secret": made.secret}, {**FACTS, **SECRET})


@webhook.command("list")
@click.option("--client", default="", help="Only those of this API client.")
@list_options(LABELS)
def webhook_list(client: str, caller: Caller) -> None:
    """List webhooks, oldest first."""
    found = _found(caller, find(caller, Sort.CLIENT, client))
    nothing = "No API client has a webhook: cloudcard ra webhook add CLIENT URL"
    caller.print_rows([_webhook(each) for each in found], LABELS, nothing, ("id", "kinds", "why"))


@webhook.command("show")
@click.argument("webhook")
@operator_options
def webhook_show(webhook: str, caller: Caller) -> None:
    """Show WEBHOOK: its address, its identifier, the beginning of one, or its client."""
    caller.print_facts(_webhook(_named(caller, webhook)), FACTS)


@webhook.command("remove")
@click.argument("webhook")
@yes_option
@operator_options
def webhook_remove(webhook: str, yes: bool, caller: Caller) -> None:
    """Tell nothing at WEBHOOK any more; what waits for it is given up."""
    found = _named(caller, webhook)
    confirm(f"Nothing is told at {found.url} any more, and what waits is given up.", yes=yes)
    with caller.service(WebhookServiceStub) as stub:
        stub.RemoveWebhook(pb.RemoveWebhookRequest(webhook_id=found.id))
    gone = {**_webhook(found), "state": "removed"}
    caller.print_facts(gone, {name: LABELS[name] for name in ("id", "client", "url", "state")})


@webhook.command("rotate")
@click.argument("webhook")
@operator_options
def webhook_rotate(webhook: str, caller: Caller) -> None:
    """Give WEBHOOK another secret, which is shown this once. For a day, what is sent there is
    signed by both.
    """
    request = pb.RotateWebhookRequest(webhook_id=_named(caller, webhook).id)
    with caller.service(WebhookServiceStub) as stub:
        made = stub.RotateWebhook(request)
    caller.print_facts({**_webhook(made.webhook), "secret": made.secret}, {**FACTS, **SECRET})


@webhook.command("test")
@click.argument("webhook")
@operator_options
def webhook_test(webhook: str, caller: Caller) -> None:
    """Send something to WEBHOOK; `webhook deliveries` then shows what became of it."""
    request = pb.TestWebhookRequest(webhook_id=_named(caller, webhook).id)
    with caller.service(WebhookServiceStub) as stub:
        told = stub.TestWebhook(request).delivery
    caller.print_facts(_delivery(told), {name: COLUMNS[name] for name in ("id", "kind", "state")})


@webhook.command("deliveries")
@click.argument("webhook")
@click.option("--failed", is_flag=True, help="Only what was not taken.")
@list_options(COLUMNS)
def webhook_deliveries(webhook: str, failed: bool, caller: Caller) -> None:
    """List what WEBHOOK was told or is to be told, oldest first, with what became of it."""
    request = pb.ListDeliveriesRequest(webhook_id=_named(caller, webhook).id, failed=failed)
    with caller.service(WebhookServiceStub) as stub:
        pages = listed(stub.ListDeliveries, request)
        found = [each for page in pages for each in page.deliveries]
    nothing = "Nothing has failed." if failed else "Nothing was told there."
    caller.print_rows([_delivery(each) for each in found], COLUMNS, nothing, SPARE)


@webhook.command("retry")
@click.argument("webhook")
@operator_options
def webhook_retry(webhook: str, caller: Caller) -> None:
    """Send again what has failed at WEBHOOK, and put it in use again if it was disabled."""
    request = pb.RetryDeliveriesRequest(webhook_id=_named(caller, webhook).id)
    with caller.service(WebhookServiceStub) as stub:
        retried = stub.RetryDeliveries(request).retried
    caller.print_facts({"retried": retried}, {"retried": "Sent again"})


def _found(caller: Caller, client_id: str = "") -> list[pb.Webhook]:
    with caller.service(WebhookServiceStub) as stub:
        pages = listed(stub.ListWebhooks, pb.ListWebhooksRequest(client_id=client_id))
        return [each for page in pages for each in page.webhooks]


def _named(caller: Caller, text: str) -> pb.Webhook:
    """The webhook that a text names: an address or identifier, the beginning of one, or a client.
    Raises Failure.
    """
    known = _found(caller)
    found = [each for each in known if text in (each.id, each.url)]
    found = found or [
        each for each in known if text and (each.url.startswith(text) or each.id.startswith(text))
    ]
    found = found or [each for each in known if each.client_display_name == text]
    if len(found) == 1:
        return found[0]
    several = "several webhooks are" if found else "no webhook is"
    raise Failure(f"{several} called {text!r}: cloudcard ra webhook list shows them")


def _webhook(message: pb.Webhook) -> Row:
    failing, old = message.HasField("failing_since"), message.HasField("old_secret_until")
    return {
        "id": message.id,
        "client": message.client_display_name,
        "client_id": message.client_id,
        "url": message.url,
        "state": message.state,
        "failed": message.failed,
        "kinds": " ".join(message.kinds) or "everything",
        "why": message.why,
        "created": when(message.create_time),
        "failing_since": when(message.failing_since) if failing else None,
        "old_secret_until": when(message.old_secret_until) if old else None,
    }


def _delivery(message: pb.Delivery) -> Row:
    waits = message.HasField("next_time")
    return {
        "id": message.id,
        "kind": message.kind,
        "state": message.state,
        "happened": when(message.create_time),
        "tries": message.tries,
        "next": when(message.next_time) if waits else None,
        "ended": None if waits else when(message.end_time),
        "why": message.why,
    }
