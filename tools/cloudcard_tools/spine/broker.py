"""Calls to a broker of sessions: activation, log-in, the choice of a role, and leaving."""

from __future__ import annotations

import base64
import re
import secrets
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener

from cloudcard_tools.shared.failures import Failure, OutOfReach, Refused
from cloudcard_tools.simulate.outgoing import CallRefused, require_callable

SECONDS = 15.0
MOST_BYTES = 1 << 20
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

    def assertion(self, ticket: Ticket) -> str:
        """What an application is told of a ticket. Raises Failure if it has ended."""
        return self._call(f"/saml/RoleAssertion?{urlencode({'token': ticket.value})}")

    def leave(self, ticket: Ticket) -> None:
        """End a ticket. Raises Failure."""
        self._post("/login/authlogout", {"service": "LOGOUT", "sso_ticket": ticket.value})

    def _post(self, path: str, parameters: dict[str, str]) -> str:
        rows = "".join(
            f'<gpPARAM name="{name}">{escape(value)}</gpPARAM>'
            for name, value in parameters.items()
        )
        told = self._call(path, f"<gpOBJECT>{rows}</gpOBJECT>".encode())
        found = {name: text for name, _, text in PARAMETER.findall(told)}
        if found.get("service") == "ERROR":
            raise Refused(
                f"the broker refuses: {found.get('error_message', 'it does not say why')}",
                found.get("error_code", "BROKER_REFUSED"),
            )
        return told

    def _call(self, path: str, body: bytes | None = None) -> str:
        opener = build_opener(ProxyHandler({}), HTTPSHandler(context=self.tls))
        request = Request(  # noqa: S310
            self.url.rstrip("/") + path, body, {"Content-Type": "text/xml"}
        )
        try:
            with opener.open(request, timeout=SECONDS) as answer:
                content: bytes = answer.read(MOST_BYTES)
        except HTTPError as error:
            text = re.sub(r"<[^>]+>", " ", error.read(4096).decode("utf-8", "replace"))
            said = " ".join(text.partition("This is a simulator")[0].split())
            raise Refused(f"the broker refuses: {said}", "BROKER_REFUSED") from None
        except (URLError, TimeoutError, OSError) as error:
            raise OutOfReach(f"the broker does not answer: {error}", "BROKER_UNREACHABLE") from None
        return content.decode("utf-8", "replace")


def _value(told: str, name: str) -> str:
    found = [text for each, _, text in PARAMETER.findall(told) if each == name]
    if len(found) != 1 or not found[0]:
        raise Failure(f"the broker's answer has no {name}")
    value: str = found[0]
    return value
