"""What the process of the pages can ask of custody for a phone about itself: part of its table."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from cloud_keystore.border.table import Access
from cloud_keystore.model.people import Role

DEVICE = Role.DEVICE
PHONES: Mapping[str, Access] = MappingProxyType(
    {
        "admitting.list_open": DEVICE,
        "admitting.end": DEVICE,
        "app_pins.look": DEVICE,
        "app_pins.choose": DEVICE,
        "app_pins.change": DEVICE,
        "app_pins.check": DEVICE,
        "app_pins.reset": DEVICE,
        "callers.heard": DEVICE,
        "renewing.renew_same": DEVICE,
        "surveys.find": DEVICE,
        "surveys.answer": DEVICE,
    }
)
