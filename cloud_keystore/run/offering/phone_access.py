"""What a phone can ask of custody about itself, in a terminal and on a page: parts of the tables of
the main port and of the pages.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from cloud_keystore.border.table import Access
from cloud_keystore.model.people import Role

DEVICE = Role.DEVICE
# What a phone is asked about the portal and unlocks, its PIN, and cards that it has let into
# readers: on both.
ASKED: Mapping[str, Access] = MappingProxyType(
    {
        "admitting.list_open": DEVICE,
        "admitting.end": DEVICE,
        "app_pins.look": DEVICE,
        "app_pins.choose": DEVICE,
        "app_pins.change": DEVICE,
        "app_pins.check": DEVICE,
        "app_pins.reset": DEVICE,
        "assents.waiting": DEVICE,
        "assents.answer": DEVICE,
        "unlocking.waiting": DEVICE,
    }
)
PHONES: Mapping[str, Access] = MappingProxyType(
    {
        **ASKED,
        "callers.heard": DEVICE,
        "renewing.renew_same": DEVICE,
        "surveys.find": DEVICE,
        "surveys.answer": DEVICE,
    }
)
