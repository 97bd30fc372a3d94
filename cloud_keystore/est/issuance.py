"""A client of a card issuance service like that of the Care Identity Service: asks for one
certificate, by an identifier of the key. Asked again, the service answers the same, so an issuance
of which the answer was lost is finished, and none is begun twice.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from cryptography.hazmat.primitives.serialization import Encoding

from cloud_keystore.est import messages
from cloud_keystore.est.client import Client, Wrong, seconds_of
from cloud_keystore.est.exchange import Reply
from cloud_keystore.est.messages import MOST_CERTIFICATES, NoCertificates
from cloud_keystore.model.pki.est import MOST_BETWEEN, Answer, Errand, Said

KIND = "application/json"
LOOK = "look at the issuance service"
MEANT: Mapping[int, tuple[str, str]] = {
    HTTPStatus.BAD_REQUEST: ("refuses the request", "look there why"),
    HTTPStatus.UNAUTHORIZED: (
        "does not know the keystore",
        "name another user and password, or certificate: cloudcard ra ca est",
    ),
    HTTPStatus.FORBIDDEN: ("does not let the keystore ask", "have it allowed there"),
    HTTPStatus.NOT_FOUND: ("is not at the address", "name another: cloudcard ra ca est"),
    HTTPStatus.CONFLICT: ("has another key under this identifier", LOOK),
    HTTPStatus.SERVICE_UNAVAILABLE: ("is down", "look whether it runs"),
}


@dataclass(frozen=True, slots=True)
class Asking:
    """Asks authorities, each in the way that its address names."""

    client: Client

    def forget(self) -> None:
        """Read the servers' authorities anew when they are asked next."""
        self.client.forget()

    async def ask(self, errand: Errand) -> Answer:
        """Ask for a certificate; nothing is raised for what a server does."""
        if not errand.server.is_issuance:
            return await self.client.ask(errand)
        try:
            return await self._issuance(errand)
        except Wrong as wrong:
            return Answer(Said.WRONG, why=str(wrong), fix=wrong.fix)

    async def _issuance(self, errand: Errand) -> Answer:
        asked = {
            "id": errand.key_id,
            "csr": base64.b64encode(errand.csr).decode(),
            "person": errand.person,
            "name": errand.holder,
            "card": errand.card_serial,
        }
        kind = [("Content-Type", KIND)]
        body = json.dumps(asked).encode()
        reply = await self.client.exchange(errand, "issuances", kind, body, accept=KIND)
        if reply.status == HTTPStatus.ACCEPTED:
            return Answer(
                Said.LATER,
                seconds=seconds_of(reply, self.client.now()),
                why="the issuance service has not decided yet",
                fix="have it approved there, or wait",
            )
        return _issued(errand, reply)


def _issued(errand: Errand, reply: Reply) -> Answer:
    """The certificate of an answer. Raises Wrong."""
    if reply.status != HTTPStatus.OK:
        text, fix = MEANT.get(reply.status, ("answers in another way", LOOK))
        raise Wrong(f"the issuance service {text} ({reply.status})", fix)
    try:
        told = json.loads(reply.body)
        state, number = told["state"], told["id"]
        ders = [base64.b64decode(each, validate=True) for each in told["authorities"]]
        own = messages.certificate(base64.b64decode(told["certificate"], validate=True))
        between = [messages.certificate(each) for each in ders[:MOST_CERTIFICATES]]
    # What is no answer, of every kind
    except (ValueError, KeyError, TypeError, NoCertificates):
        raise Wrong("the answer of the issuance service cannot be read", LOOK) from None
    if state != "issued" or number != errand.key_id or not messages.is_for(own, errand.csr):
        raise Wrong("the answer of the issuance service is not for the key", LOOK)
    some = tuple(each.public_bytes(Encoding.DER) for each in between[:MOST_BETWEEN])
    return Answer(Said.ISSUED, own.public_bytes(Encoding.DER), some)
