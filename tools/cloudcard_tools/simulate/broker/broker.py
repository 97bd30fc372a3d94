"""The broker: a card's key answers a challenge, and its holder gets a ticket for a while."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus

from cloudcard_tools.simulate import pages
from cloudcard_tools.simulate.broker import assertions, messages, proofs
from cloudcard_tools.simulate.broker.messages import Unclear
from cloudcard_tools.simulate.broker.proofs import BadProof
from cloudcard_tools.simulate.cards import CardRefused, Cards
from cloudcard_tools.simulate.cis2.places import Places
from cloudcard_tools.simulate.directory import ORGANISATIONS, Person, Role
from cloudcard_tools.simulate.exchange import Request, Response
from cloudcard_tools.simulate.faults import Fault, Faults
from cloudcard_tools.simulate.once import Handed

ACTIVATE, VALIDATE = "/login/authactivate", "/login/authvalidate"
LOGOUT = "/login/authlogout"
SELECTION, ASSERTION = "/saml/RoleSelectionGP.jsp", "/saml/RoleAssertion"
CHALLENGE_BYTES = 32
CHALLENGE_TIME = timedelta(seconds=60)
IDLE_TIME = timedelta(minutes=10)
LONGEST = timedelta(hours=10)
BEGINNING, END = "AQIC5w", "=@AAJTSQACMDE=#"  # as tickets look
MODES = ("0", "1")  # live, training
LOGGED_OUT = "<HTML><STATUS>OK</STATUS></HTML>"


@dataclass(slots=True)
class Session:
    """A ticket's holder, and the role that was chosen."""

    person: Person
    begun: datetime
    role: Role | None = None
    mode: str = MODES[0]


@dataclass(slots=True)
class Broker:
    """Gives out tickets, and says whose they are."""

    at: Places
    cards: Cards
    draw: Callable[[int], str] = secrets.token_urlsafe
    _challenges: Handed[bytes] = field(default_factory=lambda: Handed(CHALLENGE_TIME))
    _sessions: Handed[Session] = field(default_factory=lambda: Handed(IDLE_TIME))

    def activate(self, request: Request, now: datetime, faults: Faults) -> Response:  # noqa: ARG002
        """Give a challenge."""
        try:
            told = messages.parse(request.body)
        except Unclear as error:
            return messages.refused("INVALID_REQUEST", str(error))
        if told.get("service") != "ACTIVATION" or not told.get("log_session_id"):
            return messages.refused(
                "INVALID_REQUEST", "activation has service ACTIVATION and a log_session_id"
            )
        challenge = secrets.token_bytes(CHALLENGE_BYTES)
        self._challenges.keep(told["log_session_id"], challenge, now)
        encoded = base64.b64encode(challenge).decode("ascii")
        return messages.written({"service": "ACTIVATION", "challenge": encoded, "signature": ""})

    def validate(self, request: Request, now: datetime, faults: Faults) -> Response:
        """Take a proof, once for a challenge; tells the ticket and the roles."""
        try:
            told = messages.parse(request.body)
        except Unclear as error:
            return messages.refused("INVALID_REQUEST", str(error))
        if told.get("service") != "AUTHENTICATION":
            return messages.refused("INVALID_REQUEST", "validation has service AUTHENTICATION")
        # Whatever comes of it, the challenge is spent.
        challenge = self._challenges.take(told.get("log_session_id", ""), now)
        if challenge is None:
            return messages.refused("CHALLENGE_SPENT", "there is no challenge: activate again")
        try:
            der = proofs.signer(told.get("signature", ""), challenge)
            person = self.cards.holder(der, now + faults.clock)
            _require_not_revoked(faults)
        except BadProof as error:
            return messages.refused("BAD_SIGNATURE", str(error))
        except CardRefused as error:
            return messages.refused("CARD_REFUSED", str(error))
        secret = BEGINNING + self.draw(24) + END
        begun = now - IDLE_TIME if Fault.EXPIRED in faults else now
        self._sessions.keep(secret, Session(person, now), begun)
        return messages.raw(self._told(secret, person))

    def select(self, request: Request, now: datetime, faults: Faults) -> Response:  # noqa: ARG002
        """Choose a role for a ticket."""
        told = request.parameters
        session = self._session(told.get("token", ""), now)
        if session is None:
            return _no_session()
        role = session.person.role(told.get("selectedRoleUid", ""))
        if role is None:
            return pages.refusal(HTTPStatus.FORBIDDEN, "the holder of the ticket has no such role")
        mode = told.get("ssbMode", MODES[0])
        if mode not in MODES:
            return pages.refusal(HTTPStatus.BAD_REQUEST, "ssbMode is 0 or 1")
        session.role, session.mode = role, mode
        return Response(HTTPStatus.OK, LOGGED_OUT.encode(), "text/html; charset=utf-8")

    def assertion(self, request: Request, now: datetime, faults: Faults) -> Response:
        """Whose a ticket is, to an application; that keeps it from being idle."""
        session = self._session(request.parameters.get("token", ""), now)
        if session is None or Fault.EXPIRED in faults:
            return _no_session()
        if Fault.REVOKED in faults:
            return pages.refusal(HTTPStatus.FORBIDDEN, "the card is revoked, on demand")
        body = assertions.response(
            session.person, session.role, secrets.token_hex(16), session.mode, now + faults.clock
        )
        return Response(HTTPStatus.OK, body, messages.XML)

    def logout(self, request: Request, now: datetime, faults: Faults) -> Response:  # noqa: ARG002
        """End a ticket; one that has ended is as good."""
        self._sessions.take(_ticket(request), now)
        return Response(HTTPStatus.OK, LOGGED_OUT.encode(), "text/html; charset=utf-8")

    def _session(self, secret: str, now: datetime) -> Session | None:
        found = self._sessions.find(secret, now)
        if found is None or now >= found.begun + LONGEST:
            return None
        self._sessions.keep(secret, found, now)
        return found

    def _told(self, secret: str, person: Person) -> Sequence[str]:
        """The reply at log-in, in which an `&` is an `&`. One job role a line; commas divide it, so
        that names of organisations have none.
        """
        leave = f"{self.at.at(LOGOUT)}?token={secret}&service=LOGOUT"
        choose = f"{self.at.at(SELECTION)}?token={secret}&ssbMode=0&gacVersion=1"
        lines = [
            _line(name, value)
            for name, value in (
                ("service", "AUTHENTICATION"),
                ("sso_ticket", secret),
                ("uid", person.id),
                ("cn", person.name),
                ("sso_session_time", str(int(IDLE_TIME.total_seconds()))),
                ("sso_logout_url", leave),
                ("sso_roleselection_url", choose),
            )
        ]
        return lines + [
            f'<gpPARAM name="nhsjobrole{place}" id="{role.id}" orgcode="{role.organisation}">'
            f'"{ORGANISATIONS[role.organisation]}, {role.job.name}"</gpPARAM>'
            for place, role in enumerate(person.roles, 1)
        ]


def _line(name: str, value: str) -> str:
    return f'<gpPARAM name="{name}">{value.replace("<", "&lt;")}</gpPARAM>'


def _require_not_revoked(faults: Faults) -> None:
    if Fault.REVOKED in faults:
        raise CardRefused("the card is revoked, on demand")


def _no_session() -> Response:
    return pages.refusal(
        HTTPStatus.FORBIDDEN, "the ticket is unknown, idle for too long, or ended: log in again"
    )


def _ticket(request: Request) -> str:
    """The ticket of a message, or of an address."""
    if request.method == "GET":
        return request.parameters.get("token", "")
    try:
        return messages.parse(request.body).get("sso_ticket", "")
    except Unclear:
        return ""
