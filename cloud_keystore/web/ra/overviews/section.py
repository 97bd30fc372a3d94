"""Which overviews there are."""

from __future__ import annotations

from cloud_keystore.model.rights.roles import Right
from cloud_keystore.web.ra.views import REPORT, MenuItem
from cloud_keystore.web.ra.visiting import AT

UNFINISHED, WORKSTATIONS = f"{AT}/unfinished", f"{AT}/workstations"
SHARED_DEVICES = f"{AT}/shared-devices"
FEEDBACK, SCORES, GIVE = f"{AT}/feedback", f"{AT}/scores", f"{AT}/give-feedback"
SECTION = (
    MenuItem(REPORT, "Cards", Right.VIEW),
    MenuItem(UNFINISHED, "Not finished", Right.VIEW),
    MenuItem(WORKSTATIONS, "Workstations", Right.VIEW),
    MenuItem(SHARED_DEVICES, "Shared devices", Right.VIEW),
    MenuItem(FEEDBACK, "Feedback", Right.VIEW, whole=True),
    MenuItem(SCORES, "Recommendations", Right.VIEW, whole=True),
)
