"""Every session of the corpus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from recording import clients, opensc, yubico
from recording.stage import Session
from support.probes import VISITS, Probe

SESSIONS: Sequence[Session] = (*opensc.SESSIONS, *yubico.SESSIONS, *clients.SESSIONS)
PROBES: Mapping[str, Sequence[Probe]] = {
    name.lower().replace(" ", "-"): visit for name, visit in VISITS.items()
}
