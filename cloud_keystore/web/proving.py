"""Finds out which device calls, by the proof that its key has signed, before anything is served."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from http import HTTPStatus

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloud_keystore.border.presented import PRESENTED, Presented
from cloud_keystore.http.bodies import replayed
from cloud_keystore.http.problems import Problem, of_error
from cloud_keystore.model.errors import IdentityRejected, KeystoreError
from cloud_keystore.model.people import Role
from cloud_keystore.people.callers import Callers
from cloud_keystore.web.calls import CALL, Call
from cloud_keystore.web.gate import CALLS, Admit
from cloud_keystore.web.proofs import NonceNeeded, Nonces, Proof, ProofRejected

log = structlog.get_logger()

# For whoever has a token, a short code or a link, and no key that the keystore knows
ENROLMENTS, PASSKEYS, ADDRESSES, SHORT_CODES = (
    f"{CALLS}{each}" for each in ("enrolments", "passkeys", "addresses", "short-codes")
)
PIN = f"{CALLS}pin"
# Of devices that several holders share, and of whoever is signed in there
SHARED, SEAT = f"{CALLS}shared/", f"{CALLS}seat/"
ROLES = {SHARED: Role.SHARED_DEVICE, SEAT: Role.SEAT}
OF_CARD = re.compile(rf"{CALLS}cards/([^/]+)/(first-passcode|passcode|reset|unlock)")
NONCE = "DPoP-Nonce"


@dataclass(frozen=True, slots=True)
class Proving:
    """An ASGI application in front of the calls of devices; pages pass."""

    behind: ASGIApp
    callers: Callers
    nonces: Nonces
    admit: Admit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if not scope["path"].startswith(CALLS):
            await self.behind(scope, receive, send)
            return

        async def answered(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[NONCE] = self.nonces.fresh()
            await send(message)

        body = (await receive())["body"]
        try:
            if scope["path"] in (ENROLMENTS, PASSKEYS, ADDRESSES, SHORT_CODES):
                self.admit("enrolment", scope["cloudcard.place"])
            else:
                call = await self._call(scope, body)
                CALL.set(call)
                PRESENTED.set(Presented(call.certificate_sha256, call.device.role))
        except KeystoreError as error:
            await _refused(error)(scope, receive, answered)
            return
        await self.behind(scope, replayed(body, receive), answered)

    async def _call(self, scope: Scope, body: bytes) -> Call:
        """The device that calls. Raises ProofRejected, IdentityRejected, TooManyCalls."""
        given = Headers(scope=scope).getlist("dpop")
        proof = Proof.parse(given[0] if len(given) == 1 else "")
        proof.check_call(scope["method"], scope["cloudcard.origin"] + scope["path"], body)
        fingerprint = proof.certificate_sha256
        role = next((ROLES[each] for each in ROLES if scope["path"].startswith(each)), Role.DEVICE)
        device = await asyncio.to_thread(self.callers.identify, fingerprint, role)
        proof.check_key(device.public_key or b"")
        # From here on it is known whose call it is, and nobody else's limits are touched.
        self.admit("device", fingerprint)
        if (named := OF_CARD.fullmatch(scope["path"])) is not None:
            self.admit("passcode", (named[1], fingerprint))
        elif scope["path"].startswith(f"{PIN}/"):
            self.admit("passcode", ("", fingerprint))
        self.nonces.spend(proof)
        return Call(device, fingerprint)


def _refused(error: KeystoreError) -> Response:
    """What a page is told that has not proved which device it is."""
    if not isinstance(error, ProofRejected | IdentityRejected):
        return of_error(error).response()
    kind = "identity-rejected"
    if isinstance(error, ProofRejected):
        kind = "nonce-needed" if isinstance(error, NonceNeeded) else "proof-rejected"
    if kind == "proof-rejected":
        log.info("a proof was refused", reason=str(error))
    response = Problem(HTTPStatus.UNAUTHORIZED, kind, str(error)).response()
    said = "use_dpop_nonce" if kind == "nonce-needed" else "invalid_dpop_proof"
    response.headers["WWW-Authenticate"] = f'DPoP error="{said}", algs="ES256"'
    return response
