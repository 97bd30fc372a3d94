"""The issuance service: a client asks for the certificate of a key, as often as it likes, and gets
one and the same.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from hmac import compare_digest
from http import HTTPStatus

from cryptography.hazmat.primitives.serialization import Encoding

from cloudcard_tools.simulate import pages
from cloudcard_tools.simulate.cis2.clients import Client
from cloudcard_tools.simulate.exchange import Request, Response, as_json
from cloudcard_tools.simulate.faults import Fault, Faults
from cloudcard_tools.simulate.issuance.certifying import LIFE, Authority, NotCertified

BASE = "/cis"
ISSUANCES, AUTHORITY, LIST = f"{BASE}/issuances", f"{BASE}/authority", f"{BASE}/crl"
MOST_KEPT = 10_000
LONGEST = 256
DIGITS = 12  # of a person's number
NAMES = ("id", "csr", "person", "name", "card")


@dataclass(slots=True)
class Issuance:
    """Has cards certified for clients with a secret, which they tell by HTTP's basic scheme."""

    clients: Mapping[str, Client]
    authority: Authority
    _issued: dict[tuple[str, str], tuple[bytes, bytes]] = field(default_factory=dict)

    def issue(self, request: Request, now: datetime, faults: Faults) -> Response:
        """Certify a key, or tell the certificate that was issued for this identifier before."""
        client = self._client(request)
        if client is None or Fault.REVOKED in faults:
            return pages.refusal(HTTPStatus.UNAUTHORIZED, "the client is not known, or revoked")
        asked = _asked(request.body)
        if asked is None:
            return _refused(
                f"give {', '.join(NAMES)}: the person's number of {DIGITS} digits, csr in base64"
            )
        csr = asked["csr"].encode()
        place = client.id, asked["id"]
        known = self._issued.get(place)
        if known is not None and known[0] != sha256(csr).digest():
            return pages.refusal(HTTPStatus.CONFLICT, "this identifier was used for another key")
        if known is None:
            if len(self._issued) >= MOST_KEPT:
                return pages.refusal(HTTPStatus.SERVICE_UNAVAILABLE, "there are too many: restart")
            begun = now + faults.clock - (LIFE * 2 if Fault.EXPIRED in faults else LIFE * 0)
            try:
                made = self.authority.certify(
                    base64.b64decode(csr, validate=True), asked["person"], asked["name"], begun
                )
            except (NotCertified, binascii.Error) as error:
                return _refused(str(error))
            known = sha256(csr).digest(), made.public_bytes(Encoding.DER)
            # What a fault has spoilt is not what the client gets when it asks again.
            if Fault.EXPIRED not in faults and Fault.CLOCK not in faults:
                self._issued[place] = known
        authority = self.authority.certificate.public_bytes(Encoding.DER)
        return as_json(
            {
                "id": asked["id"],
                "state": "issued",
                "certificate": base64.b64encode(known[1]).decode(),
                "authorities": [base64.b64encode(authority).decode()],
            }
        )

    def show_authority(self, request: Request, now: datetime, faults: Faults) -> Response:  # noqa: ARG002
        """The authority's certificate, PEM."""
        body = self.authority.certificate.public_bytes(Encoding.PEM)
        return Response(HTTPStatus.OK, body, "application/x-pem-file")

    def revocations(self, request: Request, now: datetime, faults: Faults) -> Response:  # noqa: ARG002
        """The authority's revocation list, DER."""
        body = self.authority.revocations(now + faults.clock).public_bytes(Encoding.DER)
        return Response(HTTPStatus.OK, body, "application/pkix-crl")

    def _client(self, request: Request) -> Client | None:
        scheme, _, encoded = request.fields.get("authorization", "").partition(" ")
        try:
            told = base64.b64decode(encoded, validate=True).decode()
        except (ValueError, binascii.Error):
            return None
        name, _, secret = told.partition(":")
        found = self.clients.get(name)
        if scheme != "Basic" or found is None or not found.secret:
            return None
        return found if compare_digest(secret.encode(), found.secret.encode()) else None


def _asked(body: bytes) -> Mapping[str, str] | None:
    """What a client asks for; None if that is not clear."""
    try:
        told = json.loads(body)
        found = {name: told[name] for name in NAMES}
    except (ValueError, KeyError, TypeError):
        return None
    if any(not isinstance(each, str) or not each for each in found.values()):
        return None
    short = all(len(each) <= LONGEST for name, each in found.items() if name != "csr")
    number = found["person"]
    if not short or not (len(number) == DIGITS and number.isascii() and number.isdigit()):
        return None
    return found


def _refused(why: str) -> Response:
    return pages.refusal(HTTPStatus.BAD_REQUEST, why)
