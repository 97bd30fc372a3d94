"""A page that is a device: its calls, which its key signs, its stream, and its approvals."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from http.client import HTTPSConnection

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from cloudcard.authenticator.v1 import authenticator_pb2
from cloudcard_tools.authenticator.phone import STATEMENT_DOMAIN
from cloudcard_tools.bench.web.browser import Answer, Browser
from cloudcard_tools.shared.identity import Identity

CALLS = "/authenticator/v1/"
REQUESTS = f"{CALLS}requests"
NONCE = "dpop-nonce"
TIMES = 3  # to bring a nonce that is not too old, on a computer that is perhaps paused
COORDINATE_BYTES = 32


@dataclass
class PageDevice:
    """A device in a browser. Devices that share a key are known by their certificates."""

    browser: Browser
    private: ec.EllipticCurvePrivateKey
    certificate_sha256: bytes
    nonce: str = "none"

    @classmethod
    def of(cls, browser: Browser, identity: Identity) -> PageDevice:
        """A device that has enrolled."""
        private, certificate = identity.pair()
        return cls(browser, private, sha256(certificate.public_bytes(Encoding.DER)).digest())

    def proof(self, method: str, path: str, body: bytes = b"") -> str:
        """The proof for a call."""
        header = {"typ": "dpop+jwt", "alg": "ES256", "x5t#S256": encoded(self.certificate_sha256)}
        claims = {
            "jti": encoded(os.urandom(16)),
            "htm": method,
            "htu": self.browser.origin + path,
            "iat": 0,
            "nonce": self.nonce,
            "bh": encoded(sha256(body).digest()),
        }
        signed = ".".join(encoded(json.dumps(each).encode()) for each in (header, claims))
        r, s = decode_dss_signature(self._sign(signed.encode()))
        return f"{signed}.{encoded(r.to_bytes(COORDINATE_BYTES) + s.to_bytes(COORDINATE_BYTES))}"

    def call(self, method: str, path: str, said: object = None) -> Answer:
        """Make a call; raises RuntimeError if it is refused."""
        body = b"" if said is None else json.dumps(said).encode()
        for _ in range(TIMES):
            answer = self._answer(method, path, body)
            if answer.status != HTTPStatus.UNAUTHORIZED:  # its nonce was not old
                break
        if answer.status != HTTPStatus.OK:
            raise RuntimeError(f"{path} was answered by {answer.status}: {answer.text()}")
        return answer

    def approve(self, operation_id: str, payload: bytes, number: str) -> None:
        """Approve a request."""
        approve, digits = authenticator_pb2.DECISION_APPROVE, number.encode("ascii")
        statement = STATEMENT_DOMAIN + bytes((approve, len(digits))) + digits + payload
        said = {
            "decision": approve,
            "number": number,
            "signature": encoded(self._sign(statement)),
            "is_sign_in": False,
        }
        self.call("POST", f"{REQUESTS}/{operation_id}/decision", said)

    def events(self, connection: HTTPSConnection) -> Iterator[tuple[str, dict[str, str]]]:
        """What the stream tells over a connection, until it ends; beats are ("", {})."""
        self.call("GET", f"{CALLS}cards")  # for a nonce
        for _ in range(TIMES):
            connection.request("GET", REQUESTS, headers={"DPoP": self.proof("GET", REQUESTS)})
            response = connection.getresponse()
            if response.status != HTTPStatus.UNAUTHORIZED:
                break
            self.nonce = response.headers.get(NONCE, self.nonce)
            response.read()
        if response.status != HTTPStatus.OK:
            raise RuntimeError(f"a stream was answered by {response.status}")
        name = ""
        while line := response.readline().decode().rstrip("\n"):
            if line == ":":
                yield "", {}
            elif line.startswith("event: "):
                name = line.removeprefix("event: ")
                continue
            else:
                yield name, json.loads(line.removeprefix("data: "))
            response.readline()

    def _answer(self, method: str, path: str, body: bytes) -> Answer:
        fields = {"DPoP": self.proof(method, path, body), "Content-Type": "application/json"}
        answer = self.browser.send(method, path, body, fields)
        self.nonce = answer.fields.get(NONCE, self.nonce)
        return answer

    def _sign(self, message: bytes) -> bytes:
        return self.private.sign(message, ec.ECDSA(SHA256()))


def encoded(raw: bytes) -> str:
    """Bytes in base64url without padding (RFC 7515, 2)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """The bytes of base64url without padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
