"""What stands between a client's question and the code that answers it: a login, and a role."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, unique

from cloudcard_tools.simulate.cis2.asking import Asked, AskedWrongly
from cloudcard_tools.simulate.cis2.levels import Login, reached, ways
from cloudcard_tools.simulate.cis2.sessions import Session
from cloudcard_tools.simulate.directory import Role
from cloudcard_tools.simulate.phones import Ring

WAITED = timedelta(minutes=10)  # for somebody to log in and choose
LIST_ENDS = 5  # roles; more of them are searched


@dataclass(slots=True)
class Waiting:
    """A client's question that waits for a person in a browser."""

    asked: Asked
    browser: str = field(repr=False)
    """The secret of the browser that has brought it: no other one answers it."""
    login: Login | None = None
    """The login that was asked for here."""
    challenge: str = ""
    """What a card signs instead of mutual TLS; it counts once."""
    ring: Ring | None = None
    """The phone that rings for it."""
    role_id: str | None = None
    """The role that was chosen here."""


@unique
class Step(Enum):
    """What comes next."""

    LOG_IN = "log in"
    CHOOSE_ROLE = "choose a role"
    ANSWER = "answer"


def next_step(waiting: Waiting, session: Session | None, now: datetime) -> Step:
    """What comes next. Raises AskedWrongly if it cannot, because nobody may be asked or because no
    login here would be sure enough.
    """
    asked = waiting.asked
    if not ways(asked.acr):
        raise AskedWrongly(
            "unmet_authentication_requirements", "no login here reaches one of these acr_values"
        )
    quiet = "none" in asked.prompt
    if session is None or not _counts(session.login, waiting, now):
        if quiet:
            raise AskedWrongly("login_required", "nobody is logged in as it is asked for")
        return Step.LOG_IN
    if asked.wants_role and chosen(waiting, session) is None:
        if quiet:
            raise AskedWrongly("interaction_required", "a role has to be chosen")
        return Step.CHOOSE_ROLE
    return Step.ANSWER


def chosen(waiting: Waiting, session: Session) -> str | None:
    """The id of the chosen role, empty if the person has none; None if it is still to be chosen."""
    roles = session.login.person.roles
    if not waiting.asked.wants_role or not roles:
        return ""
    if len(roles) == 1:
        return roles[0].id
    if waiting.role_id is not None:
        return waiting.role_id
    if "changedrole" in waiting.asked.scopes:
        return None
    return session.role_id or None


def found(roles: Sequence[Role], words: str) -> Sequence[Role]:
    """The roles in whose names or organisations all words are."""
    wanted = words.casefold().split()
    return [
        role
        for role in roles
        if all(word in f"{role.job.name} {role.organisation}".casefold() for word in wanted)
    ]


def _counts(login: Login, waiting: Waiting, now: datetime) -> bool:
    """Whether somebody who has logged in need not do so again."""
    asked = waiting.asked
    if reached(asked.acr, login.way) is None:
        return False
    if login is waiting.login:
        return True
    if asked.prompt & {"login", "select_account"}:
        return False
    return asked.max_age is None or now - login.time <= timedelta(seconds=asked.max_age)
