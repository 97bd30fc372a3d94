"""How far people's enrolment has come, and what to do next, in words."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from types import MappingProxyType

from cloud_keystore.model.people import Stage
from cloudcard.registry.v1 import people_pb2 as pb
from cloudcard_tools.ra.registry import when

INVITE, ISSUE = "cloudcard ra user invite {who}", "cloudcard ra card issue {who}"
NEXT: Mapping[str, str] = MappingProxyType(
    {
        Stage.NO_PHONE: INVITE,
        Stage.INVITATION_EXPIRED: INVITE,
        Stage.INVITED: "the holder enrols the phone, until {until}",
        Stage.NO_CARD: ISSUE,
        Stage.CARD_INCOMPLETE: "look what is missing: cloudcard ra card show {card}",
        Stage.CARD_FAILED: "cloudcard ra card resume {card}",
        Stage.NO_PASSCODE: "the holder sets a passcode: cloudcard authenticator passcode {card}",
    }
)


def next_step(user: pb.User, progress: pb.Progress, cause: str = "") -> str:
    """What has to happen next, after the cause of a failure; empty if nothing is missing."""
    step = NEXT.get(progress.stage, "")
    if progress.stage == Stage.INVITED and not progress.card_serial:
        step = f"{ISSUE}; {step}"
    until = when(progress.until) if progress.HasField("until") else ""
    step = step.format(who=called(user), until=until, card=progress.card_serial)
    return f"{cause}; then {step}" if cause else step


def called(user: pb.User) -> str:
    """What a command takes for a person, as it is typed in a shell."""
    return shlex.quote(user.email or user.uuid12 or user.id)
