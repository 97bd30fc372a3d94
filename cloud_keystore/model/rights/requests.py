"""What one operator asks for and another one has to approve: operations that an organisation has
named as of high risk.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum, unique

from cloud_keystore.model.actors import Actor
from cloud_keystore.model.errors import KeystoreError
from cloud_keystore.model.rights.roles import Right

REQUEST_TIME = timedelta(hours=24)
MOST_OPEN = 100  # requests of one operator


@unique
class HighRisk(StrEnum):
    """Operations that can be named as of high risk. A row keeps its name."""

    REVOKE = "revoke"  # of a card, whatever the reason
    REVOKE_COMPROMISED = "revoke-compromised"  # of a card, which invalidates what it has signed
    CLOSE_USER = "close-user"
    GRANT_ROLE = "grant-role"  # also by an invitation, a group, or more rights of a role
    POLICY = "policy"


@unique
class Action(StrEnum):
    """What is done when a request is approved."""

    REVOKE_CARD = "revoke-card"
    REPLACE_CARD = "replace-card"
    CLOSE_USER = "close-user"
    GRANT_ROLE = "grant-role"
    CHANGE_ROLE = "change-role"
    SET_POLICY = "set-policy"
    SET_FOUR_EYES = "set-four-eyes"
    MAP_GROUP = "map-group"
    IDENTIFY_OPERATOR = "identify-operator"


@unique
class RequestState(StrEnum):
    """How far a request is."""

    OPEN = "open"
    APPROVED = "approved"  # and done, in the same transaction
    REFUSED = "refused"
    EXPIRED = "expired"  # of an open one, by the clock


@dataclass(frozen=True, slots=True)
class Deed:
    """An operation and all that it depends on, as the one who approves it sees it."""

    action: Action
    right: Right
    organisation_id: str
    about: str  # what people call the card, person, operator or organisation
    terms: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Request:
    """What an operator has asked for."""

    id: str
    wanted: Deed
    asked_by: str  # an operator
    create_time: datetime
    expire_time: datetime
    state: RequestState = RequestState.OPEN
    decided_by: str | None = None
    decide_time: datetime | None = None

    def state_at(self, now: datetime) -> RequestState:
        """Its state, in which an open one does not stay."""
        if self.state is RequestState.OPEN and now >= self.expire_time:
            return RequestState.EXPIRED
        return self.state

    def is_open(self, now: datetime) -> bool:
        """Whether somebody can still decide about it."""
        return self.state_at(now) is RequestState.OPEN


@dataclass(frozen=True, slots=True)
class Second:
    """The operator who approves a request while it is done."""

    request_id: str
    actor: Actor


class SecondWanted(KeystoreError):
    """An operation is of high risk, and nobody else has approved it. Whoever catches this writes
    the request down.
    """

    def __init__(self, wanted: Deed) -> None:
        super().__init__("another operator has to approve this")
        self.wanted = wanted


def encode(terms: Mapping[str, str]) -> str:
    """Terms as rows have them: JSON with sorted members."""
    return json.dumps(dict(terms), sort_keys=True, separators=(",", ":"))


def decode(text: str) -> Mapping[str, str]:
    """The terms of a row; raises ValueError for what `encode` does not write."""
    terms = json.loads(text)
    if not isinstance(terms, dict) or not all(isinstance(each, str) for each in terms.values()):
        raise ValueError("terms are texts by name")
    return terms


def spelled(operations: frozenset[HighRisk]) -> str:
    """Operations as rows and the journal have them."""
    return " ".join(each for each in HighRisk if each in operations)


def parsed(text: str) -> frozenset[HighRisk]:
    """The operations of a row. Those of a later version are left out."""
    named = set(text.split())
    return frozenset(each for each in HighRisk if each.value in named)
