"""What operators' commands and API clients can ask of custody for shared devices, and the process
of the pages for these and for whoever is signed in there: parts of their tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from cloud_keystore.border.table import Access
from cloud_keystore.model.people import Role

CLIENT, OPERATOR = Role.CLIENT, Role.OPERATOR
DEVICE, SEAT, SHARED = Role.DEVICE, Role.SEAT, Role.SHARED_DEVICE
SHARED_DEVICES: Mapping[str, Access] = MappingProxyType(
    {
        "shared_devices.add": OPERATOR,
        "shared_devices.list_all": OPERATOR,
        "shared_devices.sign_out": OPERATOR,
        "shared_devices.remove": OPERATOR,
    }
)
SHARED_DEVICES_REST: Mapping[str, Access] = MappingProxyType(
    {
        "shared_devices.add": CLIENT,
        "shared_devices.list_all": CLIENT,
        "shared_devices.find": CLIENT,
        "shared_devices.sign_out": CLIENT,
        "shared_devices.remove": CLIENT,
    }
)
SEATS: Mapping[str, Access] = MappingProxyType(
    {
        "renewing.renew_shared": SHARED,
        "seats.begin": SHARED,
        "seats.find": SHARED,
        "seats.leave": SHARED,
        "seats.stay": SEAT,
        "seats.sign_out": SEAT,
        "seated.waiting": SEAT,
        "seated.find": SEAT,
        "seated.signature": SEAT,
        "seated.decide": SEAT,
        "seating.claim": DEVICE,
        "seating.decide": DEVICE,
        "seats.list_open": DEVICE,
        "seats.end": DEVICE,
        "shared_devices.list_all": OPERATOR,
        "shared_devices.find": OPERATOR,
        "shared_devices.sign_out": OPERATOR,
        "shared_devices.remove": OPERATOR,
    }
)
