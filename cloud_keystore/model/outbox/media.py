"""How a notification goes: by e-mail, to a phone, or into a chat. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum, unique
from types import MappingProxyType

from cloud_keystore.model.outbox.notifications import Template


@unique
class Medium(StrEnum):
    """The medium of a notification."""

    EMAIL = "email"
    SMS = "sms"
    CHAT = "chat"


CHAT = "chat"  # in place of an address: its own is a secret
_OTHERS: Mapping[Template, Medium] = MappingProxyType(
    {
        Template.PHONE_CODE: Medium.SMS,
        Template.VISIT_SMS: Medium.SMS,
        Template.RESET_SMS: Medium.SMS,
        Template.ALERT: Medium.CHAT,
    }
)


def medium_of(template: Template) -> Medium:
    """The medium of what a template tells."""
    return _OTHERS.get(template, Medium.EMAIL)
