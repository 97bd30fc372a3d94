"""The pages without their network, and a browser that is a device."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from hashlib import sha256
from typing import cast

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from starlette.types import ASGIApp

from cloud_keystore.model.limits import Limits
from cloud_keystore.notify.wakeups import Wakeups
from cloud_keystore.observability.metrics import Metrics
from cloud_keystore.operations.sessions import Sessions
from cloud_keystore.pki.announcing import Announcing
from cloud_keystore.rpc.limits import Limiter
from cloud_keystore.run.faces.web import NO_CARDS, site_of
from cloud_keystore.run.offering.web import WebUseCases
from cloud_keystore.web.origins import Origins
from cloud_keystore.web.proofs import encoded
from cloud_keystore.web.ra.own.cards import CardPlaces
from support.keystore_world import RELYING_PARTY, Enrolled, World
from support.rest import Answer, asked

ORIGIN = "https://cards.example.org"
OWN: Mapping[str, str] = {"host": "cards.example.org", "origin": ORIGIN}
COORDINATE_BYTES = 32


def use_cases(world: World) -> WebUseCases:
    """The use cases of a world that pages have."""
    found = {
        each.name: getattr(world, each.name)
        for each in fields(WebUseCases)
        if each.name not in ("announcing", "sessions")
    }
    found["sessions"] = Sessions(world.database, world.clock)
    announcing = Announcing(
        world.enrolment.authorities, RELYING_PARTY, frozenset({"localhost"}), world.clock
    )
    return WebUseCases(**found, announcing=announcing)


def site(
    world: World, limits: Limits | None = None, cards: CardPlaces = NO_CARDS, oidc: str = ""
) -> ASGIApp:
    """The pages in front of a world's use cases."""
    metrics = Metrics()
    limiter = Limiter(limits or Limits(), lambda: 0.0, metrics)
    origins = Origins.of({ORIGIN, "http://localhost:8080"})
    wakeups = cast(Wakeups, None)
    cases = use_cases(world)
    return site_of(cases, origins, limiter, metrics, world.clock, wakeups, cards, oidc)


def ask(
    application: ASGIApp,
    method: str,
    path: str,
    sent: Mapping[str, str] | None = None,
    raw: bytes = b"",
) -> Answer:
    """Send a request as a page of ours does; `sent` is header fields that it has otherwise."""
    return asyncio.run(asked(application, method, path, {**OWN, **(sent or {})}, raw))


@dataclass
class BrowserDevice:
    """A browser that is a device; each of its proofs can be changed before it is signed."""

    application: ASGIApp
    private: ec.EllipticCurvePrivateKey
    certificate_sha256: bytes
    nonce: str = "none"
    header: dict[str, object] = field(default_factory=dict)
    claims: dict[str, object] = field(default_factory=dict)

    @classmethod
    def of(cls, application: ASGIApp, enrolled: Enrolled) -> BrowserDevice:
        """A device that has enrolled, with a nonce."""
        found = cls(application, enrolled.private, sha256(enrolled.certificate).digest())
        found.send("GET", "/authenticator/v1/cards")
        return found

    def proof(self, method: str, url: str, body: bytes) -> str:
        """A proof for a call."""
        header = {
            "typ": "dpop+jwt",
            "alg": "ES256",
            "x5t#S256": encoded(self.certificate_sha256),
            **self.header,
        }
        claims = {
            "jti": encoded(os.urandom(16)),
            "htm": method,
            "htu": url,
            "iat": 0,
            "nonce": self.nonce,
            "bh": encoded(sha256(body).digest()),
            **self.claims,
        }
        signed = ".".join(encoded(json.dumps(each).encode()) for each in (header, claims))
        r, s = decode_dss_signature(self.private.sign(signed.encode(), ec.ECDSA(SHA256())))
        raw = r.to_bytes(COORDINATE_BYTES) + s.to_bytes(COORDINATE_BYTES)
        return f"{signed}.{encoded(raw)}"

    def send(
        self,
        method: str,
        path: str,
        said: object = None,
        proof: str | None = None,
        sent: Mapping[str, str] | None = None,
    ) -> Answer:
        """Make a call with a proof of its own, or with a given one."""
        raw = b"" if said is None else json.dumps(said).encode()
        proof = self.proof(method, ORIGIN + path, raw) if proof is None else proof
        fields = {"dpop": proof, "content-type": "application/json", **(sent or {})}
        answer = ask(self.application, method, path, fields, raw)
        self.nonce = answer.fields.get("dpop-nonce", self.nonce)
        return answer
