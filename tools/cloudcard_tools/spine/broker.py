"""Calls to a broker of sessions: activation, log-in, the choice of a role, and leaving."""

from __future__ import annotations

import base64
import re
import secrets
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from urllib.parse import urlencode

from cloudcard_tools.shared.failures import Failure, Refused
from cloudcard_tools.simulate.outgoing import CallRefused, require_callable
from cloudcard_tools.spine import https

SECONDS = 15.0
# Replies are no XML: an `&` in them is an `&`.
PARAMETER = re.compile(r'<gpPARAM name="([^"]*)"([^>]*)>(.*?)</gpPARAM>', re.DOTALL)
ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')
ROLE = re.compile(r"nhsjobrole\d+")


@dataclass(frozen=True, slots=True)
class Role:
    """A role in which somebody can log in."""

    id: str
    organisation: str
    name: str


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket, whose it is, and what can be chosen."""

    value: str = field(repr=False)
    person: str
    roles: Sequence[Role]


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker at an address, which is no host of the NHS."""

    url: str
    tls: ssl.SSLContext
    seconds: float = SECONDS
    """How long a call takes at most, all of it."""

    def __post_init__(self) -> None:
        try:
            require_callable(self.url)
        except CallRefused as error:
            raise Failure(str(error)) from None
        if not self.url.startswith("https://"):
            raise Failure("a broker is called by https")

    def activate(self) -> tuple[str, bytes]:
        """The name of this log-in, and the challenge for it. Raises Failure."""
        name = secrets.token_hex(16)
        told = self._post(
            "/login/authactivate",
            {
                "auth_method": "3",
                "app_url": "NHST",
                "log_session_id": name,
                "device_id": "cloudcard",
                "service": "ACTIVATION",
            },
        )
        try:
            return name, base64.b64decode(_value(told, "challenge"), validate=True)
        except ValueError:
            raise Failure("the broker's challenge cannot be read") from None

    def log_in(self, name: str, proof: str) -> Ticket:
        """The ticket for a proof. Raises Failure."""
        told = self._post(
            "/login/authvalidate",
            {
                "log_session_id": name,
                "signature": proof,
                "service": "AUTHENTICATION",
                "card_type": "p11",
                "mobility": "0",
            },
        )
        roles = [
            Role(named.get("id", ""), named.get("orgcode", ""), text.strip())
            for each, attributes, text in PARAMETER.findall(told)
            if ROLE.fullmatch(each)
            for named in [dict(ATTRIBUTE.findall(attributes))]
        ]
        return Ticket(_value(told, "sso_ticket"), _value(told, "cn"), roles)

    def choose(self, ticket: Ticket, role: Role) -> None:
        """Choose a role for a ticket. Raises Failure."""
        asked = {"token": ticket.value, "selectedRoleUid": role.id, "ssbMode": "0"}
        self._call(f"/saml/RoleSelectionGP.jsp?{urlencode({**asked, 'gacVersion': '1'})}")

    def leave(self, ticket: Ticket) -> None:
        """End a ticket. Raises Failure."""
        self._post("/login/authlogout", {"service": "LOGOUT", "sso_ticket": ticket.value})

    def _post(self, path: str, parameters: dict[str, str]) -> str:
        rows = "".join(
            f'<gpPARAM name="{name}">{escape(value)}</gpPARAM>'
            for name, value in parameters.items()
        )
        answer = self._call(path, f"<gpOBJECT>{rows}</gpOBJECT>".encode())
        told = answer.decode("utf-8", "replace")
        found = {name: text for name, _, text in PARAMETER.findall(told)}
        if found.get("service") == "ERROR":
            raise Refused(
                f"the broker refuses: {found.get('error_message', 'it does not say why')}",
                found.get("error_code", "BROKER_REFUSED"),
            )
        return told

    def _call(self, path: str, body: bytes | None = None) -> bytes:
        return https.call(self.url, path, body, self.tls, self.seconds)


def _value(told: str, name: str) -> str:
    found = [text for each, _, text in PARAMETER.findall(told) if each == name]
    if len(found) != 1 or not found[0]:
        raise Failure(f"the broker's answer has no {name}")
    value: str = found[0]
    return value
