"""The options that say how the keystore gets messages to phones, into a chat, to webhooks and to
pages.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path

import click

from cloud_keystore.config import Chat, ChatForm, Sms, WebhookTerms
from cloud_keystore.model.errors import KeystoreError
from cloud_keystore.model.outbox.bells import KNOWN, PushTerms
from cloudcard_tools.paths import FILE
from cloudcard_tools.shared.failures import Failure

Command = Callable[..., None]
READ = click.Path(path_type=Path, exists=True, dir_okay=False)


@dataclass(frozen=True, slots=True)
class Hooks:
    """Where messages are posted; None: nowhere."""

    sms: Sms | None
    chat: Chat | None
    webhooks: WebhookTerms
    push: PushTerms
    push_roots: Path | None


def hook_options(command: Command) -> Command:
    """Add the options; pass them to the command as `hooks`. Raises Failure for what makes no
    sense.
    """

    @click.option(
        "--sms-url",
        default="",
        metavar="https://…",
        help="Gateway that gets messages to phones, as signed JSON. Default: nobody gets any.",
    )
    @click.option(
        "--sms-secret-file",
        type=READ,
        help="File with the secret by which they are signed, readable by its owner alone.",
    )
    @click.option(
        "--sms-file",
        type=FILE,
        help="For development: a file that messages are written into, in place of a gateway.",
    )
    @click.option(
        "--chat-url-file",
        type=READ,
        help="File with the address of a chat that is told of alerts, readable by its owner alone. "
        "Default: no chat is.",
    )
    @click.option(
        "--chat-form",
        type=click.Choice([each.value for each in ChatForm]),
        default=ChatForm.GENERIC.value,
        show_default=True,
        help="What the chat takes.",
    )
    @click.option(
        "--chat-secret-file",
        type=READ,
        help="File with a secret by which messages to the chat are signed.",
    )
    @click.option(
        "--webhook-host",
        "webhook_hosts",
        multiple=True,
        metavar="HOST",
        help="Host of the keystore's own network where webhooks of API clients can be. Repeatable. "
        "Default: they are in the internet.",
    )
    @click.option(
        "--webhook-roots",
        type=READ,
        help="Authorities (PEM) by which webhooks are known. Default: this computer's.",
    )
    @click.option(
        "--push-service",
        "push_services",
        multiple=True,
        metavar="DOMAIN",
        default=KNOWN,
        show_default=True,
        help="Domain of a push service by which the authenticator's page is rung while it is "
        "closed. Repeatable.",
    )
    @click.option(
        "--push-host",
        "push_hosts",
        multiple=True,
        metavar="HOST",
        help="Host of a push service in the keystore's own network. Repeatable.",
    )
    @click.option(
        "--push-roots",
        type=READ,
        help="Authorities (PEM) by which push services are known. Default: this computer's.",
    )
    @wraps(command)
    def with_hooks(
        sms_url: str,
        sms_secret_file: Path | None,
        sms_file: Path | None,
        chat_url_file: Path | None,
        chat_form: str,
        chat_secret_file: Path | None,
        webhook_hosts: tuple[str, ...],
        webhook_roots: Path | None,
        push_services: tuple[str, ...],
        push_hosts: tuple[str, ...],
        push_roots: Path | None,
        **others: object,
    ) -> None:
        try:
            named = sms_url or sms_secret_file or sms_file
            sms = Sms(sms_url, sms_secret_file, sms_file) if named else None
            webhooks = WebhookTerms(frozenset(webhook_hosts), webhook_roots)
            push = PushTerms(frozenset(push_services), frozenset(push_hosts))
        except KeystoreError as error:
            raise Failure(str(error)) from None
        chat = None
        if chat_url_file is not None:
            chat = Chat(chat_url_file, ChatForm(chat_form), chat_secret_file)
        elif chat_secret_file is not None:
            raise Failure("--chat-secret-file goes with --chat-url-file")
        command(hooks=Hooks(sms, chat, webhooks, push, push_roots), **others)

    return with_hooks
